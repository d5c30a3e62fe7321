//! The test kit: a world of machines, servers, clients and real Envoys on one host.
//!
//! Enter at [`net::Lab`], which makes network namespaces that behave as machines on one LAN.
//! [`servers`] and [`clients`] run in them and report what they saw; [`envoy`] and [`programs`]
//! find the binaries under test; [`pki`] makes throw-away certificates.
//!
//! The kit is for tests and the demo: what goes wrong in setting up panics, with the reason and
//! the output of the program concerned. What a test may want to assert on is returned.
//!
//! ```no_run
//! use sluice_tests::clients::http::Call;
//! use sluice_tests::dns::DnsServer;
//! use sluice_tests::net::Lab;
//! use sluice_tests::servers::Transport;
//! use sluice_tests::servers::http::{HttpServer, Reply};
//!
//! let lab = Lab::new();
//! let cluster = lab.machine("dns").address("10.96.0.10/12").start();
//! let dns = DnsServer::start(&cluster, cluster.v4().into());
//! let partner = lab.machine("partner").address("198.51.100.1/24").start();
//! let address = (partner.v4(), 80).into();
//! let api = HttpServer::start(&partner, address, Transport::Plain, Reply::describing);
//! dns.zone().set("api.partner.example", &["198.51.100.1"]);
//!
//! let app = lab.machine("app").address("10.244.1.10/24").dns("10.96.0.10").start();
//! let response = Call::get("http://api.partner.example/orders").send(&app).expect("it is served");
//! assert_eq!(response.status, 200);
//! assert_eq!(api.requests().last().connection.peer.ip(), app.v4());
//! ```

pub mod clients;
pub mod dns;
pub mod envoy;
pub mod mesh;
pub mod net;
pub mod pki;
pub mod programs;
pub mod servers;
pub mod tls;
