//! Fault injection: delays and aborts for a share of the requests.

use serde::{Deserialize, Serialize};

use crate::common::duration::Duration;
use crate::common::percent::Percent;

/// Faults of an HTTP route.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct HttpFaultInjection {
    /// Hold requests back.
    pub delay: Option<Delay>,
    /// Answer requests with an error.
    pub abort: Option<Abort>,
}

/// A delay; exactly one of the two durations is set.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Delay {
    /// Deprecated whole percentage; `percentage` wins.
    pub percent: i32,
    /// The same delay for each request.
    pub fixed_delay: Option<Duration>,
    /// Not implemented by Istio either.
    pub exponential_delay: Option<Duration>,
    /// The share of requests; absent means all.
    pub percentage: Option<Percent>,
}

/// An abort; exactly one of the three errors is set.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Abort {
    /// HTTP status to answer with.
    pub http_status: Option<i32>,
    /// gRPC status to answer with, by name.
    pub grpc_status: Option<String>,
    /// Not implemented by Istio either.
    pub http2_error: Option<String>,
    /// The share of requests; absent means all.
    pub percentage: Option<Percent>,
}
