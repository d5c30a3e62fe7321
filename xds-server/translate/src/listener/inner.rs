//! Gateway, internal: decides for the clients of one class, on the destination that they dialled.
//!
//! Both halves have this shape: the class's own listener, which the tunnel leads to, and the
//! listener of a Gateway server's half, which the former leads to. Each is preceded by a PROXY
//! header, so that addresses in logs are the client's and the one it dialled.

use sluice_plan::{identity::ClassId, listener as plan};

use super::{chain, internal, patience};
use crate::{
    access_log::Place,
    envoy::{Listener, any, core, listener, proxy_protocol},
};

pub(super) fn inner(listener: &plan::Listener, class: ClassId) -> Listener {
    let chains = chain::Chains::new(listener, Place::Internal(Some(class)));
    let sniffing = chain::tls_inspector(listener);
    Listener {
        listener_filters: std::iter::once(proxy_header()).chain(sniffing).collect(),
        listener_filters_timeout: patience(),
        // A client that says nothing gets the verdict for that, in the log.
        continue_on_listener_filters_timeout: true,
        filter_chains: chains.matched(),
        default_filter_chain: chains.otherwise(),
        ..internal(&listener.name)
    }
}

/// Sidecars and hops always send it; a connection without is none of ours.
fn proxy_header() -> listener::ListenerFilter {
    let config = proxy_protocol::ProxyProtocol {
        disallowed_versions: vec![core::proxy_protocol_config::Version::V1.into()],
        ..Default::default()
    };
    listener::ListenerFilter {
        name: "envoy.filters.listener.proxy_protocol".to_owned(),
        config_type: Some(listener::listener_filter::ConfigType::TypedConfig(any(
            &config,
        ))),
        ..Default::default()
    }
}
