//! `EgressPolicy` and `ClusterEgressPolicy`: which workloads may go where, from which address.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::istio::selector::WorkloadSelector;

/// The spec of an `EgressPolicy`: about workloads of its own namespace.
pub type EgressPolicy = Rules<Workloads>;

/// The spec of a `ClusterEgressPolicy`: about workloads of any namespace; cluster-scoped.
pub type ClusterEgressPolicy = Rules<ClusterWorkloads>;

/// Workloads, destinations, and what holds between them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Rules<W: Default> {
    /// Of two that give an address, the higher decides; default 0.
    pub priority: i32,
    /// Whether the workloads may or must not go there; default Allow.
    pub action: Action,
    /// The workloads. Required.
    pub from: Vec<W>,
    /// The destinations. Required.
    pub to: Vec<Destinations>,
    /// The addresses that connections leave from; absent means the gateway's own.
    #[serde(rename = "egressIP")]
    pub egress_ip: Option<EgressIp>,
    /// What happens when a gateway does not hold the address.
    pub when_unavailable: WhenUnavailable,
}

/// Whether workloads may or must not go somewhere.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub enum Action {
    /// They may.
    #[default]
    Allow,
    /// They must not, whatever else lets them.
    Deny,
}

/// What happens when a gateway does not hold an address.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub enum WhenUnavailable {
    /// Nothing leaves.
    #[default]
    Deny,
}

/// Workloads of the policy's namespace; all parts must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Workloads {
    /// Their service accounts; empty means any.
    pub service_accounts: Vec<String>,
    /// Their identity labels; absent means any.
    pub pod_selector: Option<WorkloadSelector>,
}

/// Workloads of some namespaces; all parts must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ClusterWorkloads {
    /// The labels of their namespaces; `{}` means every namespace. Required.
    pub namespace_selector: Option<WorkloadSelector>,
    /// Their service accounts; empty means any.
    pub service_accounts: Vec<String>,
    /// Their identity labels; absent means any.
    pub pod_selector: Option<WorkloadSelector>,
}

/// Destinations: one of the hosts or ranges, on one of the ports.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Destinations {
    /// Hosts, exact or `*.example.com`.
    pub hosts: Vec<String>,
    /// Addresses that the client dials.
    pub cidrs: Vec<String>,
    /// Those of `cidrs` that are not meant.
    pub except: Vec<String>,
    /// The ports; empty means all, which only a Deny may say.
    pub ports: Vec<PolicyPort>,
}

/// A port of destinations.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PolicyPort {
    /// Its number. Required.
    pub port: u32,
    /// What is spoken there: HTTP, TLS or TCP; may be left out by a Deny.
    pub protocol: String,
}

/// Addresses to leave from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct EgressIp {
    /// The `EgressIPPool` that they are of. Required.
    pub pool: String,
    /// The addresses; a workload leaves from one of each family. Required.
    pub addresses: Vec<IpAddr>,
}
