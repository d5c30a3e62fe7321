//! One proxy's plan under construction.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::Arc,
};

use sluice_crd::{
    diagnostic::{Diagnostic, Severity, Subject},
    istio::mesh_config::AccessLogEncoding,
};
use sluice_plan::{
    address::Cidr,
    destination::{Destination, Resolution},
    listener::{AccessLog, Encoding},
    proxy::{BLACK_HOLE, ProxyPlan},
};

use crate::{
    authorization::Policies,
    client::{Class, ProxyIdentity},
    destination::Target,
    egress::Egress,
    gateway::Group,
    view::View,
};

/// For whom a half of a VirtualService is evaluated.
#[derive(Clone, Debug)]
pub(crate) enum Half<'a> {
    /// The `mesh` half, as the sidecar of a client would.
    Mesh(&'a Class),
    /// A Gateway's half, as the gateway proxy would.
    Gateway(&'a ProxyIdentity),
}

impl<'a> Half<'a> {
    pub(crate) fn namespace(&self) -> &'a str {
        match self {
            Self::Mesh(class) => &class.namespace,
            Self::Gateway(proxy) => &proxy.namespace,
        }
    }

    pub(crate) fn labels(&self) -> &'a BTreeMap<String, String> {
        match self {
            Self::Mesh(class) => &class.labels,
            Self::Gateway(proxy) => &proxy.labels,
        }
    }
}

/// A plan under construction, with what it reads and reports.
pub(crate) struct Builder<'v, 'a> {
    pub(crate) view: &'v View<'a>,
    pub(crate) proxy: &'v ProxyIdentity,
    pub(crate) plan: ProxyPlan,
    /// The servers of this proxy, once asked for.
    pub(crate) groups: Option<Arc<[Group]>>,
    /// The addresses that clients dialled on the way that is being built, where its chain asks
    /// for them.
    pub(crate) dialled: Option<Vec<Cidr>>,
    /// The EgressPolicies of the class that is being built.
    pub(crate) egress: Egress,
    /// What the destinations were made for, by name.
    pub(crate) targets: BTreeMap<String, Target>,
    /// The copies of internal listeners that leave from some address, by name.
    pub(crate) left: BTreeSet<String>,
    /// The AuthorizationPolicies of this proxy, once asked for.
    pub(crate) policies: Option<Policies>,
    diagnostics: Vec<Diagnostic>,
}

impl<'v, 'a> Builder<'v, 'a> {
    pub(crate) fn new(view: &'v View<'a>, proxy: &'v ProxyIdentity) -> Self {
        let mut plan = ProxyPlan::default();
        plan.add_destination(Destination::new(BLACK_HOLE, Resolution::Nowhere));
        Self {
            view,
            proxy,
            plan,
            groups: None,
            dialled: None,
            egress: Egress::default(),
            targets: BTreeMap::new(),
            left: BTreeSet::new(),
            policies: None,
            diagnostics: Vec::new(),
        }
    }

    /// Reports something about `subject` at `field`.
    pub(crate) fn report(
        &mut self,
        severity: Severity,
        code: &'static str,
        subject: &(impl Subject + ?Sized),
        field: fmt::Arguments<'_>,
        message: impl Into<String>,
    ) {
        self.diagnostics.push(Diagnostic::new(
            severity,
            code,
            subject,
            field.to_string(),
            message,
        ));
    }

    /// The plan, and what there was to report: sorted, each once.
    pub(crate) fn finish(mut self) -> (ProxyPlan, Vec<Diagnostic>) {
        self.diagnostics.sort();
        self.diagnostics.dedup();
        (self.plan, self.diagnostics)
    }

    /// How connections are logged, as the mesh config says.
    pub(crate) fn access_log(&self) -> AccessLog {
        access_log(self.view)
    }
}

/// How connections are logged, as the mesh config says.
pub(crate) fn access_log(view: &View<'_>) -> AccessLog {
    let mesh = view.mesh();
    AccessLog {
        encoding: match mesh.access_log_encoding {
            AccessLogEncoding::Text => Encoding::Text,
            AccessLogEncoding::Json => Encoding::Json,
        },
        format: Some(mesh.access_log_format.clone()).filter(|format| !format.is_empty()),
        file: Some(mesh.access_log_file.clone())
            .filter(|file| !file.is_empty() && file != "/dev/stdout"),
    }
}
