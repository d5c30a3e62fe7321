//! HTTP routes: conditions, actions and what happens on the way.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Destination;
use super::fault::HttpFaultInjection;
use crate::common::bytes::Bytes;
use crate::common::duration::Duration;
use crate::common::percent::Percent;
use crate::common::string_match::StringMatch;

/// One HTTP rule: exactly one of route, redirect, directResponse and delegate.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct HttpRoute {
    /// A name for logs and statistics.
    pub name: String,
    /// Conditions; one of them must hold; none means every request.
    #[serde(rename = "match")]
    pub matches: Vec<HttpMatchRequest>,
    /// Weighted targets.
    pub route: Vec<HttpRouteDestination>,
    /// Answer with a redirect.
    pub redirect: Option<HttpRedirect>,
    /// Answer at once.
    pub direct_response: Option<HttpDirectResponse>,
    /// Go on in another VirtualService.
    pub delegate: Option<Delegate>,
    /// Change path and authority before forwarding.
    pub rewrite: Option<HttpRewrite>,
    /// Time for the whole request; absent means no limit.
    pub timeout: Option<Duration>,
    /// Retries; absent means the mesh's default (2 attempts).
    pub retries: Option<HttpRetry>,
    /// Faults to inject.
    pub fault: Option<HttpFaultInjection>,
    /// A second target that gets a copy of each request.
    pub mirror: Option<Destination>,
    /// Several targets for copies; exclusive with `mirror`.
    pub mirrors: Vec<HttpMirrorPolicy>,
    /// Deprecated whole percentage for `mirror`.
    #[serde(alias = "mirror_percent")]
    pub mirror_percent: Option<u32>,
    /// Share of requests to mirror; absent means all.
    pub mirror_percentage: Option<Percent>,
    /// Cross-origin policy.
    pub cors_policy: Option<CorsPolicy>,
    /// Header changes for all targets.
    pub headers: Option<Headers>,
}

/// A condition on a request; all fields set must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct HttpMatchRequest {
    /// A name, added to the route's in logs.
    pub name: String,
    /// The path, without query.
    pub uri: Option<StringMatch>,
    /// The scheme.
    pub scheme: Option<StringMatch>,
    /// The method.
    pub method: Option<StringMatch>,
    /// The authority.
    pub authority: Option<StringMatch>,
    /// Headers by lower-case name; `{}` asks only for presence.
    pub headers: BTreeMap<String, StringMatch>,
    /// The port that the request was sent to; 0 is any.
    pub port: u32,
    /// Labels of the client's workload.
    pub source_labels: BTreeMap<String, String>,
    /// Replaces the VirtualService's gateways for this condition.
    pub gateways: Vec<String>,
    /// Query parameters by name.
    pub query_params: BTreeMap<String, StringMatch>,
    /// Compare the path without case; not for regular expressions.
    pub ignore_uri_case: bool,
    /// Headers that must not match; an absent header counts as empty.
    pub without_headers: BTreeMap<String, StringMatch>,
    /// Namespace of the client's workload.
    pub source_namespace: String,
    /// Prefix of the route's statistics.
    pub stat_prefix: String,
}

/// A weighted target of an HTTP route.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct HttpRouteDestination {
    /// The target. Required.
    pub destination: Destination,
    /// Its share, relative to the sum; a single target may leave it out.
    pub weight: i32,
    /// Header changes for this target.
    pub headers: Option<Headers>,
}

/// Header changes of both directions.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Headers {
    /// Changes on the request.
    pub request: Option<HeaderOperations>,
    /// Changes on the response.
    pub response: Option<HeaderOperations>,
}

/// Changes to a set of headers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct HeaderOperations {
    /// Headers to overwrite.
    pub set: BTreeMap<String, String>,
    /// Headers to append to.
    pub add: BTreeMap<String, String>,
    /// Headers to drop.
    pub remove: Vec<String>,
}

/// Another VirtualService that holds the routes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Delegate {
    /// Its name.
    pub name: String,
    /// Its namespace; empty means the same.
    pub namespace: String,
}

/// A redirect.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct HttpRedirect {
    /// Replaces the whole path; exclusive with `prefixRewrite`.
    pub uri: String,
    /// Replaces the authority.
    pub authority: String,
    /// Replaces the port; exclusive with `derivePort`.
    pub port: Option<u32>,
    /// How to derive the port.
    pub derive_port: Option<RedirectPortSelection>,
    /// Replaces the scheme.
    pub scheme: String,
    /// Status; 0 means 301.
    pub redirect_code: u32,
    /// Replaces the matched prefix.
    pub prefix_rewrite: String,
}

/// Where the port of a redirect comes from.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum RedirectPortSelection {
    /// 80 for HTTP, 443 for HTTPS.
    #[default]
    FromProtocolDefault,
    /// The port of the request.
    FromRequestPort,
}

/// A fixed answer.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct HttpDirectResponse {
    /// Its status. Required.
    pub status: u32,
    /// Its body.
    pub body: Option<HttpBody>,
}

/// A body; exactly one field is set.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct HttpBody {
    /// As text.
    pub string: Option<String>,
    /// As bytes, base64 in the source.
    pub bytes: Option<Bytes>,
}

/// Changes of path and authority.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct HttpRewrite {
    /// Replaces the path, or the prefix that matched.
    pub uri: String,
    /// Replaces the authority.
    pub authority: String,
    /// Replaces parts of the path; exclusive with `uri`.
    pub uri_regex_rewrite: Option<RegexRewrite>,
}

/// A replacement by regular expression (RE2).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct RegexRewrite {
    /// The expression.
    #[serde(rename = "match")]
    pub matches: String,
    /// The replacement, with `\1` for groups.
    pub rewrite: String,
}

/// Retries of failed requests.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct HttpRetry {
    /// How many; 0 turns retries off.
    pub attempts: i32,
    /// Time for each attempt; absent means the route's timeout.
    pub per_try_timeout: Option<Duration>,
    /// Envoy's conditions and status codes, by comma; empty means Istio's default.
    pub retry_on: String,
    /// Also try other localities.
    pub retry_remote_localities: Option<bool>,
    /// Avoid hosts that were tried; default true.
    pub retry_ignore_previous_hosts: Option<bool>,
    /// Base interval between attempts; default 25 ms.
    pub backoff: Option<Duration>,
}

/// A copy of a share of the requests.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct HttpMirrorPolicy {
    /// Where the copies go. Required.
    pub destination: Destination,
    /// The share; absent means all.
    pub percentage: Option<Percent>,
}

/// Cross-origin resource sharing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct CorsPolicy {
    /// Deprecated list of exact origins.
    pub allow_origin: Vec<String>,
    /// Origins that are allowed.
    pub allow_origins: Vec<StringMatch>,
    /// Methods that are allowed.
    pub allow_methods: Vec<String>,
    /// Request headers that are allowed.
    pub allow_headers: Vec<String>,
    /// Response headers that scripts may see.
    pub expose_headers: Vec<String>,
    /// How long a preflight may be cached.
    pub max_age: Option<Duration>,
    /// Whether credentials may be sent.
    pub allow_credentials: Option<bool>,
    /// What happens to preflights of other origins.
    pub unmatched_preflights: UnmatchedPreflights,
}

/// What happens to preflights that match no origin.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum UnmatchedPreflights {
    /// As FORWARD.
    #[default]
    Unspecified,
    /// Forwarded to the target.
    Forward,
    /// Answered here, without permission.
    Ignore,
}
