//! The tunnel between a sidecar and a gateway: one mTLS connection per connection of the
//! application, with the original destination as PROXY v2 header inside TLS.

use std::time::Duration;

use sluice_plan::{identity::CLASS_SUFFIX, listener as plan, proxy::BLACK_HOLE};

use super::{bound, filter, internal, patience};
use crate::{
    access_log::{Only, Place, Subject, access_log},
    carry::{Fact, Moment, filter_state},
    cluster::RELAY_BYTES,
    envoy::{Listener, duration, listener, number, tcp_proxy},
    names, tls,
};

/// Sidecar, internal: each connection, its PROXY header first, goes to some gateway over TLS.
pub(super) fn client(listener: &plan::Listener, to: &str) -> Listener {
    let proxy = tcp_proxy::TcpProxy {
        // Another gateway is tried while no byte has been sent. Reachability is all that a
        // sidecar judges gateways by.
        max_connect_attempts: number(3),
        idle_timeout: Some(duration(Duration::ZERO)),
        ..filter::tcp_proxy(to, to)
    };
    Listener {
        filter_chains: vec![chain(&listener.name, vec![filter::tcp(&proxy)])],
        ..internal(&listener.name)
    }
}

/// Gateway: ends TLS and keeps the certificate's names.
pub(super) fn server(listener: &plan::Listener, port: u16) -> Listener {
    let facts = [
        Fact::Decisive {
            key: names::PEER,
            format: "%DOWNSTREAM_PEER_URI_SAN%".to_owned(),
        },
        // The first DNS name alone; %DOWNSTREAM_PEER_DNS_SAN% joins all of them.
        Fact::Decisive {
            key: names::CLASS,
            format: "%CEL(connection.dns_san_peer_certificate)%".to_owned(),
        },
        Fact::Told {
            key: names::DNS_NAMES,
            format: "%DOWNSTREAM_PEER_DNS_SAN%".to_owned(),
        },
    ];
    let dispatch = names::dispatch(&listener.name);
    let proxy = tcp_proxy::TcpProxy {
        access_log: refusals(listener, Place::Tunnel, "no tunnel was made"),
        idle_timeout: Some(duration(Duration::ZERO)),
        upstream_connect_mode: tcp_proxy::UpstreamConnectMode::OnDownstreamTlsHandshake.into(),
        // Envoy demands it for that mode; the header and a first flight of the client's TLS fit.
        max_early_data_bytes: number(64 << 10),
        ..filter::tcp_proxy(&listener.name, &dispatch)
    };
    let tunnel = listener::FilterChain {
        transport_socket: Some(tls::tunnel_socket()),
        transport_socket_connect_timeout: patience(),
        ..chain(
            &listener.name,
            vec![
                filter_state(Moment::TlsHandshake, &facts),
                filter::tcp(&proxy),
            ],
        )
    };
    Listener {
        filter_chains: vec![tunnel],
        ..bound(&listener.name, &[], port)
    }
}

/// Gateway, internal: picks the cluster of the client's class. An unknown class has no cluster, a
/// certificate without class gets the black hole; both are closed at once.
pub(super) fn dispatch(listener: &plan::Listener) -> Listener {
    let name = names::dispatch(&listener.name);
    let suffix = CLASS_SUFFIX.replace('.', "[.]");
    let facts = [
        // Only what has the form of a class, lest another DNS name chooses some other cluster.
        Fact::ChosenCluster {
            format: format!(
                "%CEL(re.extract(string(filter_state['{}']), '^([0-9a-f]{{32}}{suffix})$', '\\\\1'))%",
                names::CLASS
            ),
        },
        Fact::Told {
            key: names::POD,
            format: format!(
                "%CEL(re.extract(string(filter_state['{}']), '([^,]+){}', '\\\\1'))%",
                names::DNS_NAMES,
                sluice_plan::identity::POD_SUFFIX.replace('.', "[.]"),
            ),
        },
    ];
    let proxy = tcp_proxy::TcpProxy {
        access_log: refusals(listener, Place::Internal(None), "unknown class of client"),
        idle_timeout: Some(duration(Duration::ZERO)),
        ..filter::tcp_proxy(&name, BLACK_HOLE)
    };
    Listener {
        filter_chains: vec![chain(
            &name,
            vec![
                filter_state(Moment::NewConnection, &facts),
                filter::tcp(&proxy),
            ],
        )],
        per_connection_buffer_limit_bytes: number(RELAY_BYTES),
        ..internal(&name)
    }
}

fn chain(name: &str, filters: Vec<listener::Filter>) -> listener::FilterChain {
    listener::FilterChain {
        name: name.to_owned(),
        filters,
        ..Default::default()
    }
}

/// Only what got no further is logged here; the next listener logs the rest.
fn refusals(
    listener: &plan::Listener,
    place: Place,
    reason: &str,
) -> Vec<crate::envoy::accesslog::AccessLog> {
    access_log(
        &listener.access_log,
        place,
        Subject::Refusals {
            rule: "default-deny",
            reason,
        },
        Only::Stranded,
    )
}
