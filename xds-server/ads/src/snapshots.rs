//! What the embedder gives to the server: who is connected, and what he shall hold.

use std::{net::SocketAddr, sync::Arc, time::SystemTime};

use envoy_types::pb::envoy::config::core::v3::{self as core, node::UserAgentVersionType};
use tokio::sync::watch;
use tonic::Status;

use crate::{ResourceSet, TypeUrl};

/// Who is at the other end, as proven by the TLS connection.
///
/// The embedder puts it into the extensions of each request (`ConnectInfo` of tonic's
/// `Connected`, or an interceptor). An ADS stream without one is refused.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Peer {
    /// The URI subject alternative names of the client's certificate.
    pub uri_sans: Vec<String>,
    /// Its DNS subject alternative names, in order.
    pub dns_sans: Vec<String>,
    /// When it expires. The server ends the stream then; Envoy comes again with its new one.
    pub not_after: Option<SystemTime>,
    /// The client's address; none on a Unix socket.
    pub remote: Option<SocketAddr>,
}

/// Who the client says that it is. Nothing here is proven.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Node {
    /// For example `sidecar~10.0.0.7~web-0.shop~shop.svc.cluster.local`.
    pub id: String,
    /// The service cluster.
    pub cluster: String,
    /// The client's software, for example `envoy 1.40.0`.
    pub agent: String,
}

impl From<&core::Node> for Node {
    fn from(node: &core::Node) -> Self {
        let version = match &node.user_agent_version_type {
            Some(UserAgentVersionType::UserAgentVersion(version)) => version.clone(),
            Some(UserAgentVersionType::UserAgentBuildVersion(build)) => build
                .version
                .as_ref()
                .map(|v| format!("{}.{}.{}", v.major_number, v.minor_number, v.patch))
                .unwrap_or_default(),
            None => String::new(),
        };
        Self {
            id: node.id.clone(),
            cluster: node.cluster.clone(),
            agent: format!("{} {version}", node.user_agent_name)
                .trim()
                .to_owned(),
        }
    }
}

/// One client's feed.
#[derive(Clone, Debug)]
pub struct Subscription {
    /// The client's name in logs and observations.
    pub id: Arc<str>,
    /// The sets to hold. The value at the start must be complete already: what is not in it is
    /// removed from a client that reconnects. When the sender is dropped the stream ends.
    pub updates: watch::Receiver<Arc<ResourceSet>>,
}

impl Subscription {
    /// A client called `id`, fed by `updates`.
    pub fn new(id: impl Into<Arc<str>>, updates: watch::Receiver<Arc<ResourceSet>>) -> Self {
        Self {
            id: id.into(),
            updates,
        }
    }
}

/// Where sets come from.
pub trait Snapshots: Send + Sync + 'static {
    /// Admits a client, or refuses it with the status that its stream ends with.
    ///
    /// Called once per stream, at its first message.
    ///
    /// # Errors
    /// Whatever the client shall be told: `permission_denied` when `peer` may not be `node`.
    fn subscribe(&self, peer: &Peer, node: &Node) -> Result<Subscription, Status>;

    /// The client `id` now asks for these names for the first time on its stream. Called before
    /// the answer is made, so what is published inside is part of it. Must not block.
    fn subscribed(&self, id: &str, kind: TypeUrl, names: &[String]) {
        let _ = (id, kind, names);
    }
}
