//! TLS that a gateway begins towards a destination (Istio's "TLS origination").

use sluice_crd::istio::destination_rule::{ClientTlsMode, ClientTlsSettings};
use sluice_plan::{
    destination::Protocol,
    secret::{CertificateSource, TrustSource},
    tls::{Sni, UpstreamTls},
};

use super::{
    Found, Missing, Target,
    credential::{self, Need},
    protocol,
};
use crate::{
    builder::{Builder, Half},
    service::{Origin, Service},
};

impl Builder<'_, '_> {
    pub(super) fn upstream_tls(
        &mut self,
        half: &Half<'_>,
        target: &Target,
        found: &Found,
    ) -> Result<Option<UpstreamTls>, Missing> {
        let Some(tls) = &found.policy.tls else {
            return Ok(None);
        };
        if matches!(half, Half::Mesh(_))
            && let Some(what) = of_the_client(tls)
        {
            return Err(format!(
                "TLS of host {} uses {what}, and the gateway that begins it has only its own; route the host through a Gateway server",
                target.host
            ));
        }
        Ok(match tls.mode {
            ClientTlsMode::Disable => None,
            ClientTlsMode::Simple => Some(self.originate(tls, target, found, None)?),
            ClientTlsMode::Mutual => {
                let certificate = match tls.credential_name.as_str() {
                    "" => CertificateSource::Files {
                        certificate: tls.client_certificate.clone(),
                        key: tls.private_key.clone(),
                    },
                    name => CertificateSource::Credential(credential::bare_name(name)),
                };
                Some(self.originate(tls, target, found, Some(certificate))?)
            }
            ClientTlsMode::IstioMutual => Some(istio_mutual(tls, target, found)),
        })
    }

    fn originate(
        &mut self,
        tls: &ClientTlsSettings,
        target: &Target,
        found: &Found,
        certificate: Option<CertificateSource>,
    ) -> Result<UpstreamTls, Missing> {
        let trust = if tls.insecure_skip_verify == Some(true) {
            None
        } else if !tls.credential_name.is_empty() {
            Some(TrustSource::Credential(credential::bare_name(
                &tls.credential_name,
            )))
        } else if tls.ca_certificates.is_empty() || tls.ca_certificates == "system" {
            Some(TrustSource::System)
        } else {
            Some(TrustSource::File(tls.ca_certificates.clone()))
        };
        if let Some(CertificateSource::Credential(name)) = &certificate {
            self.credential(name, Need::Certificate)?;
        }
        if let Some(TrustSource::Credential(name)) = &trust {
            self.credential(name, Need::Trust)?;
        }
        let subject_alt_names = subject_alt_names(tls, &found.service);
        Ok(UpstreamTls {
            sni: sni(tls, target, found),
            certificate,
            verify_sni: trust.is_some() && subject_alt_names.is_empty(),
            trust,
            subject_alt_names,
            alpn: match protocol(found) {
                Protocol::Http2 => vec!["h2".to_owned()],
                Protocol::Http1 | Protocol::AsDownstream => Vec::new(),
            },
            only_tls13: false,
        })
    }
}

/// What of the client's pod a rule of the mesh half uses. On Istio it is the sidecar's; here the
/// gateway would take its own file, Secret or identity of that name instead, which is no
/// tenant's to use.
fn of_the_client(tls: &ClientTlsSettings) -> Option<String> {
    let named = |what: &str, name: &str| (!name.is_empty()).then(|| format!("{what} {name}"));
    match tls.mode {
        ClientTlsMode::Disable => None,
        ClientTlsMode::IstioMutual => Some("the client's identity".to_owned()),
        ClientTlsMode::Simple | ClientTlsMode::Mutual => {
            named("credentialName", &tls.credential_name)
                .or_else(|| named("the client's file", &tls.client_certificate))
                .or_else(|| named("the client's file", &tls.private_key))
                .or_else(|| {
                    named(
                        "the client's file",
                        tls.ca_certificates
                            .strip_prefix("system")
                            .unwrap_or(&tls.ca_certificates),
                    )
                })
        }
    }
}

/// The rule's server name; else the request's host, or for bytes the destination's own name.
fn sni(tls: &ClientTlsSettings, target: &Target, found: &Found) -> Sni {
    if !tls.sni.is_empty() {
        Sni::Fixed(tls.sni.clone())
    } else if found.port.protocol.is_http() || target.host.is_wildcard() {
        Sni::FromHost
    } else {
        Sni::Fixed(target.host.as_str().to_owned())
    }
}

fn subject_alt_names(tls: &ClientTlsSettings, service: &Service) -> Vec<String> {
    match &service.origin {
        _ if !tls.subject_alt_names.is_empty() => tls.subject_alt_names.clone(),
        Origin::Entry(entry) => entry.spec.subject_alt_names.clone(),
        Origin::Kubernetes(_) => Vec::new(),
    }
}

fn istio_mutual(tls: &ClientTlsSettings, target: &Target, found: &Found) -> UpstreamTls {
    let alpn: &[&str] = match protocol(found) {
        Protocol::Http2 => &["istio", "h2"],
        Protocol::Http1 | Protocol::AsDownstream if found.port.protocol.is_http() => {
            &["istio", "http/1.1"]
        }
        Protocol::Http1 | Protocol::AsDownstream => &["istio-peer-exchange", "istio"],
    };
    UpstreamTls {
        sni: Sni::Fixed(if tls.sni.is_empty() {
            target.istio_sni()
        } else {
            tls.sni.clone()
        }),
        certificate: Some(CertificateSource::Workload),
        trust: Some(TrustSource::Workload),
        subject_alt_names: subject_alt_names(tls, &found.service),
        verify_sni: false,
        alpn: alpn.iter().map(|protocol| (*protocol).to_owned()).collect(),
        only_tls13: false,
    }
}
