//! What Envoy asks this process for by SDS: the workload's certificate, the roots, and secrets
//! that users keep in files.
//!
//! [`Store`] holds the present ones and feeds Envoy's stream; [`files`] follows the files that
//! Envoy has asked for; [`server`] is the Unix socket. Keys live in memory only.

pub(crate) mod files;
mod name;
mod pem;
pub(crate) mod server;
mod store;

use std::fmt;

pub(crate) use pem::certificates;
pub(crate) use server::SocketError;
pub(crate) use store::Store;

/// The workload's own certificate and key, as Istio names it.
pub(crate) const DEFAULT: &str = "default";
/// The roots of the mesh, as Istio names them.
pub(crate) const ROOT_CA: &str = "ROOTCA";

/// A secret, complete and checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Secret {
    /// What to present: a chain, leaf first, and the leaf's key. Both PEM.
    Certificate {
        /// Leaf and intermediates.
        chain_pem: String,
        /// The leaf's key.
        key_pem: PrivateKey,
    },
    /// Whom to trust: PEM certificates.
    Roots(String),
}

/// A private key in PEM.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct PrivateKey(String);

impl PrivateKey {
    pub(crate) fn new(pem: String) -> Self {
        Self(pem)
    }

    /// The key itself: to Envoy or into a handshake, never into a log.
    pub(crate) fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_output_hides_the_key() {
        let secret = Secret::Certificate {
            chain_pem: "chain".to_owned(),
            key_pem: PrivateKey::new("PRIVATE".to_owned()),
        };
        let text = format!("{secret:?}");
        assert!(
            text.contains("[redacted]") && !text.contains("PRIVATE"),
            "{text}"
        );
    }
}
