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
    /// Whether the TLS of a destination would be begun with what is the client's own.
    pub(crate) fn begins_tls_as_the_client(&self, half: &Half<'_>, target: &Target) -> bool {
        let found = self.find(half, target);
        found.is_ok_and(|found| found.policy.tls.as_ref().and_then(of_the_writer).is_some())
    }

    pub(super) fn upstream_tls(
        &mut self,
        half: &Half<'_>,
        target: &Target,
        found: &Found,
    ) -> Result<Option<UpstreamTls>, Missing> {
        let Some(tls) = &found.policy.tls else {
            return Ok(None);
        };
        if let (Half::Mesh(_), Some(what)) = (half, of_the_writer(tls)) {
            return Err(format!(
                "TLS of host {} uses {what}, and the gateway that begins it has only its own; route the host through a Gateway server",
                target.host
            ));
        }
        // Whoever may write a rule for his host could else use, at a server of his choice, what
        // the gateway was given for others; with its identity even ask the control plane for more.
        let trusted = [&self.proxy.namespace, &self.view.mesh().root_namespace];
        let is_trusted = (found.rules_of.iter()).all(|namespace| trusted.contains(&namespace));
        if let (false, Some(what)) = (is_trusted, of_the_writer(tls)) {
            return Err(format!(
                "TLS of host {} uses {what} of the gateway, which only DestinationRules of namespace {} may do",
                target.host, self.proxy.namespace
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
        let sni = sni(tls, target, found);
        if let Sni::Fixed(name) = &sni
            && name.len() > LONGEST_SNI
        {
            return Err(format!(
                "the server name for host {} is longer than {LONGEST_SNI} characters",
                target.host
            ));
        }
        if sni == Sni::FromHost
            && !found.port.protocol.is_http()
            && trust.is_some()
            && subject_alt_names.is_empty()
        {
            return Err(format!(
                "for host {} no name is known that the server's certificate must have; set sni or subjectAltNames",
                target.host
            ));
        }
        Ok(UpstreamTls {
            sni,
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

/// What of a pod a rule uses. In the mesh half it is the client's on Istio; here the gateway would
/// take its own file, Secret or identity of that name instead, which is no tenant's to use.
fn of_the_writer(tls: &ClientTlsSettings) -> Option<String> {
    let named = |what: &str, name: &str| (!name.is_empty()).then(|| format!("{what} {name}"));
    match tls.mode {
        ClientTlsMode::Disable => None,
        ClientTlsMode::IstioMutual => Some("the identity".to_owned()),
        ClientTlsMode::Simple | ClientTlsMode::Mutual => {
            named("credentialName", &tls.credential_name)
                .or_else(|| named("the file", &tls.client_certificate))
                .or_else(|| named("the file", &tls.private_key))
                .or_else(|| {
                    named(
                        "the file",
                        tls.ca_certificates
                            .strip_prefix("system")
                            .unwrap_or(&tls.ca_certificates),
                    )
                })
        }
    }
}

/// What Envoy takes at most.
const LONGEST_SNI: usize = 255;

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
        Origin::Kubernetes(_) | Origin::Policy(_) => Vec::new(),
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
