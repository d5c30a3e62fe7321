//! The test kit: a world of machines, servers, clients and real Envoys on one host.
//!
//! Enter at [`net::Lab`], which makes network namespaces that behave as machines on one LAN.
//! [`servers`] and [`clients`] run in them and report what they saw; [`envoy`] and [`programs`]
//! find the binaries under test; [`pki`] makes throw-away certificates.
//!
//! The kit is for tests and the demo: what goes wrong in setting up panics, with the reason and
//! the output of the program concerned. What a test may want to assert on is returned.

pub mod clients;
pub mod dns;
pub mod envoy;
pub mod net;
pub mod pki;
pub mod programs;
pub mod servers;
pub mod tls;
