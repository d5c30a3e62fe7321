//! What happens to an HTTP request.

use std::time::Duration;

use serde::Serialize;

/// The routes of one or more HTTP chains (Envoy's RouteConfiguration).
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub struct RouteTable {
    /// RDS name, `http.8080` or `PORT@CLASS`.
    pub name: String,
    /// By host; no domain occurs twice.
    pub virtual_hosts: Vec<VirtualHost>,
}

/// The routes of some hosts; the first that matches decides.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub struct VirtualHost {
    /// `HOST:PORT`, as Istio names it.
    pub name: String,
    /// Domains as Envoy matches them, without port (`api.example.com`, `*.example.com`, `*`).
    pub domains: Vec<String>,
    /// Whether plain HTTP is redirected to HTTPS.
    pub require_tls: bool,
    /// In order.
    pub routes: Vec<Route>,
}

/// One route.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub struct Route {
    /// Name for logs, the VirtualService's or Istio's own (`default`, `block_all`).
    pub name: String,
    /// Which requests it takes.
    pub matches: RouteMatch,
    /// What it does.
    pub action: Action,
    /// Changes to requests that it takes.
    pub request_headers: HeaderOperations,
    /// Changes to responses.
    pub response_headers: HeaderOperations,
    /// Faults to inject.
    pub fault: Option<Fault>,
    /// The object that decides, as logs and `explain` show it: `VirtualService/shop/partner`.
    pub rule: String,
    /// Where it is decided who may pass.
    pub authorization: Authorized,
}

/// Where it is decided who may use a route.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub enum Authorized {
    /// Here: requests leave, or are answered.
    #[default]
    Here,
    /// Further on, by the listener that the route leads to; or it refuses everyone anyway.
    Elsewhere,
}

/// Which requests a route takes; all parts must hold.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub struct RouteMatch {
    /// The path without query.
    pub path: PathMatch,
    /// Whether letters of the path match without case (prefix and exact only).
    pub ignore_case: bool,
    /// Headers; `:method`, `:authority` and `:scheme` are headers too.
    pub headers: Vec<HeaderMatch>,
    /// Query parameters.
    pub query: Vec<QueryMatch>,
}

impl RouteMatch {
    /// Takes every request.
    pub fn any() -> Self {
        Self {
            path: PathMatch::Prefix("/".to_owned()),
            ignore_case: false,
            headers: Vec::new(),
            query: Vec::new(),
        }
    }

    /// Whether nothing can follow this match.
    pub fn is_any(&self) -> bool {
        *self == Self::any()
    }
}

/// How a path matches.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub enum PathMatch {
    /// The whole path.
    Exact(String),
    /// The path's beginning, byte by byte.
    Prefix(String),
    /// The whole path, RE2.
    Regex(String),
}

/// A header that must (or must not) match.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub struct HeaderMatch {
    /// Lower-case name.
    pub name: String,
    /// The value.
    pub value: ValueMatch,
    /// Whether the match is turned round (`withoutHeaders`); an absent header then counts as empty.
    pub invert: bool,
}

/// A query parameter that must match.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub struct QueryMatch {
    /// Its name.
    pub name: String,
    /// Its value.
    pub value: ValueMatch,
}

/// How a value matches.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub enum ValueMatch {
    /// Any value, but one must be there.
    Present,
    /// Byte by byte.
    Exact(String),
    /// Beginning.
    Prefix(String),
    /// Whole value, RE2.
    Regex(String),
}

/// What a route does.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub enum Action {
    /// Sends the request on.
    Forward(Forward),
    /// Tells the client to go elsewhere.
    Redirect(Redirect),
    /// Answers by itself.
    Respond {
        /// HTTP status.
        status: u16,
        /// Body; empty for none.
        body: String,
    },
}

/// Sending a request on.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub struct Forward {
    /// Where to, by weight; never empty.
    pub to: Vec<WeightedDestination>,
    /// Time for the whole response; `None` is no limit (Istio's default).
    pub timeout: Option<Duration>,
    /// Retries; `None` is none.
    pub retry: Option<Retry>,
    /// New path.
    pub rewrite_path: Option<PathRewrite>,
    /// New host.
    pub rewrite_host: Option<String>,
    /// Copies sent elsewhere, answers thrown away.
    pub mirrors: Vec<Mirror>,
    /// What consistent hashing hashes, in order; empty for none.
    pub hash: Vec<HashPolicy>,
}

/// A share of the requests or connections.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub struct WeightedDestination {
    /// The destination's name.
    pub destination: String,
    /// Its share of the sum of all.
    pub weight: u32,
    /// New host of requests that go here; the route's own comes first.
    pub rewrite_host: Option<String>,
    /// Changes to requests that go here.
    pub request_headers: HeaderOperations,
    /// Changes to responses from here.
    pub response_headers: HeaderOperations,
}

impl WeightedDestination {
    /// All of it.
    pub fn all(destination: impl Into<String>) -> Self {
        Self {
            destination: destination.into(),
            weight: 100,
            rewrite_host: None,
            request_headers: HeaderOperations::default(),
            response_headers: HeaderOperations::default(),
        }
    }
}

/// Retries.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub struct Retry {
    /// How many, after the first try.
    pub attempts: u32,
    /// Time for one try; `None` is the route's.
    pub per_try_timeout: Option<Duration>,
    /// Envoy's `retry_on` conditions, comma-separated.
    pub on: String,
    /// Status codes that are retried with `retriable-status-codes`.
    pub status_codes: Vec<u32>,
    /// Whether a try avoids the endpoints already tried (not with consistent hashing).
    pub avoid_previous_hosts: bool,
}

/// How a path is rewritten.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub enum PathRewrite {
    /// What the route matched (prefix or whole path) is replaced.
    Matched(String),
    /// What the pattern finds is replaced.
    Regex {
        /// RE2.
        pattern: String,
        /// With `\1` for groups.
        substitution: String,
    },
}

/// A copy of requests.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub struct Mirror {
    /// The destination's name.
    pub destination: String,
    /// Share of the requests, basis points.
    pub basis_points: u32,
}

/// What consistent hashing hashes.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub enum HashPolicy {
    /// A header.
    Header(String),
    /// A cookie, made with this path and lifetime if absent.
    Cookie {
        /// Its name.
        name: String,
        /// Its path.
        path: String,
        /// Its lifetime; `None` does not make one.
        ttl: Option<Duration>,
    },
    /// A query parameter.
    Query(String),
    /// The client's address.
    SourceIp,
}

/// Telling the client to go elsewhere; absent parts stay as they were.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub struct Redirect {
    /// New scheme.
    pub scheme: Option<String>,
    /// New host.
    pub host: Option<String>,
    /// New port.
    pub port: Option<u16>,
    /// New path.
    pub path: Option<String>,
    /// 301, 302, 303, 307 or 308.
    pub status: u16,
}

/// Changes to headers: removals, then `set`, then `add`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub struct HeaderOperations {
    /// Replaced or added.
    pub set: Vec<(String, String)>,
    /// Appended.
    pub add: Vec<(String, String)>,
    /// Removed.
    pub remove: Vec<String>,
}

/// Faults to inject.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub struct Fault {
    /// Wait before forwarding.
    pub delay: Option<FaultDelay>,
    /// Answer with an error instead of forwarding.
    pub abort: Option<FaultAbort>,
}

/// A wait.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub struct FaultDelay {
    /// How long.
    pub duration: Duration,
    /// For which share of the requests, basis points.
    pub basis_points: u32,
}

/// An error answer.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub struct FaultAbort {
    /// Which error.
    pub status: AbortStatus,
    /// For which share of the requests, basis points.
    pub basis_points: u32,
}

/// The error of an injected abort.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub enum AbortStatus {
    /// HTTP status.
    Http(u16),
    /// gRPC status number.
    Grpc(u32),
}
