//! Plan to Envoy messages.
//!
//! Total functions: whatever the plan says has an Envoy message, and what Envoy would refuse was
//! refused while the plan was made. [`render`] turns all that one proxy gets into encoded
//! resources; [`cluster`], [`listener`] and the others translate one node each. [`print`] and
//! [`static_bootstrap`] show the result as JSON.

pub mod envoy;
mod names;

mod carry;
mod tls;

mod access_log;
mod cluster;
mod endpoints;
mod listener;
mod rbac;
mod route;
mod secret;

pub mod print;
mod resources;
mod static_bootstrap;

pub use cluster::cluster;
pub use endpoints::load_assignment;
pub use listener::{Companions, companions, listener};
pub use resources::{Kind, Rendered, RenderedSet, render};
pub use route::route_configuration;
pub use secret::secret;
pub use static_bootstrap::static_bootstrap;
