//! The catalog's objects, arranged as questions ask for them. Every list is sorted, older first.

use std::{collections::BTreeMap, sync::Arc};

use sluice_crd::{
    core::{endpoint_slice::EndpointSlice, pod::Pod, secret::Secret},
    istio::{
        authorization_policy::AuthorizationPolicy, destination_rule::DestinationRule,
        gateway::Gateway, mesh_config::MeshConfig, sidecar::Sidecar,
        virtual_service::VirtualService, workload_entry::WorkloadEntry,
    },
    object::{Object, Resource},
    sluice::egress_ip_pool::EgressIPPool,
};
use sluice_plan::host::Host;

use crate::{
    egress::{Rule, Written},
    precedence,
    service::{self, Service},
};

/// Objects by what asks for them.
#[derive(Debug, Default)]
pub(crate) struct Index {
    pub(crate) services: BTreeMap<Host, Vec<Arc<Service>>>,
    pub(crate) rules: BTreeMap<Host, Vec<Arc<Resource<DestinationRule>>>>,
    pub(crate) mesh_routes: Vec<Arc<Resource<VirtualService>>>,
    pub(crate) gateway_routes: BTreeMap<String, Vec<Arc<Resource<VirtualService>>>>,
    pub(crate) gateways: Vec<Arc<Resource<Gateway>>>,
    pub(crate) sidecars: BTreeMap<String, Vec<Arc<Resource<Sidecar>>>>,
    pub(crate) slices: BTreeMap<String, Vec<Arc<Resource<EndpointSlice>>>>,
    pub(crate) workload_entries: BTreeMap<String, Vec<Arc<Resource<WorkloadEntry>>>>,
    pub(crate) pods: BTreeMap<String, Vec<Arc<Resource<Pod>>>>,
    pub(crate) authorization_policies: BTreeMap<String, Vec<Arc<Resource<AuthorizationPolicy>>>>,
    pub(crate) secrets: BTreeMap<String, Arc<Resource<Secret>>>,
    /// Higher priority first, then older.
    pub(crate) egress_policies: Vec<Arc<Rule>>,
    pub(crate) pools: BTreeMap<String, Arc<Resource<EgressIPPool>>>,
    /// Labels.
    pub(crate) namespaces: BTreeMap<String, BTreeMap<String, String>>,
}

/// The full name of a gateway that a VirtualService of `namespace` lists.
pub(crate) fn gateway_name(listed: &str, namespace: &str) -> String {
    match listed {
        "mesh" => listed.to_owned(),
        name if name.contains('/') => name.to_owned(),
        name => format!("{namespace}/{name}"),
    }
}

impl Index {
    pub(crate) fn new<'a>(objects: impl Iterator<Item = &'a Object>, mesh: &MeshConfig) -> Self {
        let mut index = Self::default();
        let mut services: Vec<Service> = Vec::new();
        let mut routes = Vec::new();
        for object in objects {
            let namespace = object.meta().namespace.clone();
            match object {
                Object::ServiceEntry(entry) => services.extend(service::of_entry(entry, mesh)),
                Object::Service(kubernetes) => {
                    services.push(service::of_kubernetes(kubernetes, mesh))
                }
                Object::DestinationRule(rule) => {
                    let host = rule_host(rule);
                    index.rules.entry(host).or_default().push(rule.clone());
                }
                Object::VirtualService(service) => routes.push(service.clone()),
                Object::Gateway(gateway) => index.gateways.push(gateway.clone()),
                Object::Sidecar(sidecar) => {
                    index
                        .sidecars
                        .entry(namespace)
                        .or_default()
                        .push(sidecar.clone());
                }
                Object::EndpointSlice(slice) => {
                    let label = sluice_crd::core::endpoint_slice::SERVICE_NAME_LABEL;
                    if let Some(service) = slice.meta.labels.get(label) {
                        index
                            .slices
                            .entry(format!("{namespace}/{service}"))
                            .or_default()
                            .push(slice.clone());
                    }
                }
                Object::WorkloadEntry(entry) => {
                    index
                        .workload_entries
                        .entry(namespace)
                        .or_default()
                        .push(entry.clone());
                }
                Object::Pod(pod) => index.pods.entry(namespace).or_default().push(pod.clone()),
                Object::Secret(secret) => {
                    index
                        .secrets
                        .insert(format!("{namespace}/{}", secret.meta.name), secret.clone());
                }
                Object::AuthorizationPolicy(policy) => {
                    index
                        .authorization_policies
                        .entry(namespace)
                        .or_default()
                        .push(policy.clone());
                }
                Object::RequestAuthentication(_)
                | Object::PeerAuthentication(_)
                | Object::Telemetry(_)
                | Object::ConfigMap(_) => {}
                Object::EgressPolicy(policy) => {
                    index
                        .egress_policies
                        .push(Arc::new(Rule::of_namespace(policy)));
                }
                Object::ClusterEgressPolicy(policy) => {
                    index
                        .egress_policies
                        .push(Arc::new(Rule::of_cluster(policy)));
                }
                Object::EgressIPPool(pool) => {
                    index.pools.insert(pool.meta.name.clone(), pool.clone());
                }
                Object::Namespace(of) => {
                    (index.namespaces).insert(of.meta.name.clone(), of.meta.labels.clone());
                }
            }
        }
        for service in services {
            index
                .services
                .entry(service.host.clone())
                .or_default()
                .push(Arc::new(service));
        }
        index
            .rules
            .values_mut()
            .for_each(|rules| precedence::sort(rules));
        index
            .sidecars
            .values_mut()
            .for_each(|sidecars| precedence::sort(sidecars));
        index
            .authorization_policies
            .values_mut()
            .for_each(|policies| precedence::sort(policies));
        precedence::sort(&mut index.gateways);
        (index.egress_policies).sort_by(|a, b| {
            let kind = |rule: &Rule| matches!(rule.object, Written::Own(_));
            (b.priority.cmp(&a.priority))
                .then_with(|| a.age.cmp(&b.age))
                .then_with(|| kind(a).cmp(&kind(b)))
        });
        precedence::sort(&mut routes);
        for service in routes {
            let namespace = &service.meta.namespace;
            let mesh_only = ["mesh".to_owned()];
            let listed = match service.spec.gateways.as_slice() {
                [] => &mesh_only[..],
                gateways => gateways,
            };
            for gateway in listed {
                match gateway_name(gateway, namespace).as_str() {
                    "mesh" => index.mesh_routes.push(service.clone()),
                    name => index
                        .gateway_routes
                        .entry(name.to_owned())
                        .or_default()
                        .push(service.clone()),
                }
            }
        }
        index
    }
}

/// The host of a DestinationRule, a short name made full in the rule's namespace.
pub(crate) fn rule_host(rule: &Resource<DestinationRule>) -> Host {
    full_name(&rule.spec.host, &rule.meta.namespace)
}

/// The host that `name` means in an object of `namespace`: names without a dot are Services.
pub(crate) fn full_name(name: &str, namespace: &str) -> Host {
    if name.contains('.') || name.starts_with('*') {
        Host::new(name)
    } else {
        Host::new(&format!("{name}.{namespace}.svc.cluster.local"))
    }
}
