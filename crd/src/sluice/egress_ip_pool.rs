//! `EgressIPPool`: addresses that gateways hold, and who may leave from them.

use serde::{Deserialize, Serialize};

use crate::common::address_range::AddressRange;
use crate::istio::selector::WorkloadSelector;

/// The spec of an `EgressIPPool`; cluster-scoped.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct EgressIPPool {
    /// The addresses, IPv4 and IPv6. Required.
    pub addresses: Vec<AddressRange>,
    /// Those of them that nobody may use.
    pub exclude: Vec<AddressRange>,
    /// Gateways that may hold them, by their labels; absent means every gateway.
    pub gateway_selector: Option<WorkloadSelector>,
    /// Namespaces whose workloads may use them, by their labels; absent means none.
    pub namespace_selector: Option<WorkloadSelector>,
    /// How gateways come by the addresses; absent means that others see to it.
    pub attachment: Option<Attachment>,
}

/// How gateways come by the addresses of a pool; one of the fields.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Attachment {
    /// They are put on an interface of the node.
    pub host_network: Option<HostNetwork>,
    /// They are put on an interface of the pod's own, in the network of a parent.
    pub macvlan: Option<Macvlan>,
    /// The CNI or the cloud owns them.
    pub external: Option<External>,
}

/// Addresses on an interface of the node.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct HostNetwork {
    /// Its name. Required.
    pub interface: String,
}

/// Addresses on an interface of the pod's own.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Macvlan {
    /// The node's interface below it. Required.
    pub parent: String,
}

/// Addresses that the CNI or the cloud owns.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct External {}
