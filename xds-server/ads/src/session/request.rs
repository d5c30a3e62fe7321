//! What a client says in one message, in the same form for both variants of the protocol.

use envoy_types::pb::envoy::service::discovery::v3::{DeltaDiscoveryRequest, DiscoveryRequest};

use crate::{TypeUrl, Version};

/// One message of a client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// The type that it is about.
    pub kind: TypeUrl,
    /// The response that it answers. A nonce that is not ours reads as 0, which none has.
    pub nonce: Option<u64>,
    /// Why the client rejects that response; none when it accepts.
    pub error: Option<String>,
    /// What it wants.
    pub(crate) names: Names,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Names {
    /// Changes to the subscription, and what the client holds from an earlier stream.
    Delta {
        subscribe: Vec<String>,
        unsubscribe: Vec<String>,
        initial: Vec<(String, Option<Version>)>,
    },
    /// The whole subscription, and the version of the last accepted response.
    Sotw {
        names: Vec<String>,
        version: Option<Version>,
    },
}

impl Request {
    /// Reads a delta request; `implied` is the type of a service with one type only. None when
    /// it is about a type that this server does not serve.
    pub fn from_delta(request: DeltaDiscoveryRequest, implied: Option<TypeUrl>) -> Option<Self> {
        Some(Self {
            kind: kind(&request.type_url, implied)?,
            nonce: nonce(&request.response_nonce),
            error: request.error_detail.map(|status| status.message),
            names: Names::Delta {
                subscribe: request.resource_names_subscribe,
                unsubscribe: request.resource_names_unsubscribe,
                initial: request
                    .initial_resource_versions
                    .into_iter()
                    .map(|(name, version)| (name, version.parse().ok()))
                    .collect(),
            },
        })
    }

    /// Reads a state-of-the-world request, as [`from_delta`](Self::from_delta) does.
    pub fn from_sotw(request: DiscoveryRequest, implied: Option<TypeUrl>) -> Option<Self> {
        Some(Self {
            kind: kind(&request.type_url, implied)?,
            nonce: nonce(&request.response_nonce),
            error: request.error_detail.map(|status| status.message),
            names: Names::Sotw {
                names: request.resource_names,
                version: request.version_info.parse().ok(),
            },
        })
    }

    /// The names that it subscribes to, old ones among them.
    pub(crate) fn subscribes(&self) -> &[String] {
        match &self.names {
            Names::Delta { subscribe, .. } => subscribe,
            Names::Sotw { names, .. } => names,
        }
    }
}

fn kind(url: &str, implied: Option<TypeUrl>) -> Option<TypeUrl> {
    if url.is_empty() {
        implied
    } else {
        TypeUrl::parse(url)
    }
}

fn nonce(text: &str) -> Option<u64> {
    (!text.is_empty()).then(|| text.parse().unwrap_or(0))
}
