//! `sluice translate`: exactly what one proxy would get.

use std::{collections::BTreeMap, process::ExitCode};

use anyhow::{bail, ensure};
use clap::Args;
use sluice_resolve::{Catalog, ProxyIdentity, ProxyRole, proxy, role};
use sluice_runtime::node::NodeId;
use sluice_translate::{
    print::{Redaction, resources},
    render, static_bootstrap,
};

use super::{Format, input::Input, print_value};

/// Print the Envoy configuration that one proxy would get
///
/// Without a cluster and without a running control plane: the same functions as `sluice serve`,
/// applied to files. Key material is not shown unless asked for.
///
/// Labels and service account come from the proxy's Pod if it is among the objects.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  sluice translate -f config/ --labels istio=egressgateway \\
      --proxy router~10.0.0.7~egress-0.istio-system~istio-system.svc.cluster.local
  sluice translate -f config/ --static \\
      --proxy sidecar~10.0.0.9~web-0.shop~shop.svc.cluster.local > envoy.json
  envoy --mode validate -c envoy.json")]
pub(super) struct Translate {
    /// Node id: router~IP~POD.NS~NS.svc.cluster.local for a gateway, sidecar~… for a workload
    #[arg(long, value_name = "NODE_ID")]
    proxy: NodeId,

    /// Labels of the proxy's Pod, if it is not among the objects
    #[arg(long, value_name = "K=V,…", value_delimiter = ',', value_parser = label)]
    labels: Vec<(String, String)>,

    /// Service account of the proxy's Pod, if it is not among the objects [default: the fleet's
    /// for routers, else default]
    #[arg(long, value_name = "NAME")]
    service_account: Option<String>,

    /// How to write it
    #[arg(short, long, value_name = "FORMAT", default_value = "json")]
    output: Format,

    /// A whole bootstrap that stock Envoy accepts as it is, offline
    #[arg(long = "static")]
    is_static: bool,

    /// Show private keys
    #[arg(long)]
    show_secrets: bool,

    #[command(flatten)]
    input: Input,
}

impl Translate {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        let world = self.input.read()?;
        super::warn_of(&world.diagnostics);
        let identity = self.identity(&world.catalog)?;
        let resolved = proxy(&world.catalog, &identity);
        let value = match self.is_static {
            true => {
                let redaction = match self.show_secrets {
                    true => Redaction::Show,
                    false => Redaction::Placeholder,
                };
                static_bootstrap(&resolved.plan, &self.proxy.to_string(), redaction)?
            }
            false => {
                let redaction = match self.show_secrets {
                    true => Redaction::Show,
                    false => Redaction::Hide,
                };
                let rendered = render(&resolved.plan, None);
                resources(rendered.values().map(|one| &**one), redaction)?
            }
        };
        print_value(&value, self.output)?;
        Ok(ExitCode::SUCCESS)
    }

    fn identity(&self, catalog: &Catalog) -> anyhow::Result<ProxyIdentity> {
        let NodeId {
            role: said,
            pod,
            namespace,
            ..
        } = &self.proxy;
        let identity = match catalog.pod(namespace, pod) {
            Some(found) => {
                ensure!(
                    self.labels.is_empty() && self.service_account.is_none(),
                    "pod {namespace}/{pod} is among the objects: its own labels and service account count"
                );
                ProxyIdentity {
                    namespace: namespace.clone(),
                    service_account: found.spec.service_account_name.clone(),
                    labels: found.meta.labels.clone(),
                    name: pod.clone(),
                }
            }
            None => ProxyIdentity {
                namespace: namespace.clone(),
                service_account: self.service_account(catalog)?,
                labels: self.labels.iter().cloned().collect::<BTreeMap<_, _>>(),
                name: pod.clone(),
            },
        };
        let account = &identity.service_account;
        match (said, role(catalog, namespace, account)) {
            (ProxyRole::Gateway, ProxyRole::Sidecar) => bail!(
                "service account {namespace}/{account} is not a gateway's; gateways are those of the mesh config, `sluice.gateways`"
            ),
            (ProxyRole::Sidecar, ProxyRole::Gateway) => bail!(
                "service account {namespace}/{account} is a gateway's; ask for router~… instead"
            ),
            (ProxyRole::Gateway, ProxyRole::Gateway) | (ProxyRole::Sidecar, ProxyRole::Sidecar) => {
                Ok(identity)
            }
        }
    }

    fn service_account(&self, catalog: &Catalog) -> anyhow::Result<String> {
        if let Some(name) = &self.service_account {
            return Ok(name.clone());
        }
        let namespace = &self.proxy.namespace;
        match self.proxy.role {
            ProxyRole::Sidecar => Ok("default".to_owned()),
            ProxyRole::Gateway => {
                let fleets = catalog.mesh().gateways();
                let fleet = fleets
                    .into_iter()
                    .find(|fleet| fleet.namespace == *namespace);
                match fleet {
                    Some(fleet) => Ok(fleet.service_account),
                    None => bail!(
                        "no service account of namespace {namespace} is a gateway's; declare it in the mesh config, `sluice.gateways`"
                    ),
                }
            }
        }
    }
}

/// `KEY=VALUE`.
pub(super) fn label(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        Some(_) | None => Err(format!("`{text}` is not of the form KEY=VALUE")),
    }
}
