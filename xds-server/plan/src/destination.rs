//! Where the connections of a proxy may go: one Envoy cluster each.

use std::{net::IpAddr, time::Duration};

use serde::Serialize;

use crate::tls::UpstreamTls;

/// A place to send connections or requests to.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub struct Destination {
    /// The cluster's name, `outbound|PORT|SUBSET|HOST`, for the mesh half with `@NAMESPACE` of
    /// the clients for whom it was evaluated.
    pub name: String,
    /// Istio's name, for statistics, where `name` differs from it.
    pub stat_name: Option<String>,
    /// How its endpoints are found.
    pub resolution: Resolution,
    /// TLS to begin, if any.
    pub tls: Option<UpstreamTls>,
    /// How requests are spoken; TCP connections do not care.
    pub protocol: Protocol,
    /// How long a connection may take to be made.
    pub connect_timeout: Duration,
    /// Which endpoint is taken next.
    pub load_balancing: LoadBalancing,
    /// Bounds; `None` is no bound (Istio's default).
    pub limits: Limits,
    /// When an endpoint is set aside.
    pub outlier_detection: Option<OutlierDetection>,
    /// TCP keep-alive of connections to the endpoints.
    pub keepalive: Option<Keepalive>,
    /// Source addresses, at most one of each family; empty lets the kernel choose.
    pub source: Vec<IpAddr>,
}

/// How the endpoints of a destination are found.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub enum Resolution {
    /// The names are resolved and all answers used (STRICT_DNS).
    Dns(Vec<Endpoint>),
    /// The name is resolved and the first answer used (LOGICAL_DNS).
    LogicalDns(Endpoint),
    /// Endpoints come by EDS, see [`Endpoints`].
    Discovered,
    /// The address that the client dialled (ORIGINAL_DST); `port` replaces its port.
    Original {
        /// Port to dial instead of the client's.
        port: Option<u16>,
    },
    /// Another listener of the same Envoy, with the connection's facts carried along.
    Hop {
        /// The internal listener's name.
        listener: String,
        /// Whether a PROXY v2 header with the original destination is written first.
        proxy_protocol: bool,
    },
    /// Nowhere: every connection is refused (BlackHoleCluster).
    Nowhere,
}

/// The endpoints of a [`Resolution::Discovered`] destination.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub struct Endpoints {
    /// The destination's name.
    pub name: String,
    /// The endpoints, sorted.
    pub endpoints: Vec<Endpoint>,
}

/// One endpoint.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub struct Endpoint {
    /// Where it is.
    pub address: EndpointAddress,
    /// Share of the load; 1 unless set.
    pub weight: u32,
    /// `region/zone/subzone`, if known.
    pub locality: Option<String>,
}

/// Where an endpoint is.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub enum EndpointAddress {
    /// An IP address and port.
    Ip(IpAddr, u16),
    /// A DNS name and port.
    Name(String, u16),
    /// A Unix domain socket.
    Unix(String),
}

/// How requests are spoken to an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub enum Protocol {
    /// HTTP/1.1 (and raw TCP).
    Http1,
    /// HTTP/2.
    Http2,
    /// As the client spoke.
    AsDownstream,
}

/// Which endpoint is taken next.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub enum LoadBalancing {
    /// The less busy of two (Istio's default).
    LeastRequest,
    /// One after the other.
    RoundRobin,
    /// Any.
    Random,
    /// By hash of the request or source.
    RingHash {
        /// Least number of points on the ring; Istio's default is 1024.
        minimum_size: u64,
    },
    /// Maglev hash table; `table_size` is prime.
    Maglev {
        /// Entries of the table.
        table_size: u64,
    },
    /// Given by the resolution (ORIGINAL_DST).
    ByResolution,
}

/// Bounds on a destination; `None` is none.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub struct Limits {
    /// TCP connections (and HTTP/1.1 requests in flight).
    pub connections: Option<u32>,
    /// Requests waiting for a connection.
    pub pending_requests: Option<u32>,
    /// Requests in flight.
    pub requests: Option<u32>,
    /// Retries in flight.
    pub retries: Option<u32>,
    /// Requests after which a connection is closed.
    pub requests_per_connection: Option<u32>,
    /// Streams of one HTTP/2 connection.
    pub concurrent_streams: Option<u32>,
    /// How long an HTTP connection may idle.
    pub http_idle_timeout: Option<Duration>,
    /// How long a connection may live.
    pub connection_duration: Option<Duration>,
}

/// When an endpoint is set aside for a while.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub struct OutlierDetection {
    /// 5xx in a row; 0 switches it off.
    pub consecutive_5xx: Option<u32>,
    /// Gateway errors (502, 503, 504) in a row; 0 switches it off.
    pub consecutive_gateway_errors: Option<u32>,
    /// Connect failures and resets in a row, counted apart from 5xx.
    pub consecutive_local_origin_failures: Option<u32>,
    /// Whether local and remote failures are counted apart.
    pub split_local_origin_errors: bool,
    /// How often endpoints are judged.
    pub interval: Option<Duration>,
    /// How long an endpoint is set aside at first.
    pub base_ejection_time: Option<Duration>,
    /// Largest share of endpoints set aside, percent.
    pub max_ejection_percent: Option<u32>,
    /// Share of healthy endpoints below which all are used, percent.
    pub min_health_percent: u32,
}

/// TCP keep-alive; `None` is the kernel's default.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub struct Keepalive {
    /// Unanswered probes before the connection is dead.
    pub probes: Option<u32>,
    /// Idle time before the first probe.
    pub time: Option<Duration>,
    /// Time between probes.
    pub interval: Option<Duration>,
}

impl Destination {
    /// A destination with Istio's defaults: 10 s connect timeout, least request, no bounds.
    pub fn new(name: impl Into<String>, resolution: Resolution) -> Self {
        let load_balancing = match resolution {
            Resolution::Original { .. } => LoadBalancing::ByResolution,
            _ => LoadBalancing::LeastRequest,
        };
        Self {
            name: name.into(),
            stat_name: None,
            resolution,
            tls: None,
            protocol: Protocol::Http1,
            connect_timeout: Duration::from_secs(10),
            load_balancing,
            limits: Limits::default(),
            outlier_detection: None,
            keepalive: None,
            source: Vec::new(),
        }
    }
}
