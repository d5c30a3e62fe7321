//! The parts of a VirtualService's match that ask where a connection comes from, not what it is.

use std::collections::BTreeMap;

use sluice_crd::istio::virtual_service::{
    L4MatchAttributes, TlsMatchAttributes, http::HttpMatchRequest,
};

use crate::{builder::Half, http::Entrance, index::gateway_name, policy::selects};

/// Gateways, port, labels and namespace of one match, of any protocol.
pub(crate) struct Source<'a> {
    /// Namespace of the VirtualService, in which bare gateway names are.
    owner: &'a str,
    gateways: &'a [String],
    port: u32,
    labels: &'a BTreeMap<String, String>,
    namespace: &'a str,
}

impl<'a> Source<'a> {
    pub(crate) fn of_http(owner: &'a str, condition: &'a HttpMatchRequest) -> Self {
        Self {
            owner,
            gateways: &condition.gateways,
            port: condition.port,
            labels: &condition.source_labels,
            namespace: &condition.source_namespace,
        }
    }

    pub(crate) fn of_tls(owner: &'a str, condition: &'a TlsMatchAttributes) -> Self {
        Self {
            owner,
            gateways: &condition.gateways,
            port: condition.port,
            labels: &condition.source_labels,
            namespace: &condition.source_namespace,
        }
    }

    pub(crate) fn of_tcp(owner: &'a str, condition: &'a L4MatchAttributes) -> Self {
        Self {
            owner,
            gateways: &condition.gateways,
            port: condition.port,
            labels: &condition.source_labels,
            namespace: &condition.source_namespace,
        }
    }
}

/// Whether a match holds for what enters at `entrance`. With `gateways` in the match, labels and
/// namespace are not evaluated.
pub(crate) fn applies(source: &Source<'_>, entrance: &Entrance<'_>) -> bool {
    if source.port != 0 && source.port != u32::from(entrance.port) {
        return false;
    }
    if !source.gateways.is_empty() {
        return (source.gateways.iter())
            .map(|listed| gateway_name(listed, source.owner))
            .any(|name| entrance.gateways.contains(&name));
    }
    match &entrance.half {
        Half::Mesh(class) => {
            selects(source.labels, &class.labels)
                && (source.namespace.is_empty() || source.namespace == class.namespace)
        }
        // As in Istio, a gateway compares with its own labels.
        Half::Gateway(proxy) => {
            selects(source.labels, &proxy.labels)
                && (source.namespace.is_empty() || source.namespace == proxy.namespace)
        }
    }
}
