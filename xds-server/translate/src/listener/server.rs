//! Gateway: a Gateway server's own port, for Istio's clients.

use std::net::IpAddr;

use sluice_plan::listener as plan;

use super::{bound, chain, patience};
use crate::{access_log::Place, envoy::Listener};

pub(super) fn server(listener: &plan::Listener, bind: &[IpAddr], port: u16) -> Listener {
    let chains = chain::Chains::new(listener, Place::Bare);
    Listener {
        listener_filters: chain::tls_inspector(listener).into_iter().collect(),
        listener_filters_timeout: patience(),
        filter_chains: chains.matched(),
        default_filter_chain: chains.otherwise(),
        ..bound(&listener.name, bind, port)
    }
}
