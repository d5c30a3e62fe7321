//! Limits of connections and requests, and ejection of failing endpoints.

use serde::{Deserialize, Serialize};

use crate::common::duration::Duration;

/// Limits of connections and requests.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ConnectionPoolSettings {
    /// Of connections.
    pub tcp: Option<TcpSettings>,
    /// Of requests.
    pub http: Option<HttpSettings>,
}

/// Limits of connections.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct TcpSettings {
    /// Most connections; 0 means no limit.
    pub max_connections: i32,
    /// Time to connect; absent means the mesh's (10 s).
    pub connect_timeout: Option<Duration>,
    /// Keepalive of the kernel.
    pub tcp_keepalive: Option<TcpKeepalive>,
    /// Longest life of a connection; absent means no limit.
    pub max_connection_duration: Option<Duration>,
    /// Longest silence of a connection; absent means 1 h.
    pub idle_timeout: Option<Duration>,
}

/// Keepalive of the kernel; zero and absent mean the system's values.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct TcpKeepalive {
    /// Probes without answer before the connection is dead.
    pub probes: u32,
    /// Silence before the first probe.
    pub time: Option<Duration>,
    /// Time between probes.
    pub interval: Option<Duration>,
}

/// Limits of requests.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct HttpSettings {
    /// Most requests that wait for a connection; 0 means no limit.
    pub http1_max_pending_requests: i32,
    /// Most requests in flight; 0 means no limit.
    pub http2_max_requests: i32,
    /// Most requests of one connection; 0 means no limit.
    pub max_requests_per_connection: i32,
    /// Most retries in flight; 0 means no limit.
    pub max_retries: i32,
    /// Longest silence of an upstream connection; absent means 1 h.
    pub idle_timeout: Option<Duration>,
    /// Whether HTTP/1.1 is upgraded to HTTP/2.
    pub h2_upgrade_policy: H2UpgradePolicy,
    /// Keep the protocol of the client.
    pub use_client_protocol: bool,
    /// Most streams of one HTTP/2 connection; 0 means Envoy's.
    pub max_concurrent_streams: i32,
    /// HTTP/2 PING keepalive.
    pub http2_keep_alive: Option<ConnectionKeepalive>,
}

/// HTTP/2 PING keepalive.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ConnectionKeepalive {
    /// Time between PINGs.
    pub interval: Option<Duration>,
    /// Time for the answer.
    pub timeout: Option<Duration>,
}

/// Whether HTTP/1.1 is upgraded to HTTP/2.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum H2UpgradePolicy {
    /// As the mesh says.
    #[default]
    Default,
    /// Never.
    DoNotUpgrade,
    /// Always.
    Upgrade,
}

/// Ejection of failing endpoints.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct OutlierDetection {
    /// Deprecated form of `consecutive5xxErrors`.
    pub consecutive_errors: i32,
    /// Count local failures (connect, timeout) apart.
    pub split_external_local_origin_errors: bool,
    /// Local failures in a row that eject.
    pub consecutive_local_origin_failures: Option<u32>,
    /// 502, 503 and 504 in a row that eject; absent or 0 is off.
    pub consecutive_gateway_errors: Option<u32>,
    /// 5xx in a row that eject; absent means 5, 0 is off.
    pub consecutive_5xx_errors: Option<u32>,
    /// Time between sweeps; absent means 10 s.
    pub interval: Option<Duration>,
    /// First ejection; absent means 30 s.
    pub base_ejection_time: Option<Duration>,
    /// Largest ejected share in percent; 0 means 10.
    pub max_ejection_percent: i32,
    /// Below this healthy share in percent, health is ignored; default 0.
    pub min_health_percent: i32,
    /// Status codes that count as errors.
    pub outlier_detection_http_error_codes: Vec<u32>,
}
