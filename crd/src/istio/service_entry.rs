//! `ServiceEntry`: a host outside (or inside) the mesh that workloads may reach.

use serde::{Deserialize, Serialize};

use super::selector::LabelSelector;
use super::workload_entry::WorkloadEntry;

/// The spec of a `ServiceEntry`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ServiceEntry {
    /// Names of the service; wildcards allowed, but `*` alone. Required.
    pub hosts: Vec<String>,
    /// Virtual addresses; CIDRs only with resolution NONE or STATIC.
    pub addresses: Vec<String>,
    /// Ports of the service.
    pub ports: Vec<ServicePort>,
    /// Outside or inside the mesh; default outside.
    pub location: Location,
    /// How its endpoints are found; default NONE.
    pub resolution: Resolution,
    /// Its endpoints; exclusive with `workloadSelector`.
    pub endpoints: Vec<WorkloadEntry>,
    /// Pods and WorkloadEntries of the namespace that are its endpoints.
    pub workload_selector: Option<LabelSelector>,
    /// Namespaces that see this object; empty means the mesh's default.
    pub export_to: Vec<String>,
    /// Accepted names in the server's certificate, where no DestinationRule says.
    pub subject_alt_names: Vec<String>,
    /// Addresses that a controller gave to the hosts, from `status.addresses`.
    #[serde(skip)]
    pub allocated_addresses: Vec<AllocatedAddress>,
}

/// A port of a service.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ServicePort {
    /// The number. Required.
    pub number: u32,
    /// HTTP, HTTPS, GRPC, GRPC-WEB, HTTP2, MONGO, TCP or TLS, in any case; empty is sniffed.
    pub protocol: String,
    /// A name, unique in its ServiceEntry. Required.
    pub name: String,
    /// The port of the endpoints; 0 means `number`.
    pub target_port: u32,
}

/// An address that a controller gave to a host.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct AllocatedAddress {
    /// The address.
    pub value: String,
    /// The host.
    pub host: String,
}

/// Whether a service belongs to the mesh.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Location {
    /// Outside: no mesh certificates.
    #[default]
    MeshExternal,
    /// Inside.
    MeshInternal,
}

/// How endpoints are found.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Resolution {
    /// The client's own choice of address.
    #[default]
    None,
    /// The listed endpoints.
    Static,
    /// DNS, all addresses.
    Dns,
    /// DNS, the first address.
    DnsRoundRobin,
    /// DNS of the name that the client asked for; for wildcards.
    DynamicDns,
}
