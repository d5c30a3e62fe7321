//! Who asks: the role of a pod, and the classes of clients.
//!
//! A pod is a gateway if its namespace and service account are those of a fleet in the mesh
//! config; labels alone never make one. All other pods with equal namespace, service account and
//! identity labels are one class, and the rules are evaluated once for it.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use sluice_crd::{
    core::pod::Pod,
    istio::mesh_config::{GatewayAccount, MeshConfig},
    object::Resource,
};
use sluice_plan::identity::ClassId;

use crate::{catalog::Catalog, view::View};

/// What a proxy is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProxyRole {
    /// Sends traffic out.
    Gateway,
    /// Carries one pod's traffic to a gateway.
    Sidecar,
}

/// A proxy, as its certificate and its Pod say.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ProxyIdentity {
    /// Namespace of the pod.
    pub namespace: String,
    /// Service account of the pod.
    pub service_account: String,
    /// Labels of the Pod object.
    pub labels: BTreeMap<String, String>,
    /// Name of the pod.
    pub name: String,
}

/// Clients with equal namespace, service account and identity labels.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Class {
    /// Hash of the other fields, as the CA signs it.
    pub id: ClassId,
    /// Namespace of the pods.
    pub namespace: String,
    /// Service account of the pods.
    pub service_account: String,
    /// Identity labels that the pods carry.
    pub labels: BTreeMap<String, String>,
}

impl Class {
    /// The class of clients with this account and, of `labels`, those that make identity.
    pub fn new(
        mesh: &MeshConfig,
        namespace: &str,
        service_account: &str,
        labels: &BTreeMap<String, String>,
    ) -> Self {
        let labels: BTreeMap<String, String> = (mesh.sluice.identity_labels.iter())
            .filter_map(|key| Some((key.clone(), labels.get(key)?.clone())))
            .collect();
        let id = ClassId::of(
            namespace,
            service_account,
            labels
                .iter()
                .map(|(key, value)| (key.as_str(), value.as_str())),
        );
        Self {
            id,
            namespace: namespace.to_owned(),
            service_account: service_account.to_owned(),
            labels,
        }
    }
}

/// The role of pods of this account.
pub fn role(catalog: &Catalog, namespace: &str, service_account: &str) -> ProxyRole {
    role_in(catalog.mesh(), namespace, service_account)
}

pub(crate) fn role_in(mesh: &MeshConfig, namespace: &str, service_account: &str) -> ProxyRole {
    let account = GatewayAccount {
        namespace: namespace.to_owned(),
        service_account: service_account.to_owned(),
    };
    if mesh.gateways().contains(&account) {
        ProxyRole::Gateway
    } else {
        ProxyRole::Sidecar
    }
}

/// The class of a pod; `None` for gateways.
pub fn class_of(catalog: &Catalog, pod: &Resource<Pod>) -> Option<ClassId> {
    class_in(catalog.mesh(), pod).map(|class| class.id)
}

fn class_in(mesh: &MeshConfig, pod: &Resource<Pod>) -> Option<Class> {
    let namespace = &pod.meta.namespace;
    let account = &pod.spec.service_account_name;
    match role_in(mesh, namespace, account) {
        ProxyRole::Gateway => None,
        ProxyRole::Sidecar => Some(Class::new(mesh, namespace, account, &pod.meta.labels)),
    }
}

/// The classes of all pods.
pub(crate) fn classes(view: &View<'_>) -> BTreeSet<Class> {
    let mesh = view.mesh();
    view.pods().filter_map(|pod| class_in(mesh, pod)).collect()
}

/// The pods of all fleets.
pub(crate) fn gateway_pods<'a>(view: &View<'a>) -> Vec<&'a Arc<Resource<Pod>>> {
    let mesh = view.mesh();
    view.pods()
        .filter(|pod| {
            role_in(mesh, &pod.meta.namespace, &pod.spec.service_account_name) == ProxyRole::Gateway
        })
        .collect()
}

impl ProxyIdentity {
    /// The proxy in a pod.
    pub fn of(pod: &Resource<Pod>) -> Self {
        Self {
            namespace: pod.meta.namespace.clone(),
            service_account: pod.spec.service_account_name.clone(),
            labels: pod.meta.labels.clone(),
            name: pod.meta.name.clone(),
        }
    }
}
