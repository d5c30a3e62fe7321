//! Key material and where a proxy finds it.

use std::{fmt, sync::Arc};

use serde::Serialize;

/// Bytes that no printout shows.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PrivateBytes(pub Arc<[u8]>);

impl fmt::Debug for PrivateBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

impl Serialize for PrivateBytes {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str("[redacted]")
    }
}

/// A secret that the control plane sends over ADS (SDS type).
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub struct Secret {
    /// Istio's SDS name, `kubernetes://NAME` or `kubernetes://NAME-cacert`.
    pub name: String,
    /// What it holds.
    pub content: SecretContent,
}

/// What a [`Secret`] holds; all PEM.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub enum SecretContent {
    /// A certificate chain with its private key.
    Certificate {
        /// Leaf first.
        chain: Arc<str>,
        /// PKCS#8 or SEC1.
        key: PrivateBytes,
    },
    /// Certificates to trust.
    Trust {
        /// One or more CA certificates.
        roots: Arc<str>,
        /// Revocation lists, if any.
        crl: Option<Arc<str>>,
    },
}

/// Which certificate a proxy presents.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub enum CertificateSource {
    /// The proxy's own workload certificate (SDS `default` of its agent).
    Workload,
    /// Files in the proxy's pod, served by its agent (SDS `file-cert:CERT~KEY`).
    Files {
        /// Path of the PEM chain.
        certificate: String,
        /// Path of the PEM key.
        key: String,
    },
    /// A `credentialName`, sent over ADS (SDS `kubernetes://NAME`).
    Credential(String),
}

/// Which certificates a proxy trusts.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub enum TrustSource {
    /// The mesh's roots (SDS `ROOTCA` of the agent).
    Workload,
    /// A file in the proxy's pod (SDS `file-root:PATH` of the agent).
    File(String),
    /// The operating system's store (SDS `file-root:system` of the agent).
    System,
    /// A `credentialName`, sent over ADS (SDS `kubernetes://NAME-cacert`).
    Credential(String),
}

impl CertificateSource {
    /// The SDS name.
    pub fn sds_name(&self) -> String {
        match self {
            Self::Workload => "default".to_owned(),
            Self::Files { certificate, key } => format!("file-cert:{certificate}~{key}"),
            Self::Credential(name) => format!("kubernetes://{name}"),
        }
    }

    /// Whether the secret comes over ADS rather than from the proxy's agent.
    pub fn is_from_control_plane(&self) -> bool {
        matches!(self, Self::Credential(_))
    }
}

impl TrustSource {
    /// The SDS name.
    pub fn sds_name(&self) -> String {
        match self {
            Self::Workload => "ROOTCA".to_owned(),
            Self::File(path) => format!("file-root:{path}"),
            Self::System => "file-root:system".to_owned(),
            Self::Credential(name) => format!("kubernetes://{name}-cacert"),
        }
    }

    /// Whether the secret comes over ADS rather than from the proxy's agent.
    pub fn is_from_control_plane(&self) -> bool {
        matches!(self, Self::Credential(_))
    }
}
