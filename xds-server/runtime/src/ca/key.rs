//! The CA's private key.
//!
//! rcgen's own key type reads PKCS#8 alone, but Istio's `ca-key.pem` is often PKCS#1 (`RSA PRIVATE KEY`) or
//! SEC1 (`EC PRIVATE KEY`), which rustls reads. So the signing is rustls's.

use std::sync::Arc;

use rcgen::{PKCS_RSA_SHA256, PublicKeyData, SignatureAlgorithm, SubjectPublicKeyInfo};
use rustls::{
    SignatureScheme,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};
use x509_parser::{certificate::X509Certificate, prelude::FromDer};

use super::provider;

/// A private key that signs certificates.
pub(super) struct SigningKey {
    private: Arc<dyn rustls::sign::SigningKey>,
    public: SubjectPublicKeyInfo,
}

impl SigningKey {
    /// Reads the first private key of a PEM text: PKCS#8, PKCS#1 or SEC1.
    pub(super) fn from_pem(text: &[u8]) -> Result<Self, String> {
        let der = PrivateKeyDer::from_pem_slice(text)
            .map_err(|_| "holds no PEM private key (PKCS#8, PKCS#1 or SEC1)".to_owned())?;
        let private = provider()
            .key_provider
            .load_private_key(der)
            .map_err(|error| format!("unusable private key: {error}"))?;
        let public = private
            .public_key()
            .ok_or_else(|| "unusable private key: it does not tell its public half".to_owned())?;
        let public = SubjectPublicKeyInfo::from_der(&public)
            .map_err(|error| format!("unusable private key: {error}"))?;
        Ok(Self { private, public })
    }

    /// Whether this is the private half of a certificate's key.
    pub(super) fn is_of(&self, certificate: &CertificateDer<'_>) -> bool {
        X509Certificate::from_der(certificate).is_ok_and(|(_, certificate)| {
            certificate.public_key().subject_public_key.data == self.public.der_bytes()
        })
    }

    fn scheme(&self) -> SignatureScheme {
        match self.private.algorithm() {
            rustls::SignatureAlgorithm::RSA => SignatureScheme::RSA_PKCS1_SHA256,
            rustls::SignatureAlgorithm::ED25519 => SignatureScheme::ED25519,
            // RFC 5480: the hash goes with the curve.
            _ if self.public.algorithm() == &rcgen::PKCS_ECDSA_P384_SHA384 => {
                SignatureScheme::ECDSA_NISTP384_SHA384
            }
            _ => SignatureScheme::ECDSA_NISTP256_SHA256,
        }
    }
}

impl PublicKeyData for SigningKey {
    fn der_bytes(&self) -> &[u8] {
        self.public.der_bytes()
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        match self.private.algorithm() {
            // One RSA key fits three algorithms; take the one that `scheme` signs with.
            rustls::SignatureAlgorithm::RSA => &PKCS_RSA_SHA256,
            _ => self.public.algorithm(),
        }
    }
}

impl rcgen::SigningKey for SigningKey {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rcgen::Error> {
        self.private
            .choose_scheme(&[self.scheme()])
            .and_then(|signer| signer.sign(message).ok())
            .ok_or(rcgen::Error::RingUnspecified)
    }
}
