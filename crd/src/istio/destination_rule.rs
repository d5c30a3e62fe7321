//! `DestinationRule`: how connections to a host are made once it is chosen.

pub mod connection_pool;
pub mod load_balancer;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::selector::WorkloadSelector;
use super::virtual_service::PortSelector;
use crate::common::duration::Duration;
use crate::common::percent::{self, Percent};
use connection_pool::{ConnectionPoolSettings, OutlierDetection};
use load_balancer::LoadBalancerSettings;

/// The spec of a `DestinationRule`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct DestinationRule {
    /// Host of the service registry; wildcards allowed. Required.
    pub host: String,
    /// The policy of all subsets and ports.
    pub traffic_policy: Option<TrafficPolicy>,
    /// Named parts of the host's endpoints.
    pub subsets: Vec<Subset>,
    /// Namespaces that see this object; empty means the mesh's default.
    pub export_to: Vec<String>,
    /// Client workloads of the same namespace; absent means all.
    pub workload_selector: Option<WorkloadSelector>,
}

/// A named part of a host's endpoints.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Subset {
    /// Its name. Required.
    pub name: String,
    /// Labels that its endpoints carry.
    pub labels: BTreeMap<String, String>,
    /// Overrides the rule's policy, block by block.
    pub traffic_policy: Option<TrafficPolicy>,
}

/// How connections are made.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct TrafficPolicy {
    /// Choice of the endpoint.
    pub load_balancer: Option<LoadBalancerSettings>,
    /// Limits of connections and requests.
    pub connection_pool: Option<ConnectionPoolSettings>,
    /// Ejection of failing endpoints.
    pub outlier_detection: Option<OutlierDetection>,
    /// TLS towards the endpoint.
    pub tls: Option<ClientTlsSettings>,
    /// Policies of single ports; each replaces the blocks above wholesale.
    pub port_level_settings: Vec<PortTrafficPolicy>,
    /// CONNECT through this host to another one.
    pub tunnel: Option<TunnelSettings>,
    /// PROXY protocol towards the endpoint.
    pub proxy_protocol: Option<ProxyProtocol>,
    /// Limit of concurrent retries.
    pub retry_budget: Option<RetryBudget>,
}

/// The policy of one port.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PortTrafficPolicy {
    /// The port. Required.
    pub port: Option<PortSelector>,
    /// Choice of the endpoint.
    pub load_balancer: Option<LoadBalancerSettings>,
    /// Limits of connections and requests.
    pub connection_pool: Option<ConnectionPoolSettings>,
    /// Ejection of failing endpoints.
    pub outlier_detection: Option<OutlierDetection>,
    /// TLS towards the endpoint.
    pub tls: Option<ClientTlsSettings>,
}

/// A tunnel through the host, for TCP and TLS routes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct TunnelSettings {
    /// CONNECT or POST; empty means CONNECT.
    pub protocol: String,
    /// The host at the tunnel's end. Required.
    pub target_host: String,
    /// The port at the tunnel's end. Required.
    pub target_port: u32,
}

/// PROXY protocol towards the endpoint.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ProxyProtocol {
    /// Its version; default V1.
    pub version: ProxyProtocolVersion,
}

/// A version of the PROXY protocol.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum ProxyProtocolVersion {
    /// The text form.
    #[default]
    V1,
    /// The binary form.
    V2,
}

/// Limit of concurrent retries, relative to active requests.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct RetryBudget {
    /// Share of the active requests; absent means 20 %.
    #[serde(with = "percent::number")]
    pub percent: Option<Percent>,
    /// Retries that are always allowed; 0 means 3.
    pub min_retry_concurrency: u32,
    /// Window over which requests are counted.
    pub budget_interval: Option<Duration>,
}

/// TLS as the client side of a connection.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ClientTlsSettings {
    /// Whether and how; default DISABLE.
    pub mode: ClientTlsMode,
    /// File of the client's certificate chain, for MUTUAL.
    pub client_certificate: String,
    /// File of the client's key, for MUTUAL.
    pub private_key: String,
    /// File of the CA certificates; empty means the system's.
    pub ca_certificates: String,
    /// Name of the Secret with client certificate, key and CA; exclusive with files.
    pub credential_name: String,
    /// Accepted names in the server's certificate.
    pub subject_alt_names: Vec<String>,
    /// The server name to send.
    pub sni: String,
    /// Accept any server certificate.
    pub insecure_skip_verify: Option<bool>,
    /// File of the certificate revocation list.
    pub ca_crl: String,
}

/// Whether a client uses TLS.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum ClientTlsMode {
    /// No TLS.
    #[default]
    Disable,
    /// TLS with a server certificate.
    Simple,
    /// TLS with a client certificate of the user's.
    Mutual,
    /// TLS with the mesh's certificates.
    IstioMutual,
}
