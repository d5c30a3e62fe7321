//! TLS as a proxy begins or ends it.

use serde::Serialize;

use crate::secret::{CertificateSource, TrustSource};

/// Application protocol of the tunnel from a sidecar to a gateway; both ends must agree.
pub const TUNNEL_ALPN: &str = "sluice-tunnel";

/// TLS that a proxy begins towards a destination.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub struct UpstreamTls {
    /// Server name to send.
    pub sni: Sni,
    /// Certificate to present, if any.
    pub certificate: Option<CertificateSource>,
    /// Whose certificates to accept; `None` accepts any (`insecureSkipVerify`).
    pub trust: Option<TrustSource>,
    /// Names of which the server's certificate must carry one; URI SANs if they begin with a scheme.
    pub subject_alt_names: Vec<String>,
    /// Whether, without `subject_alt_names`, the certificate must be for the name that was dialled.
    pub verify_sni: bool,
    /// Application protocols to offer, in order.
    pub alpn: Vec<String>,
    /// TLS 1.3 and nothing older (the tunnel between our own proxies).
    pub only_tls13: bool,
}

/// Which server name a proxy sends.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub enum Sni {
    /// None.
    Absent,
    /// This one.
    Fixed(String),
    /// The request's host.
    FromHost,
}

/// TLS that a gateway's server ends.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub struct DownstreamTls {
    /// The server's certificates.
    pub certificates: Vec<CertificateSource>,
    /// What is asked of clients.
    pub clients: ClientCertificates,
    /// Application protocols to accept, in order of preference.
    pub alpn: Vec<String>,
    /// Oldest version; Envoy's default (TLS 1.2) if absent.
    pub min_version: Option<TlsVersion>,
    /// Newest version; Envoy's default (TLS 1.3) if absent.
    pub max_version: Option<TlsVersion>,
    /// TLS 1.2 cipher suites; Envoy's default if empty.
    pub cipher_suites: Vec<String>,
}

/// What a TLS server asks of its clients.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub enum ClientCertificates {
    /// Nothing.
    NotAsked,
    /// A certificate is verified if presented.
    Optional(ClientTrust),
    /// No connection without a valid certificate.
    Required(ClientTrust),
}

/// Which client certificates a TLS server accepts.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub struct ClientTrust {
    /// Whose certificates to accept.
    pub roots: TrustSource,
    /// Names of which the client's certificate must carry one; empty accepts all.
    pub subject_alt_names: Vec<String>,
}

/// A version of TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[allow(missing_docs)]
pub enum TlsVersion {
    V1_0,
    V1_1,
    V1_2,
    V1_3,
}
