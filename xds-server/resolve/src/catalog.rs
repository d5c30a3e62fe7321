//! The world as last seen: objects by reference, and the indexes that questions need.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use sluice_crd::{
    core::pod::Pod,
    istio::mesh_config::MeshConfig,
    object::{Kind, Object, ObjectRef, Resource},
};
use sluice_plan::host::Host;

use crate::{fact::Fact, index::Index};

/// One thing that happened to the world.
#[derive(Clone, Debug)]
pub enum Change {
    /// The object is now this.
    Upsert(Object),
    /// The object is gone.
    Delete(ObjectRef),
}

/// All objects, by reference.
#[derive(Debug)]
pub struct Catalog {
    mesh: MeshConfig,
    objects: BTreeMap<ObjectRef, Object>,
    pub(crate) index: Index,
}

impl Catalog {
    /// An empty world.
    pub fn new(mesh: MeshConfig) -> Self {
        let mut catalog = Self {
            mesh,
            objects: BTreeMap::new(),
            index: Index::default(),
        };
        catalog.reindex();
        catalog
    }

    /// The mesh config in force.
    pub fn mesh(&self) -> &MeshConfig {
        &self.mesh
    }

    /// Replaces the mesh config; true if it differs.
    pub fn set_mesh(&mut self, mesh: MeshConfig) -> bool {
        let changed = self.mesh != mesh;
        if changed {
            self.mesh = mesh;
            self.reindex();
        }
        changed
    }

    /// Applies changes, later ones over earlier, and tells which questions have new answers.
    /// An object that is equal to the one known changes no answer.
    pub fn apply(&mut self, changes: impl IntoIterator<Item = Change>) -> BTreeSet<Fact> {
        let mut facts = BTreeSet::new();
        let mut moved = false;
        for change in changes {
            let (reference, object) = match change {
                Change::Upsert(object) => (object.reference(), Some(object)),
                Change::Delete(reference) => (reference, None),
            };
            let before = match object.clone() {
                Some(object) => self.objects.insert(reference, object),
                None => self.objects.remove(&reference),
            };
            // An equal object may still stand at another place in its file; that is kept too.
            moved |= before == object && object.is_some();
            if before != object {
                for object in before.iter().chain(object.iter()) {
                    facts.extend(answers(object));
                }
            }
        }
        if moved || !facts.is_empty() {
            self.reindex();
        }
        facts
    }

    /// The objects, sorted by reference.
    pub fn objects(&self) -> impl Iterator<Item = &Object> {
        self.objects.values()
    }

    /// A pod.
    pub fn pod(&self, namespace: &str, name: &str) -> Option<&Arc<Resource<Pod>>> {
        let reference = ObjectRef {
            kind: Kind::Pod,
            namespace: namespace.to_owned(),
            name: name.to_owned(),
        };
        match self.objects.get(&reference) {
            Some(Object::Pod(pod)) => Some(pod),
            _ => None,
        }
    }

    fn reindex(&mut self) {
        self.index = Index::new(self.objects.values(), &self.mesh);
    }
}

/// The questions that an object is part of the answer to.
fn answers(object: &Object) -> Vec<Fact> {
    let meta = object.meta();
    let key = || format!("{}/{}", meta.namespace, meta.name);
    match object {
        Object::ServiceEntry(entry) => (entry.spec.hosts.iter())
            .map(|host| Fact::Host(Host::new(host)))
            .chain([Fact::Services])
            .collect(),
        Object::Service(_) => vec![Fact::Services, Fact::Endpoints(key())],
        Object::DestinationRule(rule) => vec![Fact::Rules(Host::new(&rule.spec.host))],
        Object::VirtualService(service) => match service.spec.gateways.as_slice() {
            [] => vec![Fact::MeshRoutes],
            gateways => (gateways.iter())
                .map(|gateway| match gateway.as_str() {
                    "mesh" => Fact::MeshRoutes,
                    name if name.contains('/') => Fact::GatewayRoutes(name.to_owned()),
                    name => Fact::GatewayRoutes(format!("{}/{name}", meta.namespace)),
                })
                .collect(),
        },
        Object::Gateway(_) => vec![Fact::Gateways],
        Object::Sidecar(_) => vec![Fact::Sidecars(meta.namespace.clone())],
        Object::EndpointSlice(slice) => slice
            .meta
            .labels
            .get(sluice_crd::core::endpoint_slice::SERVICE_NAME_LABEL)
            .map(|service| Fact::Endpoints(format!("{}/{service}", meta.namespace)))
            .into_iter()
            .collect(),
        Object::Pod(_) => vec![Fact::Pods, Fact::Workloads(meta.namespace.clone())],
        Object::WorkloadEntry(_) => vec![Fact::Workloads(meta.namespace.clone())],
        Object::Secret(_) => vec![Fact::Secret(key())],
        Object::AuthorizationPolicy(_) => {
            vec![Fact::AuthorizationPolicies(meta.namespace.clone())]
        }
        Object::EgressIPPool(_)
        | Object::EgressPolicy(_)
        | Object::ClusterEgressPolicy(_)
        | Object::Namespace(_) => vec![Fact::Egress],
        // Kinds that no derivation reads yet; the index still holds them for `analyze`.
        Object::RequestAuthentication(_)
        | Object::PeerAuthentication(_)
        | Object::Telemetry(_)
        | Object::ConfigMap(_) => Vec::new(),
    }
}
