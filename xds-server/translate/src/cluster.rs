//! Clusters: where the connections of a destination go.
//!
//! One [`plan::Destination`] becomes one Envoy cluster. Nothing here can fail: what Envoy would
//! refuse was refused, and reported, while the plan was made.

mod balance;
mod discovery;
mod http;
mod source;

use std::time::Duration;

use sluice_plan::{
    destination::{self as plan, Resolution},
    tls::UpstreamTls,
};

use crate::{
    envoy::{
        Cluster, cluster, core, duration, internal_upstream, number, raw_buffer, socket,
        upstream_proxy_protocol,
    },
    names, tls,
};

/// Bytes buffered for each direction of a connection, at most.
pub(crate) const BUFFER_BYTES: u32 = 1 << 20;

/// The same where a connection is handed on to the listener that reads its PROXY header, and fewer
/// than the shortest header has (28).
///
/// Envoy closes a connection whose end is there when a listener filter first looks at its bytes
/// (envoy#36197): a client that says a little and half-closes loses it. With so little room, on both
/// sides of the relay, the reading pauses at the header and the end mostly comes a turn of the
/// event loop later. Measured on 1.40: of single connections 70 % were lost and none are, of bursts
/// of 20 all were and a fifth are, since Envoy does not keep the order of events within a turn.
/// Envoy moves 16 KiB at a time all the same, so no transfer gets slower.
pub(crate) const RELAY_BYTES: u32 = 16;

/// The cluster that carries traffic for `destination`.
pub fn cluster(destination: &plan::Destination) -> Cluster {
    let stat_name = destination.stat_name.as_ref().unwrap_or(&destination.name);
    let mut cluster = Cluster {
        name: destination.name.clone(),
        alt_stat_name: names::stat(stat_name),
        connect_timeout: Some(duration(destination.connect_timeout)),
        per_connection_buffer_limit_bytes: number(buffer_bytes(&destination.resolution)),
        circuit_breakers: Some(circuit_breakers(&destination.limits)),
        transport_socket: transport_socket(&destination.resolution, destination.tls.as_ref()),
        typed_extension_protocol_options: http::options(destination),
        upstream_bind_config: source::bind_config(&destination.source),
        upstream_connection_options: destination.keepalive.as_ref().map(keepalive),
        // Facts about one connection must not reach another: see `carry`.
        connection_pool_per_downstream_connection: matches!(
            destination.resolution,
            Resolution::Hop { .. }
        ),
        ..Default::default()
    };
    balance::balance(&mut cluster, destination);
    discovery::discover(&mut cluster, destination);
    cluster
}

/// The cluster `name` that leads to the internal listener of that name.
pub(crate) fn hop(name: &str) -> Cluster {
    let listener = name.to_owned();
    cluster(&plan::Destination::new(
        name,
        Resolution::Hop {
            listener,
            proxy_protocol: false,
        },
    ))
}

fn buffer_bytes(resolution: &Resolution) -> u32 {
    let relay = matches!(
        resolution,
        Resolution::Hop {
            proxy_protocol: false,
            ..
        }
    );
    if relay { RELAY_BYTES } else { BUFFER_BYTES }
}

fn transport_socket(
    resolution: &Resolution,
    tls: Option<&UpstreamTls>,
) -> Option<core::TransportSocket> {
    let tls = tls.map(tls::upstream_socket);
    let Resolution::Hop { proxy_protocol, .. } = resolution else {
        return tls;
    };
    let inner = tls.unwrap_or_else(|| {
        socket(
            "envoy.transport_sockets.raw_buffer",
            &raw_buffer::RawBuffer {},
        )
    });
    let hop = socket(
        "envoy.transport_sockets.internal_upstream",
        &internal_upstream::InternalUpstreamTransport {
            transport_socket: Some(inner),
            ..Default::default()
        },
    );
    Some(match proxy_protocol {
        true => socket(
            "envoy.transport_sockets.upstream_proxy_protocol",
            &upstream_proxy_protocol::ProxyProtocolUpstreamTransport {
                config: Some(core::ProxyProtocolConfig {
                    version: core::proxy_protocol_config::Version::V2.into(),
                    ..Default::default()
                }),
                transport_socket: Some(hop),
                ..Default::default()
            },
        ),
        false => hop,
    })
}

/// As Istio: no bound unless set, where Envoy's default would be 1024 (and 3 retries).
fn circuit_breakers(limits: &plan::Limits) -> cluster::CircuitBreakers {
    let bound = |limit: Option<u32>| number(limit.unwrap_or(u32::MAX));
    cluster::CircuitBreakers {
        thresholds: vec![cluster::circuit_breakers::Thresholds {
            max_connections: bound(limits.connections),
            max_pending_requests: bound(limits.pending_requests),
            max_requests: bound(limits.requests),
            max_retries: bound(limits.retries),
            track_remaining: true,
            ..Default::default()
        }],
        ..Default::default()
    }
}

fn keepalive(keepalive: &plan::Keepalive) -> cluster::UpstreamConnectionOptions {
    // Envoy counts whole seconds, and zero would mean the kernel's default.
    let seconds = |time: Duration| number(u32::try_from(time.as_secs().max(1)).unwrap_or(u32::MAX));
    cluster::UpstreamConnectionOptions {
        tcp_keepalive: Some(core::TcpKeepalive {
            keepalive_probes: keepalive.probes.and_then(number),
            keepalive_time: keepalive.time.and_then(seconds),
            keepalive_interval: keepalive.interval.and_then(seconds),
        }),
        ..Default::default()
    }
}
