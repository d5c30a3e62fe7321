//! An xDS server for opaque versioned resources.
//!
//! The embedder publishes a [`ResourceSet`] per client through a `tokio::sync::watch` channel
//! (its [`Snapshots`]); this crate brings every connected Envoy to the newest set, by delta or
//! state-of-the-world ADS ([`AdsServer`]) or as a secret server on a Unix socket ([`SdsServer`]).
//! It knows Envoy's discovery messages and five type URLs. What is inside a resource, and where
//! it comes from, it does not know.
//!
//! All protocol rules are in [`Session`], a state machine without socket and clock. What happens
//! on the streams is told to an [`Observer`], which counts and logs.
//!
//! ```
//! use std::sync::Arc;
//! use sluice_ads::{AdsServer, Node, Peer, ResourceSet, Snapshots, Subscription};
//! use tokio::sync::watch;
//!
//! struct OneForAll(watch::Sender<Arc<ResourceSet>>);
//!
//! impl Snapshots for OneForAll {
//!     fn subscribe(&self, _peer: &Peer, node: &Node) -> Result<Subscription, tonic::Status> {
//!         Ok(Subscription::new(node.id.as_str(), self.0.subscribe()))
//!     }
//! }
//!
//! let (publisher, _) = watch::channel(Arc::new(ResourceSet::default()));
//! let service = AdsServer::new(Arc::new(OneForAll(publisher)), Arc::new(())).into_service();
//! let _router = tonic::transport::Server::builder().add_service(service);
//! ```

mod observer;
mod resource;
mod resource_set;
mod server;
mod session;
mod snapshots;
mod type_url;
mod wire;

pub use observer::{Observer, Protocol, Sent, StreamInfo};
pub use resource::{ParseVersionError, Resource, Version};
pub use resource_set::{Dangling, ResourceSet};
pub use server::{AdsServer, AdsService, SdsServer, SdsService};
pub use session::{ACK_TIMEOUT, Missing, Outcome, Report, Request, Response, Session};
pub use snapshots::{Node, Peer, Snapshots, Subscription};
pub use type_url::TypeUrl;
