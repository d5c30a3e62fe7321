//! `Gateway`: which ports a fleet of gateway pods serves, for which hosts, with which TLS.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The spec of a `Gateway`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Gateway {
    /// The servers of the selected pods.
    pub servers: Vec<Server>,
    /// Labels of the gateway pods, in any namespace; empty selects every gateway.
    pub selector: BTreeMap<String, String>,
}

/// One listening port of a gateway.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Server {
    /// The port. Required.
    pub port: Port,
    /// The address or Unix socket to listen on; empty means every address.
    pub bind: String,
    /// Hosts served here, as `host`, `ns/host`, `./host` or `*/host`. Required.
    pub hosts: Vec<String>,
    /// TLS towards the client; required for HTTPS and TLS, refused for plain protocols (but for a redirect).
    pub tls: Option<ServerTlsSettings>,
    /// Not supported by Istio's gateways either.
    pub default_endpoint: String,
    /// A name for statistics and status.
    pub name: String,
}

/// The port of a server.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Port {
    /// The number, as the gateway's Service shows it.
    pub number: u32,
    /// HTTP, HTTPS, GRPC, GRPC-WEB, HTTP2, MONGO, TCP or TLS, in any case.
    pub protocol: String,
    /// A name, unique in its Gateway.
    pub name: String,
    /// Deprecated; refused by validation.
    pub target_port: u32,
}

/// TLS as the server side of a connection.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ServerTlsSettings {
    /// Answer plain HTTP with a redirect to HTTPS.
    pub https_redirect: bool,
    /// How the connection is handled; default PASSTHROUGH.
    pub mode: ServerTlsMode,
    /// File of the certificate chain.
    pub server_certificate: String,
    /// File of the private key.
    pub private_key: String,
    /// File of the CA certificates that client certificates are checked against.
    pub ca_certificates: String,
    /// File of the certificate revocation list.
    pub ca_crl: String,
    /// Name of the Secret holding certificate, key and, for MUTUAL, CA.
    pub credential_name: String,
    /// Like `credentialName`, for several certificates (RSA and ECDSA).
    pub credential_names: Vec<String>,
    /// Name of the Secret holding only the CA.
    pub ca_cert_credential_name: String,
    /// Several certificates from files.
    pub tls_certificates: Vec<TlsCertificate>,
    /// Accepted names in the client's certificate.
    pub subject_alt_names: Vec<String>,
    /// Accepted base64 SHA-256 hashes of the client's public key.
    pub verify_certificate_spki: Vec<String>,
    /// Accepted hex SHA-256 hashes of the client's certificate.
    pub verify_certificate_hash: Vec<String>,
    /// Oldest TLS version; default 1.2.
    pub min_protocol_version: TlsProtocol,
    /// Newest TLS version; default 1.3.
    pub max_protocol_version: TlsProtocol,
    /// Cipher suites, in order of preference.
    pub cipher_suites: Vec<String>,
    /// Elliptic curves of the key exchange, in order of preference.
    pub ecdh_curves: Vec<String>,
    /// Ask for a client certificate, but accept one that does not validate.
    pub insecure_skip_verify: Option<bool>,
}

/// A certificate and key in files.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct TlsCertificate {
    /// File of the certificate chain.
    pub server_certificate: String,
    /// File of the private key.
    pub private_key: String,
    /// File of the CA certificates.
    pub ca_certificates: String,
}

/// How a server handles TLS.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum ServerTlsMode {
    /// Not terminated; routed by SNI.
    #[default]
    Passthrough,
    /// Terminated with a server certificate.
    Simple,
    /// Terminated; a client certificate is demanded.
    Mutual,
    /// Not terminated; SNI names the cluster.
    AutoPassthrough,
    /// Terminated with mesh certificates on both sides.
    IstioMutual,
    /// Terminated; a client certificate is checked if sent.
    OptionalMutual,
}

/// A version of TLS.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum TlsProtocol {
    /// The proxy's default.
    #[default]
    TlsAuto,
    /// TLS 1.0
    #[serde(rename = "TLSV1_0")]
    Tls10,
    /// TLS 1.1
    #[serde(rename = "TLSV1_1")]
    Tls11,
    /// TLS 1.2
    #[serde(rename = "TLSV1_2")]
    Tls12,
    /// TLS 1.3
    #[serde(rename = "TLSV1_3")]
    Tls13,
}
