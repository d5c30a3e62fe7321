//! Gateway, internal: decides for the clients of one class, on the destination that they dialled.

use sluice_plan::{identity::ClassId, listener as plan};

use super::{chain, internal, patience};
use crate::{
    access_log::Place,
    carry::{Fact, Moment, filter_state},
    envoy::{Listener, any, core, listener, proxy_protocol},
    names,
};

pub(super) fn class(listener: &plan::Listener, class: ClassId) -> Listener {
    let place = Place::Internal(Some(class));
    // Its own address is the original destination by now: the header was read.
    let original_dst = filter_state(
        Moment::NewConnection,
        &[Fact::Told {
            key: names::ORIGINAL_DST,
            format: "%DOWNSTREAM_LOCAL_ADDRESS%".to_owned(),
        }],
    );
    let chains = chain::Chains::new(listener, place, Some(original_dst));
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

/// The sidecar always sends it; a connection without is no tunnel of ours.
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
