//! Where connections enter a proxy and what is decided about them.

use std::{net::IpAddr, time::Duration};

use serde::Serialize;

use crate::{
    address::Cidr, authorization::Authorization, identity::ClassId, route::WeightedDestination,
    tls::DownstreamTls,
};

/// A listener.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub struct Listener {
    /// Its name; for an internal listener also its address.
    pub name: String,
    /// What it is for.
    pub role: Role,
    /// What is decided about connections, by match; empty for the roles whose filters are fixed.
    pub chains: Vec<Chain>,
    /// What happens to connections that match no chain.
    pub otherwise: Option<Filter>,
    /// Destination ports on which nothing is sniffed, since the server may speak first.
    pub server_first_ports: Vec<u16>,
    /// How connections and requests are logged.
    pub access_log: AccessLog,
}

/// What a listener is for.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub enum Role {
    /// Sidecar: takes every captured connection, v4 and v6, and hands it to `to`.
    Capture {
        /// Port that the redirect leads to (15001).
        port: u16,
        /// The destination, a hop to [`Role::TunnelClient`] with PROXY v2.
        to: String,
    },
    /// Sidecar, internal: wraps one connection in mTLS to a gateway.
    TunnelClient {
        /// The destination: the gateways.
        to: String,
    },
    /// Gateway: ends the tunnels and hands each to the internal listener of the client's class.
    TunnelServer {
        /// Port (15008).
        port: u16,
    },
    /// Gateway, internal: decides for one class; PROXY v2 gives the original destination.
    Class(ClassId),
    /// Gateway: a Gateway server's own port, for Istio's clients.
    Server {
        /// Addresses to bind; both families' wildcards if empty.
        bind: Vec<IpAddr>,
        /// Port to bind (the Service's target port).
        port: u16,
    },
    /// Gateway, internal: a Gateway server's half for connections of one class, as if it had received them.
    Hop(ClassId),
}

/// What is decided about some connections.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub struct Chain {
    /// Unique in the listener and stable across unrelated changes.
    pub name: String,
    /// Which connections.
    pub matches: ChainMatch,
    /// TLS to end, if any.
    pub tls: Option<DownstreamTls>,
    /// Who may pass; nothing is dialled for those who may not.
    pub authorization: Authorization,
    /// What happens to them.
    pub filter: Filter,
}

/// Which connections a chain takes; all parts must hold. Judged as Envoy does: port, then
/// address, then server name, then transport, each by the most specific match, without going back.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub struct ChainMatch {
    /// Original destination port.
    pub port: Option<u16>,
    /// Original destination addresses; empty is any.
    pub addresses: Vec<Cidr>,
    /// TLS server names, exact or `*.suffix`; empty is any (or none).
    pub server_names: Vec<String>,
    /// What the first bytes are.
    pub transport: Transport,
}

/// What the first bytes of a connection are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub enum Transport {
    /// Whatever.
    #[default]
    Any,
    /// TLS.
    Tls,
    /// Not TLS.
    Raw,
}

/// What happens to a connection.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub enum Filter {
    /// HTTP, decided by a route table (RDS).
    Http(Http),
    /// Bytes are carried.
    Tcp(Tcp),
    /// Closed, with a log line.
    Deny(Deny),
}

/// HTTP decided by a route table.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub struct Http {
    /// Prefix of statistics.
    pub stat_prefix: String,
    /// The table's name.
    pub route_table: String,
    /// Whether this is a Gateway server (sets x-forwarded-for and friends) rather than a mesh client's side.
    pub is_gateway: bool,
}

/// Bytes carried to one of some destinations.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub struct Tcp {
    /// Prefix of statistics.
    pub stat_prefix: String,
    /// Where to, by weight; never empty. Header operations are not used.
    pub to: Vec<WeightedDestination>,
    /// How long a connection may idle; Envoy's default (1 h) if absent.
    pub idle_timeout: Option<Duration>,
    /// The object that decides: `VirtualService/shop/partner`.
    pub rule: String,
}

/// A refused connection.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub struct Deny {
    /// The object that decides, or `default-deny`.
    pub rule: String,
    /// Why, in one clause.
    pub reason: String,
}

/// How connections and requests are logged.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub struct AccessLog {
    /// Text or JSON.
    pub encoding: Encoding,
    /// Format that replaces Istio's default; at gateways our fields are still appended.
    pub format: Option<String>,
    /// File; standard output if absent.
    pub file: Option<String>,
}

/// How a log record is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub enum Encoding {
    /// A line of text.
    #[default]
    Text,
    /// A JSON object a line.
    Json,
}
