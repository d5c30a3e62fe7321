//! Secrets that the control plane sends itself (`credentialName`).

use sluice_plan::secret::{self as plan, SecretContent};

use crate::envoy::{Secret, core, inline, tls};

/// The secret as Envoy takes it.
pub fn secret(secret: &plan::Secret) -> Secret {
    let content = match &secret.content {
        SecretContent::Certificate { chain, key } => {
            tls::secret::Type::TlsCertificate(tls::TlsCertificate {
                certificate_chain: inline(&**chain),
                private_key: Some(private_key(&key.0)),
                ..Default::default()
            })
        }
        SecretContent::Trust { roots, crl } => {
            tls::secret::Type::ValidationContext(tls::CertificateValidationContext {
                trusted_ca: inline(&**roots),
                crl: crl.as_deref().and_then(inline),
                ..Default::default()
            })
        }
    };
    Secret {
        name: secret.name.clone(),
        r#type: Some(content),
    }
}

/// PEM is text, and reads better as such.
fn private_key(bytes: &[u8]) -> core::DataSource {
    use core::data_source::Specifier;
    let specifier = match std::str::from_utf8(bytes) {
        Ok(text) => Specifier::InlineString(text.to_owned()),
        Err(_) => Specifier::InlineBytes(bytes.to_vec()),
    };
    core::DataSource {
        specifier: Some(specifier),
        ..Default::default()
    }
}
