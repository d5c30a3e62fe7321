//! Sidecar: every connection that was redirected here goes into a tunnel.

use std::time::Duration;

use sluice_plan::{authorization::Authorization, listener as plan, proxy::BLACK_HOLE};

use super::{bound, filter};
use crate::{
    access_log::{Only, Place, Subject, access_log},
    envoy::{Listener, any, duration, listener, number, original_dst, tcp_proxy},
};

/// The name of Istio's corresponding chain.
const LOOP_GUARD: &str = "virtualOutbound-blackhole";
const CATCH_ALL: &str = "virtualOutbound-catchall-tcp";

pub(super) fn capture(listener: &plan::Listener, port: u16, to: &str) -> Listener {
    // Connections that were not redirected, but made to the port itself: forwarded, they would
    // come back for ever.
    let refused = tcp_proxy::TcpProxy {
        access_log: log(listener),
        ..filter::tcp_proxy(BLACK_HOLE, BLACK_HOLE)
    };
    let carried = tcp_proxy::TcpProxy {
        access_log: log(listener),
        // The application decides how long it is silent.
        idle_timeout: Some(duration(Duration::ZERO)),
        ..filter::tcp_proxy(to, to)
    };
    Listener {
        listener_filters: vec![listener::ListenerFilter {
            name: "envoy.filters.listener.original_dst".to_owned(),
            config_type: Some(listener::listener_filter::ConfigType::TypedConfig(any(
                &original_dst::OriginalDst::default(),
            ))),
            ..Default::default()
        }],
        filter_chains: vec![listener::FilterChain {
            name: LOOP_GUARD.to_owned(),
            filter_chain_match: Some(listener::FilterChainMatch {
                destination_port: number(port.into()),
                ..Default::default()
            }),
            filters: vec![filter::tcp(&refused)],
            ..Default::default()
        }],
        default_filter_chain: Some(listener::FilterChain {
            name: CATCH_ALL.to_owned(),
            filters: vec![filter::tcp(&carried)],
            ..Default::default()
        }),
        ..bound(&listener.name, &[], port)
    }
}

fn log(listener: &plan::Listener) -> Vec<crate::envoy::accesslog::AccessLog> {
    access_log(
        &listener.access_log,
        Place::Sidecar,
        Subject::Connections {
            rule: "",
            authorization: &Authorization::default(),
        },
        Only::All,
    )
}
