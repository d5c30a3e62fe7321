//! What a class sees: `exportTo` of objects, narrowed by the Sidecar of its namespace.

use std::{collections::BTreeMap, sync::Arc};

use sluice_crd::{
    diagnostic::Severity,
    istio::{sidecar::Sidecar, virtual_service::VirtualService},
    object::Resource,
};
use sluice_plan::host::Host;

use super::{Block, Scope};
use crate::{
    builder::Builder, client::Class, index::full_name, policy::selects, visibility::Visibility,
};

/// One entry of a Sidecar's `egress.hosts`: `NAMESPACE/HOST`, or `~NAMESPACE/HOST` to exclude.
struct Admitted {
    namespace: String,
    host: Host,
    excludes: bool,
}

impl Builder<'_, '_> {
    pub(super) fn scope<'c>(&mut self, class: &'c Class) -> Scope<'c> {
        let admitted = self
            .sidecar_of(class)
            .map(|sidecar| admitted(&sidecar, &class.namespace));
        let admits = |namespace: &str, host: &Host| {
            admitted.as_ref().is_none_or(|entries| {
                let matches = |entry: &&Admitted| {
                    (entry.namespace == "*" || entry.namespace == namespace)
                        && entry.host.overlaps(host)
                };
                let mut found = entries.iter().filter(matches).peekable();
                found.peek().is_some() && found.all(|entry| !entry.excludes)
            })
        };
        let mut services = self.view.services(&class.namespace);
        services
            .retain(|host, service| !service.is_kubernetes() && admits(&service.namespace, host));
        let default = &self.view.mesh().default_virtual_service_export_to;
        let routes: Vec<Arc<Resource<VirtualService>>> = (self.view.mesh_routes().iter())
            .filter(|route| sees(route, default, &class.namespace))
            .filter(|route| {
                let mut hosts = route
                    .spec
                    .hosts
                    .iter()
                    .map(|host| full_name(host, &route.meta.namespace));
                hosts.any(|host| admits(&route.meta.namespace, &host))
            })
            .cloned()
            .collect();
        let mut by_host = BTreeMap::new();
        for route in &routes {
            for (index, host) in route.spec.hosts.iter().enumerate() {
                let host = full_name(host, &route.meta.namespace);
                for block in Block::ALL {
                    if !block.is_in(&route.spec) {
                        continue;
                    }
                    let entry = by_host.entry((block, host.clone()));
                    let older: &Arc<Resource<VirtualService>> =
                        entry.or_insert_with(|| route.clone());
                    if !Arc::ptr_eq(older, route) {
                        let message = format!(
                            "host {host} is routed by the older VirtualService {}/{}, this one is not used for it",
                            older.meta.namespace, older.meta.name
                        );
                        self.report(
                            Severity::Warning,
                            "IST0109",
                            route,
                            format_args!("spec.hosts[{index}]"),
                            message,
                        );
                    }
                }
            }
        }
        Scope {
            class,
            services,
            by_port: BTreeMap::new(),
            by_host,
        }
    }

    /// The Sidecar for a class: the oldest whose selector holds, else the namespace's own, else
    /// the root namespace's. A selector on labels that are no part of identity cannot hold.
    fn sidecar_of(&mut self, class: &Class) -> Option<Arc<Resource<Sidecar>>> {
        let mesh = self.view.mesh();
        let own = self.view.sidecars(&class.namespace);
        let selector = |sidecar: &Resource<Sidecar>| {
            sidecar
                .spec
                .workload_selector
                .clone()
                .map(|selector| selector.labels)
                .unwrap_or_default()
        };
        for sidecar in own {
            let foreign = selector(sidecar)
                .into_keys()
                .find(|key| !mesh.sluice.identity_labels.contains(key));
            if let Some(key) = foreign {
                self.report(
                    Severity::Error,
                    "SLU0101",
                    sidecar,
                    format_args!("spec.workloadSelector.labels.{key}"),
                    format!("label {key} is no identity label, so no workload can be selected by it; add it to sluice.identityLabels of the mesh config"),
                );
            }
        }
        (own.iter())
            .find(|sidecar| {
                !selector(sidecar).is_empty() && selects(&selector(sidecar), &class.labels)
            })
            .or_else(|| own.iter().find(|sidecar| selector(sidecar).is_empty()))
            .or_else(|| {
                let root = self.view.sidecars(&mesh.root_namespace);
                root.iter().find(|sidecar| selector(sidecar).is_empty())
            })
            .cloned()
    }
}

fn admitted(sidecar: &Resource<Sidecar>, namespace: &str) -> Vec<Admitted> {
    let hosts = sidecar
        .spec
        .egress
        .iter()
        .flat_map(|listener| &listener.hosts);
    let mut entries: Vec<Admitted> = hosts
        .filter_map(|entry| {
            let (of, host) = entry.split_once('/')?;
            let (excludes, of) = match of.strip_prefix('~') {
                // `~/*` is Istio's "nothing"; it admits no namespace.
                Some("") => return None,
                Some(excluded) => (true, excluded),
                None => (false, of),
            };
            let of = if of == "." { namespace } else { of };
            Some(Admitted {
                namespace: of.to_owned(),
                host: Host::new(host),
                excludes,
            })
        })
        .collect();
    // A Sidecar without egress admits everything, as Istio's default does.
    if sidecar.spec.egress.is_empty() {
        entries.push(Admitted {
            namespace: "*".to_owned(),
            host: Host::new("*"),
            excludes: false,
        });
    }
    entries
}

/// Whether `namespace` may see a VirtualService.
pub(crate) fn sees(route: &Resource<VirtualService>, default: &[String], namespace: &str) -> bool {
    Visibility::new(&route.spec.export_to, default, &route.meta.namespace).includes(namespace)
}
