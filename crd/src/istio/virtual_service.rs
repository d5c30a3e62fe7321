//! `VirtualService`: where requests and connections for a host go.

pub mod fault;
pub mod http;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use http::HttpRoute;

/// The spec of a `VirtualService`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct VirtualService {
    /// Hosts that the rules apply to; wildcards allowed. Empty only in a delegate.
    pub hosts: Vec<String>,
    /// Gateways that carry the rules, `name` or `ns/name`, and `mesh`; empty means `mesh`.
    pub gateways: Vec<String>,
    /// Rules for HTTP; the first match wins.
    pub http: Vec<HttpRoute>,
    /// Rules for TLS that is not terminated; the first match wins.
    pub tls: Vec<TlsRoute>,
    /// Rules for any other connection; the first match wins.
    pub tcp: Vec<TcpRoute>,
    /// Namespaces that see this object; empty means the mesh's default.
    pub export_to: Vec<String>,
}

/// A service, or a subset of it, as a target.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Destination {
    /// Host of the service registry; a short name resolves in the rule's namespace. Required.
    pub host: String,
    /// A subset that a DestinationRule declares.
    pub subset: String,
    /// The port; may be absent when the host has one port.
    pub port: Option<PortSelector>,
}

/// A port by number.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PortSelector {
    /// The number.
    pub number: u32,
}

/// A weighted target of a TLS or TCP route.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct RouteDestination {
    /// The target. Required.
    pub destination: Destination,
    /// Its share, relative to the sum; a single target may leave it out.
    pub weight: i32,
}

/// One rule for connections with SNI.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct TlsRoute {
    /// Conditions; one of them must hold. Required.
    #[serde(rename = "match")]
    pub matches: Vec<TlsMatchAttributes>,
    /// The targets.
    pub route: Vec<RouteDestination>,
}

/// One rule for opaque connections.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct TcpRoute {
    /// Conditions; one of them must hold; none means every connection.
    #[serde(rename = "match")]
    pub matches: Vec<L4MatchAttributes>,
    /// The targets.
    pub route: Vec<RouteDestination>,
}

/// A condition on a TLS connection; all fields set must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct TlsMatchAttributes {
    /// Server names; each within the VirtualService's hosts. Required.
    pub sni_hosts: Vec<String>,
    /// Addresses or CIDRs of the original destination.
    pub destination_subnets: Vec<String>,
    /// The port that the connection was made to; 0 is any.
    pub port: u32,
    /// Labels of the client's workload.
    pub source_labels: BTreeMap<String, String>,
    /// Replaces the VirtualService's gateways for this condition.
    pub gateways: Vec<String>,
    /// Namespace of the client's workload.
    pub source_namespace: String,
}

/// A condition on an opaque connection; all fields set must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct L4MatchAttributes {
    /// Addresses or CIDRs of the original destination.
    pub destination_subnets: Vec<String>,
    /// The port that the connection was made to; 0 is any.
    pub port: u32,
    /// Accepted by Istio, never used.
    pub source_subnet: String,
    /// Labels of the client's workload.
    pub source_labels: BTreeMap<String, String>,
    /// Replaces the VirtualService's gateways for this condition.
    pub gateways: Vec<String>,
    /// Namespace of the client's workload.
    pub source_namespace: String,
}
