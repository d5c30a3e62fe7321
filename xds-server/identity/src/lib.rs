//! Who a workload is on the wire: the names in its certificate, and Istio's call that gets one.
//!
//! - [`names`]: the names that a certificate vouches for, to and from subject alternative names.
//! - [`certificate`]: what stands in a workload's certificate, and reading one back.
//! - [`csr`]: certificate signing requests; only their public key counts.
//! - [`wire`], [`server`], [`client`]: `istio.v1.auth.IstioCertificateService` over gRPC.
//!
//! No I/O but the client's channel, no clock: times are arguments.
//!
//! ```
//! use sluice_identity::WorkloadNames;
//! use sluice_plan::identity::{ClassId, SpiffeId};
//!
//! let checkout = SpiffeId::parse("spiffe://cluster.local/ns/shop/sa/checkout")?;
//! let class = ClassId::of("shop", "checkout", [("tier", "web")]);
//! let names = WorkloadNames::new(checkout, Some(class), Some("web-0"), None)?;
//!
//! assert_eq!(names.uri(), "spiffe://cluster.local/ns/shop/sa/checkout");
//! assert_eq!(names.dns_names(), [class.dns_name(), "web-0.shop.pod.sluice.internal".to_owned()]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub mod names;

pub mod certificate;
pub mod csr;

pub mod wire;

pub mod client;
pub mod server;

pub use names::WorkloadNames;
