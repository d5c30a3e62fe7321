//! `MeshConfig`: settings of the whole mesh, from the ConfigMap `istio`, key `mesh`.
//!
//! Only the fields that Sluice reads; the others of Istio's are accepted and listed.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::destination_rule::connection_pool::{
    ConnectionPoolSettings, OutlierDetection, TcpKeepalive,
};
use super::virtual_service::http::HttpRetry;
use crate::common::duration::Duration;

/// Settings of the whole mesh.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct MeshConfig {
    /// The namespace whose objects apply everywhere; default `istio-system`.
    pub root_namespace: String,
    /// The trust domain of identities; default `cluster.local`.
    pub trust_domain: String,
    /// Further trust domains that count as the same.
    pub trust_domain_aliases: Vec<String>,
    /// What happens to unknown destinations; default REGISTRY_ONLY (a listed deviation).
    pub outbound_traffic_policy: OutboundTrafficPolicy,
    /// Where the access log goes; empty turns it off, default `/dev/stdout`.
    pub access_log_file: String,
    /// Its format; empty means Istio's default.
    pub access_log_format: String,
    /// Text or JSON; default text.
    pub access_log_encoding: AccessLogEncoding,
    /// Time to connect to a destination; absent means 10 s.
    pub connect_timeout: Option<Duration>,
    /// Time to tell the protocol of a connection; absent means no limit.
    pub protocol_detection_timeout: Option<Duration>,
    /// Keepalive of upstream connections.
    pub tcp_keepalive: Option<TcpKeepalive>,
    /// Time between DNS queries where no TTL is known; absent means 60 s.
    pub dns_refresh_rate: Option<Duration>,
    /// Retries of routes that do not say; absent means 2 attempts.
    pub default_http_retry_policy: Option<HttpRetry>,
    /// The baseline that DestinationRules override.
    pub default_traffic_policy: Option<DefaultTrafficPolicy>,
    /// Namespaces that see a Service that does not say; empty means all.
    pub default_service_export_to: Vec<String>,
    /// Namespaces that see a VirtualService that does not say; empty means all.
    pub default_virtual_service_export_to: Vec<String>,
    /// Namespaces that see a DestinationRule that does not say; empty means all.
    pub default_destination_rule_export_to: Vec<String>,
    /// How paths are normalised before they are matched; default BASE.
    pub path_normalization: PathNormalization,
    /// Our own settings.
    pub sluice: SluiceConfig,
}

impl Default for MeshConfig {
    fn default() -> Self {
        Self {
            root_namespace: "istio-system".to_owned(),
            trust_domain: "cluster.local".to_owned(),
            trust_domain_aliases: Vec::new(),
            outbound_traffic_policy: OutboundTrafficPolicy::default(),
            access_log_file: "/dev/stdout".to_owned(),
            access_log_format: String::new(),
            access_log_encoding: AccessLogEncoding::default(),
            connect_timeout: None,
            protocol_detection_timeout: None,
            tcp_keepalive: None,
            dns_refresh_rate: None,
            default_http_retry_policy: None,
            default_traffic_policy: None,
            default_service_export_to: Vec::new(),
            default_virtual_service_export_to: Vec::new(),
            default_destination_rule_export_to: Vec::new(),
            path_normalization: PathNormalization::default(),
            sluice: SluiceConfig::default(),
        }
    }
}

impl MeshConfig {
    /// The service accounts whose pods are gateways: the configured ones, else Istio's names in
    /// the root namespace.
    pub fn gateways(&self) -> BTreeSet<GatewayAccount> {
        if !self.sluice.gateways.is_empty() {
            return self.sluice.gateways.iter().cloned().collect();
        }
        ["istio-egressgateway", "istio-egressgateway-service-account"]
            .into_iter()
            .map(|service_account| GatewayAccount {
                namespace: self.root_namespace.clone(),
                service_account: service_account.to_owned(),
            })
            .collect()
    }
}

/// What happens to unknown destinations.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct OutboundTrafficPolicy {
    /// Default REGISTRY_ONLY.
    pub mode: OutboundTrafficPolicyMode,
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
    /// Every name, resolved by the proxy.
    AllowAnyDynamicDns,
}

/// How log lines are written.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum AccessLogEncoding {
    /// As text.
    #[default]
    Text,
    /// As JSON.
    Json,
}

/// The baseline that DestinationRules override.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct DefaultTrafficPolicy {
    /// Limits of connections and requests.
    pub connection_pool: Option<ConnectionPoolSettings>,
    /// Ejection of failing endpoints.
    pub outlier_detection: Option<OutlierDetection>,
}

/// How paths are normalised.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PathNormalization {
    /// The kind; default BASE.
    pub normalization: NormalizationType,
}

/// Kinds of path normalisation.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum NormalizationType {
    /// As BASE.
    #[default]
    Default,
    /// None.
    None,
    /// RFC 3986, and backslashes.
    Base,
    /// Also repeated slashes.
    MergeSlashes,
    /// Also escaped slashes.
    DecodeAndMergeSlashes,
}

/// Our own settings.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct SluiceConfig {
    /// Service accounts whose pods are gateways; see [`MeshConfig::gateways`].
    pub gateways: Vec<GatewayAccount>,
    /// Pod labels that belong to a workload's identity and may be used in selectors.
    pub identity_labels: Vec<String>,
}

/// A service account whose pods are gateways.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct GatewayAccount {
    /// Its namespace. Required.
    pub namespace: String,
    /// Its name. Required.
    pub service_account: String,
}
