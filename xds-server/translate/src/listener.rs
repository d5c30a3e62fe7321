//! Listeners, one shape for each role.
//!
//! The way of a connection: `capture` and `tunnel` client at the sidecar; tunnel server, dispatch,
//! `inner` at the gateway, for a class and again where a Gateway server's half follows. `server` is a Gateway
//! server's own port, for Istio's clients.

mod capture;
mod chain;
mod filter;
mod inner;
mod server;
mod tunnel;

use std::{net::IpAddr, time::Duration};

use sluice_plan::listener::{self as plan, Role};

use crate::{
    cluster::{self, BUFFER_BYTES},
    envoy::{Cluster, Listener, address, core, duration, listener, number},
    names,
};

/// The listener.
pub fn listener(listener: &plan::Listener) -> Listener {
    match &listener.role {
        Role::Capture { port, to } => capture::capture(listener, *port, to),
        Role::TunnelClient { to } => tunnel::client(listener, to),
        Role::TunnelServer { port } => tunnel::server(listener, *port),
        Role::Class(class) | Role::Hop(class) => inner::inner(listener, *class),
        Role::Server { bind, port } => server::server(listener, bind, *port),
    }
}

/// What a listener needs beside itself that is no node of the plan.
pub struct Companions {
    /// Further listeners.
    pub listeners: Vec<Listener>,
    /// Clusters that lead to them.
    pub clusters: Vec<Cluster>,
}

/// The companions of `listener`: a tunnel server's dispatch listener and the way to it.
///
/// Envoy's TCP proxy picks its cluster before the TLS handshake, when no certificate is known yet
/// (measured on 1.40, although it connects only afterwards). So the tunnel listener hands every
/// connection to one fixed internal listener, which picks the class's.
pub fn companions(listener: &plan::Listener) -> Companions {
    match &listener.role {
        Role::TunnelServer { .. } => Companions {
            listeners: vec![tunnel::dispatch(listener)],
            clusters: vec![cluster::hop(&names::dispatch(&listener.name))],
        },
        Role::Capture { .. }
        | Role::TunnelClient { .. }
        | Role::Class(_)
        | Role::Hop(_)
        | Role::Server { .. } => Companions {
            listeners: Vec::new(),
            clusters: Vec::new(),
        },
    }
}

/// The fields that all listeners share.
fn base(name: &str) -> Listener {
    Listener {
        name: name.to_owned(),
        per_connection_buffer_limit_bytes: number(BUFFER_BYTES),
        traffic_direction: core::TrafficDirection::Outbound.into(),
        ..Default::default()
    }
}

/// A listener that only clusters of the same Envoy reach.
fn internal(name: &str) -> Listener {
    Listener {
        listener_specifier: Some(listener::listener::ListenerSpecifier::InternalListener(
            listener::listener::InternalListenerConfig::default(),
        )),
        ..base(name)
    }
}

/// A listener on `port` of these addresses, of both families' wildcards if there are none.
fn bound(name: &str, bind: &[IpAddr], port: u16) -> Listener {
    let wildcards = [
        IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED),
        IpAddr::V6(std::net::Ipv6Addr::UNSPECIFIED),
    ];
    let bind = if bind.is_empty() { &wildcards } else { bind };
    let mut addresses = bind.iter().map(|ip| address(*ip, port));
    Listener {
        address: addresses.next(),
        additional_addresses: addresses
            .map(|address| listener::AdditionalAddress {
                address: Some(address),
                ..Default::default()
            })
            .collect(),
        ..base(name)
    }
}

/// How long a client may take to say what it wants: for listener filters and TLS handshakes. Also
/// how long one waits for its refusal that expects the server to speak first.
fn patience() -> Option<envoy_types::pb::google::protobuf::Duration> {
    Some(duration(Duration::from_secs(5)))
}
