//! `Telemetry`: access logs, metrics and traces.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::selector::{PolicyTargetReference, WorkloadSelector};
use crate::common::duration::Duration;
use crate::common::percent::{self, Percent};

/// The spec of a `Telemetry`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Telemetry {
    /// Workloads that it applies to; absent means the whole namespace.
    pub selector: Option<WorkloadSelector>,
    /// The object that it applies to; exclusive with `selector`.
    pub target_ref: Option<PolicyTargetReference>,
    /// Objects that it applies to; exclusive with `selector`.
    pub target_refs: Vec<PolicyTargetReference>,
    /// Traces.
    pub tracing: Vec<Tracing>,
    /// Metrics.
    pub metrics: Vec<Metrics>,
    /// Access logs.
    pub access_logging: Vec<AccessLogging>,
}

/// A provider of the mesh config.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ProviderRef {
    /// Its name. Required.
    pub name: String,
}

/// Which side of a connection is meant.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ModeSelector {
    /// The side; default both.
    pub mode: WorkloadMode,
}

/// The side of a connection.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum WorkloadMode {
    /// Both.
    #[default]
    ClientAndServer,
    /// The client's; gateways count as clients.
    Client,
    /// The server's.
    Server,
}

/// Access logs of one selection.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct AccessLogging {
    /// Which side; absent means both.
    #[serde(rename = "match")]
    pub matches: Option<ModeSelector>,
    /// Where the lines go; empty means the default.
    pub providers: Vec<ProviderRef>,
    /// Write nothing.
    pub disabled: Option<bool>,
    /// Which requests are written; absent means all.
    pub filter: Option<AccessLoggingFilter>,
}

/// A condition for a line.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct AccessLoggingFilter {
    /// A CEL expression.
    pub expression: String,
}

/// Traces of one selection.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Tracing {
    /// Which side; absent means both.
    #[serde(rename = "match")]
    pub matches: Option<ModeSelector>,
    /// Where the spans go.
    pub providers: Vec<ProviderRef>,
    /// Share of requests that are traced.
    #[serde(with = "percent::number")]
    pub random_sampling_percentage: Option<Percent>,
    /// Report nothing.
    pub disable_span_reporting: Option<bool>,
    /// Further tags of each span.
    pub custom_tags: BTreeMap<String, CustomTag>,
    /// Derive the decision from the request id.
    pub use_request_id_for_trace_sampling: Option<bool>,
    /// Add Istio's tags.
    pub enable_istio_tags: Option<bool>,
    /// Send no trace headers on.
    pub disable_context_propagation: Option<bool>,
}

/// A tag; exactly one field is set.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct CustomTag {
    /// A fixed value.
    pub literal: Option<TagValue>,
    /// An environment variable of the proxy.
    pub environment: Option<TagSource>,
    /// A header of the request.
    pub header: Option<TagSource>,
    /// An access-log format.
    pub formatter: Option<TagValue>,
}

/// A value of a tag.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct TagValue {
    /// The value. Required.
    pub value: String,
}

/// A named source of a tag.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct TagSource {
    /// The name. Required.
    pub name: String,
    /// The value where the source is absent.
    pub default_value: String,
}

/// Metrics of one selection.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Metrics {
    /// Where they go.
    pub providers: Vec<ProviderRef>,
    /// Changes to single metrics.
    pub overrides: Vec<MetricsOverrides>,
    /// Time between reports; absent means 5 s.
    pub reporting_interval: Option<Duration>,
}

/// A change to metrics.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct MetricsOverrides {
    /// Which metrics; absent means all.
    #[serde(rename = "match")]
    pub matches: Option<MetricSelector>,
    /// Do not produce them.
    pub disabled: Option<bool>,
    /// Changes to their tags.
    pub tag_overrides: BTreeMap<String, TagOverride>,
}

/// Which metrics; at most one of `metric` and `customMetric`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct MetricSelector {
    /// A metric of Istio's.
    pub metric: Option<IstioMetric>,
    /// Another metric, by name.
    pub custom_metric: Option<String>,
    /// Which side; default both.
    pub mode: WorkloadMode,
}

/// A change to a tag.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct TagOverride {
    /// What to do; default UPSERT.
    pub operation: TagOperation,
    /// The value, an expression.
    pub value: String,
}

/// What to do with a tag.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum TagOperation {
    /// Add or replace it.
    #[default]
    Upsert,
    /// Drop it.
    Remove,
}

/// Metrics of Istio's.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[expect(missing_docs, reason = "the names are Istio's and say all")]
pub enum IstioMetric {
    #[default]
    AllMetrics,
    RequestCount,
    RequestDuration,
    RequestSize,
    ResponseSize,
    TcpOpenedConnections,
    TcpClosedConnections,
    TcpSentBytes,
    TcpReceivedBytes,
    GrpcRequestMessages,
    GrpcResponseMessages,
}
