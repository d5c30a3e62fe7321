//! `Sidecar`: what the proxies of a namespace may see.

use serde::{Deserialize, Serialize};

use super::destination_rule::connection_pool::ConnectionPoolSettings;
use super::gateway::ServerTlsSettings;
use super::selector::LabelSelector;
use super::virtual_service::Destination;

/// The spec of a `Sidecar`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Sidecar {
    /// Workloads that it applies to; absent means the whole namespace.
    pub workload_selector: Option<LabelSelector>,
    /// Listeners for incoming traffic.
    pub ingress: Vec<IstioIngressListener>,
    /// Hosts that outgoing traffic may see; empty means the default of the namespace.
    pub egress: Vec<IstioEgressListener>,
    /// Limits of incoming connections.
    pub inbound_connection_pool: Option<ConnectionPoolSettings>,
    /// What happens to unknown destinations; absent means as the mesh says.
    pub outbound_traffic_policy: Option<OutboundTrafficPolicy>,
}

/// A listener for incoming traffic.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct IstioIngressListener {
    /// Its port. Required.
    pub port: Option<SidecarPort>,
    /// Its address.
    pub bind: String,
    /// How traffic gets here.
    pub capture_mode: CaptureMode,
    /// Where traffic goes.
    pub default_endpoint: String,
    /// TLS towards the client.
    pub tls: Option<ServerTlsSettings>,
    /// Limits of connections.
    pub connection_pool: Option<ConnectionPoolSettings>,
}

/// A listener for outgoing traffic.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct IstioEgressListener {
    /// Its port; absent means all ports.
    pub port: Option<SidecarPort>,
    /// Its address.
    pub bind: String,
    /// How traffic gets here.
    pub capture_mode: CaptureMode,
    /// Visible hosts as `namespace/host`; `~namespace/host` excludes. Required.
    pub hosts: Vec<String>,
}

/// The port of a Sidecar's listener.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct SidecarPort {
    /// The number.
    pub number: u32,
    /// The protocol.
    pub protocol: String,
    /// The name.
    pub name: String,
    /// Deprecated.
    pub target_port: u32,
}

/// How traffic reaches a listener.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum CaptureMode {
    /// As the environment says.
    #[default]
    Default,
    /// By redirection.
    Iptables,
    /// Dialled by the application.
    None,
}

/// What happens to unknown destinations.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct OutboundTrafficPolicy {
    /// Allowed or not; default not, as in Istio's enum.
    pub mode: OutboundTrafficPolicyMode,
    /// Where unknown traffic goes; only with ALLOW_ANY.
    pub egress_proxy: Option<Destination>,
}

/// Whether unknown destinations may be reached.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum OutboundTrafficPolicyMode {
    /// Only what is declared.
    #[default]
    RegistryOnly,
    /// Everything.
    AllowAny,
}
