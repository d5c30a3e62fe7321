//! Gateway, internal: a Gateway server's half for connections of one class, as if the server had
//! received them. The facts came along, so nothing is read from the connection itself.

use sluice_plan::{identity::ClassId, listener as plan};

use super::{chain, internal, patience};
use crate::{access_log::Place, envoy::Listener};

pub(super) fn hop(listener: &plan::Listener, class: ClassId) -> Listener {
    let chains = chain::Chains::new(listener, Place::Internal(Some(class)), None);
    Listener {
        listener_filters: chain::tls_inspector(listener).into_iter().collect(),
        listener_filters_timeout: patience(),
        continue_on_listener_filters_timeout: true,
        filter_chains: chains.matched(),
        default_filter_chain: chains.otherwise(),
        ..internal(&listener.name)
    }
}
