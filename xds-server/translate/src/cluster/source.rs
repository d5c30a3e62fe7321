//! The address that connections leave from.
//!
//! Never freebind: a connection from an address that this gateway has lost must fail.

use std::net::IpAddr;

use crate::envoy::{core, socket_address};

/// Linux's numbers; they are part of its ABI.
const IPPROTO_IP: i64 = 0;
const IP_BIND_ADDRESS_NO_PORT: i64 = 24;

/// Binds to the first address, or to the other where that one is of the wrong family.
pub(super) fn bind_config(source: &[IpAddr]) -> Option<core::BindConfig> {
    let (first, others) = source.split_first()?;
    Some(core::BindConfig {
        source_address: Some(socket_address(first.to_string(), 0)),
        extra_source_addresses: others
            .iter()
            .map(|address| core::ExtraSourceAddress {
                address: Some(socket_address(address.to_string(), 0)),
                // Listing options here would replace those below.
                socket_options: None,
            })
            .collect(),
        socket_options: vec![port_by_connect()],
        ..Default::default()
    })
}

/// Without it the port is taken at bind, once per address: 28,000 connections in all. With it the
/// port is taken at connect, once per address and destination.
fn port_by_connect() -> core::SocketOption {
    core::SocketOption {
        description: "IP_BIND_ADDRESS_NO_PORT".to_owned(),
        level: IPPROTO_IP,
        name: IP_BIND_ADDRESS_NO_PORT,
        value: Some(core::socket_option::Value::IntValue(1)),
        state: core::socket_option::SocketState::StatePrebind.into(),
        ..Default::default()
    }
}
