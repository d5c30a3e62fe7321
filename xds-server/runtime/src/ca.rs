//! The certificate authority of the mesh: who signs, for how long, and what the chains look like.
//!
//! An [`Authority`] comes from an Istio-format `cacerts` directory ([`cacerts`]), so that a mesh that
//! trusts that root goes on, or is made once and kept in the state directory ([`state`]). Workloads ask
//! through [`service`]; the control plane's own certificate is kept fresh by [`serving`].
//! Whatever the source, the authority is tried before use: a chain that no client would accept is
//! reported when the control plane starts, not when the first proxy fails.

pub mod cacerts;
pub mod state;

mod key;
mod pem;

pub mod service;
pub mod serving;

#[cfg(test)]
mod tests;

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, SystemTime},
};

use rcgen::{CertificateParams, Issuer, KeyPair, PublicKeyData};
use rustls::{
    RootCertStore,
    crypto::CryptoProvider,
    pki_types::{CertificateDer, PrivatePkcs8KeyDer, UnixTime},
    server::{WebPkiClientVerifier, danger::ClientCertVerifier},
    sign::CertifiedKey,
};
use sluice_identity::{
    WorkloadNames,
    certificate::{Contents, Validity, leaf_params, workload_params},
    csr::ProvenKey,
};
use sluice_plan::identity::SpiffeId;

use self::key::SigningKey;

/// A certificate lives one day unless asked otherwise, and never longer.
pub const MAX_LIFETIME: Duration = Duration::from_secs(24 * 60 * 60);

/// Certificates are valid a little before they are made, for nodes whose clock runs late.
pub const BACKDATE: Duration = Duration::from_secs(2 * 60);

/// Signs certificates for workloads and for the control plane itself.
pub struct Authority {
    issuer: Issuer<'static, SigningKey>,
    /// The issuer's certificate and those above it, without the roots.
    intermediates: Vec<CertificateDer<'static>>,
    roots: Vec<CertificateDer<'static>>,
    /// When the first certificate of the issuing chain expires.
    not_after: SystemTime,
}

/// Certificates for one key.
#[derive(Clone, Debug)]
pub struct Chain {
    /// Leaf and intermediates, DER: what is presented in handshakes.
    pub presented: Vec<CertificateDer<'static>>,
    /// When the leaf is valid.
    pub validity: Validity,
}

/// Why there is no authority, or no certificate.
#[derive(Debug, thiserror::Error)]
pub enum CaError {
    /// A file cannot be read or written.
    #[error("{}: {doing}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What was tried.
        doing: &'static str,
        /// What the system said.
        #[source]
        cause: std::io::Error,
    },
    /// A file's content is not what its name promises.
    #[error("{}: {problem}", path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// What the authority signs would be refused by everyone who trusts its roots.
    #[error("the CA in {} cannot issue usable certificates", dir.display())]
    Unusable {
        /// Where the authority came from.
        dir: PathBuf,
        /// Why a certificate of its making was refused.
        #[source]
        cause: rustls::Error,
    },
    /// A certificate of the issuing chain has expired.
    #[error("the CA's certificate has expired")]
    Expired,
    /// Signing failed.
    #[error("cannot sign a certificate")]
    Sign(#[from] rcgen::Error),
    /// The key of the control plane's certificate cannot be used, or there is no randomness.
    #[error("cannot make a key")]
    Key(#[source] rustls::Error),
}

impl Authority {
    /// Joins what was read, and proves that a certificate signed here would be accepted.
    fn new(
        dir: &Path,
        key: SigningKey,
        certificate: &CertificateDer<'static>,
        intermediates: Vec<CertificateDer<'static>>,
        roots: Vec<CertificateDer<'static>>,
        now: SystemTime,
    ) -> Result<Self, CaError> {
        let mut not_after = None;
        for link in intermediates.iter().chain([certificate]) {
            let contents = Contents::read(link).map_err(|error| CaError::Content {
                path: dir.to_owned(),
                problem: error.to_string(),
            })?;
            let end = contents.validity.not_after;
            not_after = Some(not_after.map_or(end, |earlier: SystemTime| earlier.min(end)));
        }
        let authority = Self {
            issuer: Issuer::from_ca_cert_der(certificate, key)?,
            intermediates,
            roots,
            not_after: not_after.expect("the issuer's own certificate was among them"),
        };
        authority.try_out(dir, now)?;
        Ok(authority)
    }

    /// Certifies a workload's key. The lifetime is a wish; it is capped, and ends with the CA's own.
    pub fn certify(
        &self,
        names: &WorkloadNames,
        key: &ProvenKey,
        lifetime: Option<Duration>,
        now: SystemTime,
    ) -> Result<Chain, CaError> {
        let validity = self.validity(lifetime.unwrap_or(MAX_LIFETIME), now)?;
        let params = workload_params(names, validity, random_serial()?);
        self.sign(&params, key, validity)
    }

    /// A fresh key and certificate for a server, such as the control plane's own port.
    pub fn server_key(
        &self,
        spiffe: &SpiffeId,
        dns_names: &[String],
        lifetime: Duration,
        now: SystemTime,
    ) -> Result<(CertifiedKey, Validity), CaError> {
        let validity = self.validity(lifetime, now)?;
        let params = leaf_params(&spiffe.to_string(), dns_names, validity, random_serial()?)?;
        let key = KeyPair::generate()?;
        let chain = self.sign(&params, &key, validity)?;
        let key = PrivatePkcs8KeyDer::from(key.serialize_der());
        let key = provider()
            .key_provider
            .load_private_key(key.into())
            .map_err(CaError::Key)?;
        Ok((CertifiedKey::new(chain.presented, key), validity))
    }

    /// Accepts peers that this authority certified (as any authority below the same roots), or nobody.
    pub fn client_verifier(&self) -> Result<Arc<dyn ClientCertVerifier>, rustls::Error> {
        let mut store = RootCertStore::empty();
        for root in &self.roots {
            store.add(root.clone())?;
        }
        WebPkiClientVerifier::builder_with_provider(Arc::new(store), provider())
            .allow_unauthenticated()
            .build()
            .map_err(|error| rustls::Error::General(error.to_string()))
    }

    /// The root certificate(s), PEM: what clients shall trust.
    pub fn roots_pem(&self) -> String {
        self.roots.iter().map(|root| pem::encode(root)).collect()
    }

    /// When the authority itself ends.
    pub fn not_after(&self) -> SystemTime {
        self.not_after
    }

    fn validity(&self, lifetime: Duration, now: SystemTime) -> Result<Validity, CaError> {
        if now >= self.not_after {
            return Err(CaError::Expired);
        }
        Ok(Validity {
            not_before: now - BACKDATE,
            not_after: (now + lifetime.min(MAX_LIFETIME)).min(self.not_after),
        })
    }

    fn sign(
        &self,
        params: &CertificateParams,
        key: &impl PublicKeyData,
        validity: Validity,
    ) -> Result<Chain, CaError> {
        let leaf = params.signed_by(key, &self.issuer)?;
        let mut presented = vec![leaf.into()];
        presented.extend(self.intermediates.iter().cloned());
        Ok(Chain {
            presented,
            validity,
        })
    }

    /// Signs a throw-away certificate and verifies it as a server would: this finds a key that is not the
    /// certificate's, a chain with a gap, a root that is another one, and constraints that forbid leaves.
    fn try_out(&self, dir: &Path, now: SystemTime) -> Result<(), CaError> {
        let unusable = |cause| CaError::Unusable {
            dir: dir.to_owned(),
            cause,
        };
        let probe = SpiffeId::new("probe", "probe", "probe").expect("these are names");
        let (key, _) = self.server_key(&probe, &[], MAX_LIFETIME, now)?;
        let since_epoch = now
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or(Duration::ZERO);
        let (leaf, above) = key
            .cert
            .split_first()
            .expect("a chain begins with the leaf that was signed");
        self.client_verifier()
            .and_then(|verifier| {
                verifier.verify_client_cert(leaf, above, UnixTime::since_unix_epoch(since_epoch))
            })
            .map_err(unusable)?;
        Ok(())
    }
}

impl std::fmt::Debug for Authority {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Authority")
            .field("intermediates", &self.intermediates.len())
            .field("roots", &self.roots.len())
            .field("not_after", &self.not_after)
            .field("key", &"[redacted]")
            .finish()
    }
}

impl Chain {
    /// The reply of Istio's certificate service: leaf, intermediates, root(s) last.
    pub fn reply(&self, authority: &Authority) -> Vec<String> {
        let presented = self.presented.iter().map(|link| pem::encode(link));
        presented.chain([authority.roots_pem()]).collect()
    }
}

/// The one provider of cryptography in this process.
pub(crate) fn provider() -> Arc<CryptoProvider> {
    static PROVIDER: std::sync::LazyLock<Arc<CryptoProvider>> =
        std::sync::LazyLock::new(|| Arc::new(rustls::crypto::ring::default_provider()));
    Arc::clone(&PROVIDER)
}

fn random_serial() -> Result<[u8; 16], CaError> {
    let mut serial = [0; 16];
    provider()
        .secure_random
        .fill(&mut serial)
        .map_err(|_| CaError::Key(rustls::Error::FailedToGetRandomBytes))?;
    Ok(serial)
}
