//! `credentialName`: Secrets of the gateway's own namespace, sent to it over ADS.
//!
//! Keys as Istio reads them: `tls.crt`/`tls.key`/`ca.crt`/`ca.crl` or `cert`/`key`/`cacert`/`crl`.
//! What Envoy would refuse is refused here, so that a bad Secret closes its own hosts only.

use std::{str, sync::Arc};

use rustls_pki_types::{
    CertificateDer, CertificateRevocationListDer, PrivateKeyDer, pem::PemObject,
};
use sluice_crd::core::secret::Secret as Kubernetes;
use sluice_plan::secret::{CertificateSource, PrivateBytes, Secret, SecretContent, TrustSource};

use super::Missing;
use crate::builder::Builder;

/// Which half of a credential is needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Need {
    /// A certificate with its key.
    Certificate,
    /// Certificates to trust.
    Trust,
}

/// The Secret's name in a `credentialName`, which may be written as a URL.
pub(crate) fn bare_name(credential_name: &str) -> String {
    credential_name
        .strip_prefix("kubernetes://")
        .unwrap_or(credential_name)
        .to_owned()
}

impl Builder<'_, '_> {
    /// Adds the credential to the plan; the error says what is missing or wrong.
    pub(crate) fn credential(&mut self, name: &str, need: Need) -> Result<(), Missing> {
        let namespace = self.proxy.namespace.clone();
        let sds_name = match need {
            Need::Certificate => CertificateSource::Credential(name.to_owned()).sds_name(),
            Need::Trust => TrustSource::Credential(name.to_owned()).sds_name(),
        };
        if self.plan.secrets.contains_key(&sds_name) {
            return Ok(());
        }
        let content = match need {
            Need::Certificate => {
                let secret = self.view.secret(&namespace, name);
                let secret =
                    secret.ok_or_else(|| format!("secret {namespace}/{name} does not exist"))?;
                certificate(&secret.spec)
                    .map_err(|why| format!("secret {namespace}/{name} {why}"))?
            }
            Need::Trust => {
                let apart = format!("{name}-cacert");
                let (found, secret) = [apart.as_str(), name]
                    .into_iter()
                    .find_map(|name| Some((name, self.view.secret(&namespace, name)?)))
                    .ok_or_else(|| {
                        format!("neither secret {namespace}/{apart} nor {namespace}/{name} exists")
                    })?;
                trust(&secret.spec).map_err(|why| format!("secret {namespace}/{found} {why}"))?
            }
        };
        self.plan.add_secret(Secret {
            name: sds_name,
            content,
        });
        Ok(())
    }
}

fn text(secret: &Kubernetes, keys: [&str; 2]) -> Option<Arc<str>> {
    let bytes = keys.iter().find_map(|key| secret.data.get(*key))?;
    str::from_utf8(bytes.expose()).ok().map(Arc::from)
}

fn certificate(secret: &Kubernetes) -> Result<SecretContent, String> {
    let chain = text(secret, ["tls.crt", "cert"]).ok_or("has no certificate (tls.crt or cert)")?;
    let key = text(secret, ["tls.key", "key"]).ok_or("has no private key (tls.key or key)")?;
    let certificates: Vec<_> = CertificateDer::pem_slice_iter(chain.as_bytes())
        .collect::<Result<_, _>>()
        .map_err(|error| format!("has a certificate that is no PEM: {error}"))?;
    if certificates.is_empty() {
        return Err("has no certificate in tls.crt".to_owned());
    }
    let private = PrivateKeyDer::from_pem_slice(key.as_bytes())
        .map_err(|error| format!("has a private key that is no PEM: {error}"))?;
    let signer = rustls::crypto::ring::sign::any_supported_type(&private)
        .map_err(|error| format!("has a private key of no known type: {error}"))?;
    let (_, leaf) = x509_parser::parse_x509_certificate(&certificates[0])
        .map_err(|error| format!("has a certificate that is no X.509: {error}"))?;
    let public = signer.public_key();
    if public.is_some_and(|public| public.as_ref() != leaf.public_key().raw) {
        return Err("has a private key that is not the certificate's".to_owned());
    }
    Ok(SecretContent::Certificate {
        chain,
        key: PrivateBytes(key.as_bytes().into()),
    })
}

fn trust(secret: &Kubernetes) -> Result<SecretContent, String> {
    let roots =
        text(secret, ["ca.crt", "cacert"]).ok_or("has no CA certificate (ca.crt or cacert)")?;
    let certificates: Result<Vec<_>, _> =
        CertificateDer::pem_slice_iter(roots.as_bytes()).collect();
    match certificates {
        Ok(certificates) if !certificates.is_empty() => {}
        Ok(_) => return Err("has no certificate in ca.crt".to_owned()),
        Err(error) => return Err(format!("has a CA certificate that is no PEM: {error}")),
    }
    let crl = text(secret, ["ca.crl", "crl"]);
    if let Some(crl) = &crl {
        CertificateRevocationListDer::from_pem_slice(crl.as_bytes())
            .map_err(|error| format!("has a revocation list that is no PEM: {error}"))?;
    }
    Ok(SecretContent::Trust { roots, crl })
}
