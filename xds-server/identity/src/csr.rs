//! Certificate signing requests: proof that the caller holds a private key, and nothing more.
//!
//! Names that stand in a request are never read: who the caller is was decided by how it
//! authenticated. So our own requests carry none.

use rcgen::{CertificateParams, DistinguishedName, KeyPair, PublicKeyData, SubjectPublicKeyInfo};
use rustls_pki_types::{CertificateSigningRequestDer, pem::PemObject};
use x509_parser::{certification_request::X509CertificationRequest, prelude::FromDer};

/// Why a request is not accepted.
#[derive(Debug, thiserror::Error)]
pub enum CsrError {
    /// No PEM block `CERTIFICATE REQUEST` was found.
    #[error("no PEM certificate request")]
    Pem(#[source] rustls_pki_types::pem::Error),
    /// The DER inside is not a request.
    #[error("malformed certificate request")]
    Malformed,
    /// The request was not signed by the key that it names.
    #[error("the signature of the certificate request does not verify")]
    Signature,
    /// The key's algorithm is not one that we sign for (RSA of 2048 bits or more, P-256, P-384, Ed25519).
    #[error("unsupported key in the certificate request")]
    Key(#[source] rcgen::Error),
}

/// The public key of a request whose signature verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProvenKey(SubjectPublicKeyInfo);

impl ProvenKey {
    /// Takes the key out of a PEM request, after checking that the caller holds its private half.
    pub fn from_request(pem: &str) -> Result<Self, CsrError> {
        let der =
            CertificateSigningRequestDer::from_pem_slice(pem.as_bytes()).map_err(CsrError::Pem)?;
        let (rest, request) =
            X509CertificationRequest::from_der(&der).map_err(|_| CsrError::Malformed)?;
        if !rest.is_empty() {
            return Err(CsrError::Malformed);
        }
        request
            .verify_signature()
            .map_err(|_| CsrError::Signature)?;
        let key = request.certification_request_info.subject_pki.raw;
        SubjectPublicKeyInfo::from_der(key)
            .map(Self)
            .map_err(CsrError::Key)
    }
}

impl PublicKeyData for ProvenKey {
    fn der_bytes(&self) -> &[u8] {
        self.0.der_bytes()
    }

    fn algorithm(&self) -> &'static rcgen::SignatureAlgorithm {
        self.0.algorithm()
    }
}

/// A PEM request for a certificate over `key`, without any name.
pub fn request(key: &KeyPair) -> Result<String, rcgen::Error> {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.serialize_request(key)?.pem()
}

#[cfg(test)]
mod tests {
    use base64::{Engine, engine::general_purpose::STANDARD};

    use super::*;

    #[test]
    fn request_proves_its_own_key() {
        let key = KeyPair::generate().unwrap();

        let proven = ProvenKey::from_request(&request(&key).unwrap()).unwrap();

        assert_eq!(
            proven.subject_public_key_info(),
            key.subject_public_key_info()
        );
    }

    #[test]
    fn request_over_a_stolen_public_key_is_refused() {
        let owner = KeyPair::generate().unwrap();
        let thief = KeyPair::generate().unwrap();
        let honest = CertificateParams::default()
            .serialize_request(&thief)
            .unwrap();
        let stolen = replace(honest.der(), thief.public_key_raw(), owner.public_key_raw());

        let refused = ProvenKey::from_request(&pem(&stolen)).unwrap_err();

        assert!(matches!(refused, CsrError::Signature), "{refused}");
    }

    #[test]
    fn other_input_is_refused_without_panic() {
        let key = KeyPair::generate().unwrap();
        let good = CertificateParams::default()
            .serialize_request(&key)
            .unwrap();
        let trailing = [good.der().as_ref(), b"x"].concat();

        for text in ["", "x", &key.serialize_pem(), &pem(b""), &pem(&trailing)] {
            assert!(ProvenKey::from_request(text).is_err(), "{text}");
        }
        for end in 0..good.der().len() {
            assert!(ProvenKey::from_request(&pem(&good.der()[..end])).is_err());
        }
    }

    fn replace(text: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
        let at = text
            .windows(from.len())
            .position(|window| window == from)
            .unwrap();
        [&text[..at], to, &text[at + from.len()..]].concat()
    }

    fn pem(der: &[u8]) -> String {
        let body = STANDARD.encode(der);
        format!("-----BEGIN CERTIFICATE REQUEST-----\n{body}\n-----END CERTIFICATE REQUEST-----\n")
    }
}
