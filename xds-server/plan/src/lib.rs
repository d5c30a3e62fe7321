//! What each proxy shall do, in our own words.
//!
//! `resolve` makes these values out of Istio's objects, `translate` renders them as Envoy
//! messages. They know neither: every type here is plain data with `Eq + Hash + Ord`, so a
//! value is its own cache key and [`fingerprint::Fingerprint::of`] is its version.
//!
//! Enter at [`proxy::ProxyPlan`]: all that one proxy gets. Hosts are lower-case without a
//! trailing dot, durations are wall-clock, fractions are basis points.

pub mod identity;

pub mod address;
pub mod host;

pub mod authorization;
pub mod destination;
pub mod listener;
pub mod proxy;
pub mod route;
pub mod secret;
pub mod tls;

pub mod fingerprint;
pub mod simulate;
