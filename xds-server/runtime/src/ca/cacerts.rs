//! A root that the mesh has already: Istio's `cacerts`, as a mounted Secret or a directory.
//!
//! `ca-cert.pem` and `ca-key.pem` sign; `cert-chain.pem` leads from there to `root-cert.pem`, which may
//! hold several roots while one replaces another.

use std::{path::Path, time::SystemTime};

use rustls::pki_types::CertificateDer;

use super::{Authority, CaError, key::SigningKey, pem};

impl Authority {
    /// Reads an Istio-format directory; `cert-chain.pem` may be absent where `ca-cert.pem` is the root.
    pub fn from_cacerts(dir: &Path, now: SystemTime) -> Result<Self, CaError> {
        let key = read_key(&dir.join("ca-key.pem"))?;
        let certificate = pem::read_certificates(&dir.join("ca-cert.pem"))?.swap_remove(0);
        if !key.is_of(&certificate) {
            return Err(CaError::Content {
                path: dir.join("ca-key.pem"),
                problem: "is not the key of ca-cert.pem".to_owned(),
            });
        }
        let roots = pem::read_certificates(&dir.join("root-cert.pem"))?;
        let chain_path = dir.join("cert-chain.pem");
        let chain = if chain_path.exists() {
            pem::read_certificates(&chain_path)?
        } else {
            Vec::new()
        };
        let intermediates = intermediates(&certificate, chain, &roots);
        Self::new(dir, key, &certificate, intermediates, roots, now)
    }
}

pub(super) fn read_key(path: &Path) -> Result<SigningKey, CaError> {
    let text = std::fs::read(path).map_err(|cause| CaError::File {
        path: path.to_owned(),
        doing: "cannot be read",
        cause,
    })?;
    SigningKey::from_pem(&text).map_err(|problem| CaError::Content {
        path: path.to_owned(),
        problem,
    })
}

/// What lies between a leaf and the roots. Istio's own tools end `cert-chain.pem` with the root,
/// which nobody needs to be sent, and some leave the issuer out.
fn intermediates(
    issuer: &CertificateDer<'static>,
    chain: Vec<CertificateDer<'static>>,
    roots: &[CertificateDer<'static>],
) -> Vec<CertificateDer<'static>> {
    let above = chain.into_iter().filter(|link| link != issuer);
    [issuer.clone()]
        .into_iter()
        .chain(above)
        .filter(|link| !roots.contains(link))
        .collect()
}
