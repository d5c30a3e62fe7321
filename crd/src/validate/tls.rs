//! Rules of TLS settings, as server and as client.

use super::{Findings, scalar};
use crate::istio::destination_rule::{ClientTlsMode, ClientTlsSettings};
use crate::istio::gateway::{ServerTlsMode, ServerTlsSettings, TlsProtocol};
use crate::tree::path::Path;

/// The fields of `settings` that name certificates, and whether they are set.
fn certificate_fields(settings: &ServerTlsSettings) -> [(&'static str, bool); 6] {
    [
        ("serverCertificate", !settings.server_certificate.is_empty()),
        ("privateKey", !settings.private_key.is_empty()),
        ("caCertificates", !settings.ca_certificates.is_empty()),
        ("tlsCertificates", !settings.tls_certificates.is_empty()),
        ("credentialName", !settings.credential_name.is_empty()),
        ("credentialNames", !settings.credential_names.is_empty()),
    ]
}

pub(super) fn server(settings: &ServerTlsSettings, at: &Path<'_>, findings: &mut Findings) {
    let old = matches!(
        settings.min_protocol_version,
        TlsProtocol::Tls10 | TlsProtocol::Tls11
    );
    if old && settings.cipher_suites.is_empty() {
        let message = "TLS below 1.2 needs cipherSuites, the default ones do not fit";
        findings.warning(&at.key("minProtocolVersion"), message);
    }
    match settings.mode {
        ServerTlsMode::IstioMutual => {
            for (field, _) in certificate_fields(settings)
                .iter()
                .filter(|(_, is_set)| *is_set)
            {
                findings.error(
                    &at.key(field),
                    format_args!("mode ISTIO_MUTUAL allows no {field}"),
                );
            }
        }
        ServerTlsMode::Passthrough | ServerTlsMode::AutoPassthrough => {
            for (field, _) in certificate_fields(settings)
                .iter()
                .filter(|(_, is_set)| *is_set)
            {
                findings.warning(&at.key(field), "without effect where TLS is passed through");
            }
        }
        ServerTlsMode::Simple | ServerTlsMode::Mutual | ServerTlsMode::OptionalMutual => {
            terminating(settings, at, findings);
        }
    }
}

fn terminating(settings: &ServerTlsSettings, at: &Path<'_>, findings: &mut Findings) {
    let from_files = !settings.server_certificate.is_empty() && !settings.private_key.is_empty();
    let from_secret = !settings.credential_name.is_empty();
    let from_secrets = !settings.credential_names.is_empty();
    let several = !settings.tls_certificates.is_empty();
    if [from_files, from_secret, from_secrets, several]
        .into_iter()
        .filter(|is_set| *is_set)
        .count()
        > 1
    {
        let message = "only one of credentialName, credentialNames, serverCertificate with privateKey, \
                       and tlsCertificates may be set";
        findings.error(at, message);
    }
    if !settings.ca_crl.is_empty() {
        if from_secret {
            findings.error(
                &at.key("caCrl"),
                "with credentialName, the list belongs into the Secret",
            );
        }
        if settings.mode == ServerTlsMode::Simple {
            findings.error(&at.key("caCrl"), "mode SIMPLE checks no client certificate");
        }
    }
    if from_secret || from_secrets {
        return;
    }
    if settings.mode != ServerTlsMode::Simple && settings.ca_certificates.is_empty() {
        let message = "caCertificates or credentialName is required to check client certificates";
        findings.error(&at.key("caCertificates"), message);
    }
    if !several {
        pair(
            &settings.server_certificate,
            &settings.private_key,
            at,
            findings,
        );
    }
    let list = at.key("tlsCertificates");
    for (index, certificate) in settings.tls_certificates.iter().enumerate() {
        let at = list.index(index);
        pair(
            &certificate.server_certificate,
            &certificate.private_key,
            &at,
            findings,
        );
    }
}

fn pair(certificate: &str, key: &str, at: &Path<'_>, findings: &mut Findings) {
    if certificate.is_empty() {
        findings.error(
            &at.key("serverCertificate"),
            "serverCertificate or credentialName is required",
        );
    }
    if key.is_empty() {
        findings.error(
            &at.key("privateKey"),
            "privateKey or credentialName is required",
        );
    }
}

pub(super) fn client(settings: &ClientTlsSettings, at: &Path<'_>, findings: &mut Findings) {
    if settings.sni.len() > 255 {
        findings.error(&at.key("sni"), "a server name has at most 255 characters");
    }
    findings.check(&at.key("sni"), scalar::one_line(&settings.sni));
    let external = matches!(settings.mode, ClientTlsMode::Simple | ClientTlsMode::Mutual);
    let from_secret = external && !settings.credential_name.is_empty();
    if external && settings.insecure_skip_verify == Some(true) {
        let mut useless = vec![
            ("caCertificates", !settings.ca_certificates.is_empty()),
            ("subjectAltNames", !settings.subject_alt_names.is_empty()),
        ];
        if settings.mode == ClientTlsMode::Simple {
            useless.push(("credentialName", from_secret));
        }
        for (field, _) in useless.iter().filter(|(_, is_set)| *is_set) {
            findings.error(
                &at.key(field),
                format_args!("insecureSkipVerify allows no {field}"),
            );
        }
    }
    if from_secret {
        for (field, value) in [
            ("clientCertificate", &settings.client_certificate),
            ("privateKey", &settings.private_key),
            ("caCertificates", &settings.ca_certificates),
            ("caCrl", &settings.ca_crl),
        ] {
            if !value.is_empty() {
                findings.error(
                    &at.key(field),
                    format_args!("credentialName allows no {field}"),
                );
            }
        }
    } else if settings.mode == ClientTlsMode::Mutual {
        for (field, value) in [
            ("clientCertificate", &settings.client_certificate),
            ("privateKey", &settings.private_key),
        ] {
            if value.is_empty() {
                let message = format!("mode MUTUAL requires {field} or credentialName");
                findings.error(&at.key(field), message);
            }
        }
    }
}
