//! Certificates between PEM files and DER.

use std::path::Path;

use rustls::pki_types::{CertificateDer, pem::PemObject};

use super::CaError;

/// One certificate as a PEM block.
pub(super) fn encode(der: &CertificateDer<'_>) -> String {
    let body = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, der);
    let lines: Vec<&str> = (0..body.len())
        .step_by(64)
        .map(|start| &body[start..body.len().min(start + 64)])
        .collect();
    format!(
        "-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n",
        lines.join("\n")
    )
}

/// The certificates of a file, in their order; at least one.
pub(super) fn read_certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, CaError> {
    let content = |problem: String| CaError::Content {
        path: path.to_owned(),
        problem,
    };
    let text = std::fs::read(path).map_err(|cause| CaError::File {
        path: path.to_owned(),
        doing: "cannot be read",
        cause,
    })?;
    let certificates: Vec<_> = CertificateDer::pem_slice_iter(&text)
        .collect::<Result<_, _>>()
        .map_err(|error| content(format!("not PEM: {error}")))?;
    if certificates.is_empty() {
        return Err(content("holds no certificate".to_owned()));
    }
    Ok(certificates)
}
