//! Choice of an endpoint.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::common::decimal::Decimal;
use crate::common::duration::Duration;
use crate::common::percent::{self, Percent};

/// How an endpoint is chosen; at most one of `simple`, `consistentHash` and `backendUtilization`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct LoadBalancerSettings {
    /// A standard algorithm.
    pub simple: Option<SimpleLb>,
    /// Hashing of a property of the request.
    pub consistent_hash: Option<ConsistentHashLb>,
    /// Weights from the load that endpoints report.
    pub backend_utilization: Option<BackendUtilization>,
    /// Preference of near endpoints.
    pub locality_lb_setting: Option<LocalityLbSetting>,
    /// Preference of the own zone.
    pub zone_aware_lb_setting: Option<ZoneAwareLbSetting>,
    /// Deprecated form of `warmup.duration`.
    pub warmup_duration_secs: Option<Duration>,
    /// Slow start of new endpoints.
    pub warmup: Option<WarmupConfiguration>,
}

/// Standard algorithms.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum SimpleLb {
    /// The default, LEAST_REQUEST.
    #[default]
    Unspecified,
    /// Deprecated name of LEAST_REQUEST.
    LeastConn,
    /// Any endpoint.
    Random,
    /// The address that the client asked for.
    Passthrough,
    /// One after the other.
    RoundRobin,
    /// The less loaded of two.
    LeastRequest,
}

/// Hashing; exactly one key, at most one algorithm.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ConsistentHashLb {
    /// Key: a header.
    pub http_header_name: Option<String>,
    /// Key: a cookie, made if absent.
    pub http_cookie: Option<HttpCookie>,
    /// Key: the client's address.
    pub use_source_ip: Option<bool>,
    /// Key: a query parameter.
    pub http_query_parameter_name: Option<String>,
    /// Algorithm: ring hash, the default.
    pub ring_hash: Option<RingHash>,
    /// Algorithm: Maglev.
    pub maglev: Option<Maglev>,
    /// Deprecated form of `ringHash.minimumRingSize`.
    pub minimum_ring_size: u64,
}

/// Ring hash.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct RingHash {
    /// Smallest number of points; 0 means 1024.
    pub minimum_ring_size: u64,
}

/// Maglev.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Maglev {
    /// Size of the table, a prime; 0 means 65537.
    pub table_size: u64,
}

/// A cookie as hash key.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct HttpCookie {
    /// Its name. Required.
    pub name: String,
    /// Its path.
    pub path: String,
    /// Its lifetime; absent means that none is made.
    pub ttl: Option<Duration>,
    /// Further attributes.
    pub attributes: Vec<CookieAttribute>,
}

/// An attribute of a cookie.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct CookieAttribute {
    /// Its name. Required.
    pub name: String,
    /// Its value.
    pub value: String,
}

/// Weights from the load that endpoints report (ORCA).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct BackendUtilization {
    /// Penalty of endpoints that answer errors, in percent of the utilization.
    pub error_utilization_penalty_percent: u32,
    /// Metrics that the utilization is made of.
    pub metric_names_for_computing_utilization: Vec<String>,
    /// Silence after which a report no longer counts.
    pub weight_expiration_period: Option<Duration>,
    /// Time before the first report counts.
    pub weight_stabilization_period: Option<Duration>,
    /// Time between computations of the weights.
    pub weight_update_period: Option<Duration>,
}

/// Preference of near endpoints; at most one of the three lists.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct LocalityLbSetting {
    /// Shares by locality of the client.
    pub distribute: Vec<LocalityDistribute>,
    /// Failover between regions.
    pub failover: Vec<LocalityFailover>,
    /// Labels whose equality makes an endpoint near, most important first.
    pub failover_priority: Vec<String>,
    /// On or off; absent means the mesh's setting.
    pub enabled: Option<bool>,
}

/// Shares of the traffic of one locality.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct LocalityDistribute {
    /// The client's locality, `region/zone/subzone`.
    pub from: String,
    /// Percentages by locality; they sum to 100.
    pub to: BTreeMap<String, u32>,
}

/// Failover from one region to another.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct LocalityFailover {
    /// The failing region.
    pub from: String,
    /// The region that takes over.
    pub to: String,
}

/// Preference of the own zone.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ZoneAwareLbSetting {
    /// On or off.
    pub enabled: Option<bool>,
    /// Failover between regions.
    pub failover: Vec<LocalityFailover>,
    /// Labels whose equality makes an endpoint near.
    pub failover_priority: Vec<String>,
    /// Fewest endpoints for zone-aware routing.
    pub min_cluster_size: Option<u64>,
}

/// Slow start.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct WarmupConfiguration {
    /// How long an endpoint warms up. Required.
    pub duration: Option<Duration>,
    /// Share at the start; absent means 10 %.
    #[serde(with = "percent::number")]
    pub minimum_percent: Option<Percent>,
    /// Shape of the curve, at least 1; absent means 1.
    pub aggression: Option<Decimal>,
}
