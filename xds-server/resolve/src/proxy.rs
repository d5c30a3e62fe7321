//! The resolver's verbs: what one proxy shall do, and what is wrong with the world.

use std::collections::BTreeSet;

use sluice_crd::diagnostic::Diagnostic;
use sluice_plan::{
    listener::{Listener, Role},
    proxy::ProxyPlan,
};

use crate::{
    builder::Builder,
    catalog::Catalog,
    client::{self, Class, ProxyIdentity, ProxyRole, role_in},
    egress::prune::prune,
    fact::Fact,
    sidecar::TUNNEL_PORT,
    view::View,
};

/// A plan, what there is to say about it, and what it depends on.
#[derive(Debug)]
pub struct Resolved {
    /// The plan.
    pub plan: ProxyPlan,
    /// Mistakes and remarks, sorted.
    pub diagnostics: Vec<Diagnostic>,
    /// The questions that were asked: the plan can only change if one has a new answer.
    pub reads: BTreeSet<Fact>,
}

/// Everything that one proxy gets.
pub fn proxy(catalog: &Catalog, proxy: &ProxyIdentity) -> Resolved {
    proxy_with(catalog, proxy, None)
}

/// As [`proxy`], with the class of a client that need not have a pod.
pub(crate) fn proxy_with(
    catalog: &Catalog,
    proxy: &ProxyIdentity,
    client: Option<&Class>,
) -> Resolved {
    let view = View::new(catalog);
    let (plan, diagnostics) = {
        let mut builder = Builder::new(&view, proxy);
        match role_in(view.mesh(), &proxy.namespace, &proxy.service_account) {
            ProxyRole::Sidecar => builder.sidecar(),
            ProxyRole::Gateway => {
                let mut classes = client::classes(&view);
                classes.extend(client.cloned());
                builder.gateway(&classes);
            }
        }
        builder.finish()
    };
    Resolved {
        plan,
        diagnostics,
        reads: view.into_reads(),
    }
}

impl Builder<'_, '_> {
    fn gateway(&mut self, classes: &BTreeSet<Class>) {
        let access_log = self.access_log();
        self.plan.add_listener(Listener {
            name: "tunnel".to_owned(),
            role: Role::TunnelServer { port: TUNNEL_PORT },
            chains: Vec::new(),
            otherwise: None,
            server_first_ports: Vec::new(),
            access_log,
        });
        self.servers();
        self.check_policies();
        for class in classes {
            self.class(class);
        }
        if !self.view.egress_policies().is_empty() {
            prune(&mut self.plan);
        }
    }
}

/// All that is wrong or worth knowing between objects, for every gateway and every class of the
/// world. What an object says for itself alone, its parsing has told.
pub fn analyze(catalog: &Catalog) -> Vec<Diagnostic> {
    let view = View::new(catalog);
    let proxies: BTreeSet<ProxyIdentity> = client::gateway_pods(&view)
        .into_iter()
        .map(|pod| ProxyIdentity::of(pod))
        .collect();
    let mut diagnostics: Vec<Diagnostic> = proxies
        .iter()
        .flat_map(|identity| proxy(catalog, identity).diagnostics)
        .collect();
    diagnostics.sort();
    diagnostics.dedup();
    diagnostics
}
