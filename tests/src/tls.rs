//! TLS of the lab's servers and clients, and what each end learnt of the other.

use std::sync::Arc;

use rustls::crypto::ring;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
use rustls::server::WebPkiClientVerifier;
use rustls::{ClientConfig, CommonState, RootCertStore, ServerConfig};
use x509_parser::extensions::GeneralName;
use x509_parser::parse_x509_certificate;

use crate::pki::{Authority, Identity};

/// What a server asks of its clients' certificates.
pub enum ClientCertificates<'a> {
    /// It does not ask.
    Ignored,
    /// It takes one of this authority, or none.
    Optional(&'a Authority),
    /// No certificate of this authority, no connection.
    Required(&'a Authority),
}

/// What one end learnt in a handshake.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// The name that the client asked for; known to servers only.
    pub sni: Option<String>,
    /// The protocol agreed on.
    pub alpn: Option<String>,
    /// As `TLSv1_3`.
    pub version: String,
    /// The other end's certificate.
    pub peer: Option<PeerCertificate>,
}

/// The names in a certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerCertificate {
    /// As `CN=checkout`.
    pub subject: String,
    /// URI names in their order.
    pub uris: Vec<String>,
    /// DNS names in their order.
    pub dns: Vec<String>,
}

/// A server's end, offering `alpn` in this order of preference.
pub fn server(
    identity: &Identity,
    clients: ClientCertificates<'_>,
    alpn: &[&str],
) -> Arc<ServerConfig> {
    let builder = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .expect("ring has the default versions");
    let verifier = |authority: &Authority, optional: bool| {
        let builder =
            WebPkiClientVerifier::builder_with_provider(roots(&[authority]).into(), provider());
        let builder = if optional {
            builder.allow_unauthenticated()
        } else {
            builder
        };
        builder.build().expect("there is a root")
    };
    let builder = match clients {
        ClientCertificates::Ignored => builder.with_no_client_auth(),
        ClientCertificates::Optional(authority) => {
            builder.with_client_cert_verifier(verifier(authority, true))
        }
        ClientCertificates::Required(authority) => {
            builder.with_client_cert_verifier(verifier(authority, false))
        }
    };
    let mut config = builder
        .with_single_cert(chain(identity), key(identity))
        .expect("key and certificate were made together");
    config.alpn_protocols = protocols(alpn);
    config.into()
}

/// A client's end that trusts `authorities` and shows `identity`, if any.
pub fn client(
    authorities: &[&Authority],
    identity: Option<&Identity>,
    alpn: &[&str],
) -> Arc<ClientConfig> {
    let builder = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .expect("ring has the default versions")
        .with_root_certificates(roots(authorities));
    let mut config = match identity {
        None => builder.with_no_client_auth(),
        Some(identity) => builder
            .with_client_auth_cert(chain(identity), key(identity))
            .expect("key and certificate were made together"),
    };
    config.alpn_protocols = protocols(alpn);
    config.into()
}

/// What `state` tells of the other end; `sni` as the server saw it.
pub(crate) fn session(state: &CommonState, sni: Option<&str>) -> Session {
    Session {
        sni: sni.map(str::to_owned),
        alpn: state
            .alpn_protocol()
            .map(|protocol| String::from_utf8_lossy(protocol).into_owned()),
        version: state
            .protocol_version()
            .map_or_else(String::new, |version| format!("{version:?}")),
        peer: state
            .peer_certificates()
            .and_then(<[_]>::first)
            .and_then(names),
    }
}

fn names(certificate: &CertificateDer<'_>) -> Option<PeerCertificate> {
    let (_, certificate) = parse_x509_certificate(certificate).ok()?;
    let mut peer = PeerCertificate {
        subject: certificate.subject().to_string(),
        uris: Vec::new(),
        dns: Vec::new(),
    };
    if let Ok(Some(extension)) = certificate.subject_alternative_name() {
        for name in &extension.value.general_names {
            match name {
                GeneralName::URI(uri) => peer.uris.push((*uri).to_owned()),
                GeneralName::DNSName(dns) => peer.dns.push((*dns).to_owned()),
                _ => {}
            }
        }
    }
    Some(peer)
}

fn provider() -> Arc<rustls::crypto::CryptoProvider> {
    Arc::new(ring::default_provider())
}

fn roots(authorities: &[&Authority]) -> RootCertStore {
    let mut roots = RootCertStore::empty();
    for authority in authorities {
        for certificate in CertificateDer::pem_slice_iter(authority.cert_pem().as_bytes()) {
            roots
                .add(certificate.expect("we wrote the PEM"))
                .expect("we made the certificate");
        }
    }
    roots
}

fn chain(identity: &Identity) -> Vec<CertificateDer<'static>> {
    CertificateDer::pem_slice_iter(identity.cert_pem.as_bytes())
        .map(|certificate| certificate.expect("we wrote the PEM"))
        .collect()
}

fn key(identity: &Identity) -> PrivateKeyDer<'static> {
    PrivateKeyDer::from_pem_slice(identity.key_pem.as_bytes()).expect("we wrote the PEM")
}

fn protocols(alpn: &[&str]) -> Vec<Vec<u8>> {
    alpn.iter()
        .map(|protocol| protocol.as_bytes().to_vec())
        .collect()
}
