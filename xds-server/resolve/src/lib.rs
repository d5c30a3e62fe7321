//! Users' objects to plans: all of Istio's semantics live here, pure.
//!
//! A [`catalog::Catalog`] holds the world; [`proxy::proxy`] derives what one proxy shall do, and
//! says what is wrong. Derivations read through a [`view::View`], which records what they asked.
//! For gateways the two halves of a VirtualService are evaluated in the order of a connection:
//! `mesh`, for the client's class, then `gateway`, where the first leads to a Service of the
//! gateway. Nothing here knows a clock, a socket or Envoy.

pub mod catalog;
pub mod client;
pub mod explain;
pub mod fact;
pub mod proxy;
pub mod sidecar;
pub mod view;

mod authorization;
mod builder;
mod gateway;
mod mesh;

mod chains;
mod destination;
mod egress;
mod forbidden;
mod http;
mod policy;
mod source_match;

mod index;
mod precedence;
mod protocol;
mod service;
mod visibility;

pub use catalog::{Catalog, Change};
pub use client::{Class, ProxyIdentity, ProxyRole, class_of, role};
pub use explain::{Client, Explanation, explain};
pub use fact::Fact;
pub use proxy::{Resolved, analyze, proxy};
