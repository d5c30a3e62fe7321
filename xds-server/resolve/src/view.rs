//! The only way in which a derivation reads the world: it answers, and remembers what was asked.

use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use sluice_crd::{
    core::{endpoint_slice::EndpointSlice, pod::Pod, secret::Secret},
    istio::{
        authorization_policy::AuthorizationPolicy, destination_rule::DestinationRule,
        gateway::Gateway, mesh_config::MeshConfig, sidecar::Sidecar,
        virtual_service::VirtualService, workload_entry::WorkloadEntry,
    },
    object::Resource,
    sluice::egress_ip_pool::EgressIPPool,
};
use sluice_plan::host::Host;

use crate::{
    catalog::Catalog,
    egress::Rule,
    fact::Fact,
    service::{self, Service},
};

/// A view of the world that records the questions asked of it.
#[derive(Debug)]
pub struct View<'a> {
    catalog: &'a Catalog,
    reads: RefCell<BTreeSet<Fact>>,
}

impl<'a> View<'a> {
    /// A view of which nothing was asked yet.
    pub fn new(catalog: &'a Catalog) -> Self {
        Self {
            catalog,
            reads: RefCell::default(),
        }
    }

    /// The questions that were asked.
    pub fn into_reads(self) -> BTreeSet<Fact> {
        self.reads.into_inner()
    }

    fn asks(&self, fact: Fact) {
        self.reads.borrow_mut().insert(fact);
    }

    pub(crate) fn mesh(&self) -> &'a MeshConfig {
        self.asks(Fact::Mesh);
        self.catalog.mesh()
    }

    /// The service that `namespace` gets for exactly this host.
    pub(crate) fn service(&self, host: &Host, namespace: &str) -> Option<Arc<Service>> {
        self.asks(Fact::Host(host.clone()));
        service::winner(self.catalog.index.services.get(host)?, namespace)
    }

    /// The services that `namespace` gets, by host.
    pub(crate) fn services(&self, namespace: &str) -> BTreeMap<Host, Arc<Service>> {
        self.asks(Fact::Services);
        (self.catalog.index.services.iter())
            .filter_map(|(host, candidates)| {
                Some((host.clone(), service::winner(candidates, namespace)?))
            })
            .collect()
    }

    /// The DestinationRules written for exactly this host, older first.
    pub(crate) fn rules(&self, host: &Host) -> &'a [Arc<Resource<DestinationRule>>] {
        self.asks(Fact::Rules(host.clone()));
        self.catalog
            .index
            .rules
            .get(host)
            .map_or(&[], Vec::as_slice)
    }

    /// The VirtualServices bound to the mesh, older first.
    pub(crate) fn mesh_routes(&self) -> &'a [Arc<Resource<VirtualService>>] {
        self.asks(Fact::MeshRoutes);
        &self.catalog.index.mesh_routes
    }

    /// The VirtualServices bound to the Gateway `NAMESPACE/NAME`, older first.
    pub(crate) fn gateway_routes(&self, gateway: &str) -> &'a [Arc<Resource<VirtualService>>] {
        self.asks(Fact::GatewayRoutes(gateway.to_owned()));
        self.catalog
            .index
            .gateway_routes
            .get(gateway)
            .map_or(&[], Vec::as_slice)
    }

    /// All Gateways, older first.
    pub(crate) fn gateways(&self) -> &'a [Arc<Resource<Gateway>>] {
        self.asks(Fact::Gateways);
        &self.catalog.index.gateways
    }

    /// The Sidecars of a namespace, older first.
    pub(crate) fn sidecars(&self, namespace: &str) -> &'a [Arc<Resource<Sidecar>>] {
        self.asks(Fact::Sidecars(namespace.to_owned()));
        self.catalog
            .index
            .sidecars
            .get(namespace)
            .map_or(&[], Vec::as_slice)
    }

    /// The EndpointSlices of the Service `NAMESPACE/NAME`.
    pub(crate) fn slices(&self, service: &str) -> &'a [Arc<Resource<EndpointSlice>>] {
        self.asks(Fact::Endpoints(service.to_owned()));
        self.catalog
            .index
            .slices
            .get(service)
            .map_or(&[], Vec::as_slice)
    }

    /// The WorkloadEntries of a namespace.
    pub(crate) fn workload_entries(&self, namespace: &str) -> &'a [Arc<Resource<WorkloadEntry>>] {
        self.asks(Fact::Workloads(namespace.to_owned()));
        self.catalog
            .index
            .workload_entries
            .get(namespace)
            .map_or(&[], Vec::as_slice)
    }

    /// The pods of a namespace.
    pub(crate) fn pods_of(&self, namespace: &str) -> &'a [Arc<Resource<Pod>>] {
        self.asks(Fact::Workloads(namespace.to_owned()));
        self.catalog
            .index
            .pods
            .get(namespace)
            .map_or(&[], Vec::as_slice)
    }

    /// All pods.
    pub(crate) fn pods(&self) -> impl Iterator<Item = &'a Arc<Resource<Pod>>> {
        self.asks(Fact::Pods);
        self.catalog.index.pods.values().flatten()
    }

    /// The EgressPolicies and ClusterEgressPolicies, those that decide first coming first.
    pub(crate) fn egress_policies(&self) -> &'a [Arc<Rule>] {
        self.asks(Fact::Egress);
        &self.catalog.index.egress_policies
    }

    /// An EgressIPPool.
    pub(crate) fn pool(&self, name: &str) -> Option<&'a Arc<Resource<EgressIPPool>>> {
        self.asks(Fact::Egress);
        self.catalog.index.pools.get(name)
    }

    /// The labels of a namespace, with the one that Kubernetes gives to each.
    pub(crate) fn namespace_labels(&self, namespace: &str) -> BTreeMap<String, String> {
        self.asks(Fact::Egress);
        let declared = self.catalog.index.namespaces.get(namespace);
        let mut labels = declared.cloned().unwrap_or_default();
        labels.insert(
            "kubernetes.io/metadata.name".to_owned(),
            namespace.to_owned(),
        );
        labels
    }

    /// The AuthorizationPolicies of a namespace, older first.
    pub(crate) fn authorization_policies(
        &self,
        namespace: &str,
    ) -> &'a [Arc<Resource<AuthorizationPolicy>>] {
        self.asks(Fact::AuthorizationPolicies(namespace.to_owned()));
        self.catalog
            .index
            .authorization_policies
            .get(namespace)
            .map_or(&[], Vec::as_slice)
    }

    /// A Secret.
    pub(crate) fn secret(&self, namespace: &str, name: &str) -> Option<&'a Arc<Resource<Secret>>> {
        let key = format!("{namespace}/{name}");
        self.asks(Fact::Secret(key.clone()));
        self.catalog.index.secrets.get(&key)
    }
}
