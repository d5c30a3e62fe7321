//! TLS at a Gateway's servers: ended, or passed on by server name.

use sluice_crd::{
    diagnostic::Severity,
    istio::gateway::{ServerTlsMode, ServerTlsSettings, TlsProtocol},
};
use sluice_plan::{
    listener::{ChainMatch, Filter, Http, Transport},
    secret::{CertificateSource, TrustSource},
    tls::{ClientCertificates, ClientTrust, DownstreamTls, TlsVersion},
};

use super::{Group, Server, servers::shared_hosts};
use crate::{
    builder::Builder,
    chains::Chains,
    destination::{
        Missing,
        credential::{Need, bare_name},
    },
};

impl Builder<'_, '_> {
    /// The chain of a server that ends TLS and routes requests.
    pub(super) fn https_chain(&mut self, group: &Group, server: &Server, chains: &mut Chains) {
        let table = server.https_table(group);
        self.add_table(&table, group.port, &[server]);
        let filter = Filter::Http(Http {
            stat_prefix: format!("outbound_0.0.0.0_{}", group.port),
            route_table: table,
            is_gateway: true,
        });
        self.terminating_chain(server, &["h2", "http/1.1"], filter, chains);
    }

    /// A chain that ends TLS as a server says; reported and left out if its secrets are missing.
    pub(super) fn terminating_chain(
        &mut self,
        server: &Server,
        alpn: &[&str],
        filter: Filter,
        chains: &mut Chains,
    ) {
        let Some(settings) = &server.declared().tls else {
            return;
        };
        let tls = match self.downstream_tls(settings, alpn) {
            Ok(tls) => tls,
            Err(why) => {
                let field = format_args!("spec.servers[{}].tls", server.index).to_string();
                self.report(
                    Severity::Error,
                    "IST0101",
                    &server.gateway,
                    format_args!("{field}"),
                    why,
                );
                return;
            }
        };
        let unknown = settings.cipher_suites.iter().enumerate();
        for (index, suite) in unknown.filter(|(_, suite)| !CIPHER_SUITES.contains(&suite.as_str()))
        {
            self.report(
                Severity::Warning,
                "SLU0107",
                &server.gateway,
                format_args!("spec.servers[{}].tls.cipherSuites[{index}]", server.index),
                format!("cipher suite {suite} is unknown and left out"),
            );
        }
        let matches = ChainMatch {
            server_names: server.server_names(),
            transport: Transport::Tls,
            ..ChainMatch::default()
        };
        if !chains.add(server.chain_name(), matches, Some(tls), filter) {
            self.report(
                Severity::Error,
                "IST0145",
                &server.gateway,
                format_args!("spec.servers[{}].hosts", server.index),
                "an older server already has some of these hosts on this port",
            );
        }
    }

    /// The chains of a server that passes TLS on, by the VirtualServices' server names.
    pub(super) fn passthrough_chains(
        &mut self,
        _group: &Group,
        server: &Server,
        chains: &mut Chains,
    ) {
        for route in self.bound_routes(server) {
            let shared = shared_hosts(server, &route);
            if shared.is_empty() {
                continue;
            }
            let entrance = server.entrance(self.proxy);
            self.tls_chains(&entrance, &route, None, Some(&shared), chains);
        }
    }

    fn downstream_tls(
        &mut self,
        settings: &ServerTlsSettings,
        alpn: &[&str],
    ) -> Result<DownstreamTls, Missing> {
        let istio_mutual = settings.mode == ServerTlsMode::IstioMutual;
        let certificates = if istio_mutual {
            vec![CertificateSource::Workload]
        } else {
            certificates(settings)
        };
        for certificate in &certificates {
            if let CertificateSource::Credential(name) = certificate {
                self.credential(name, Need::Certificate)?;
            }
        }
        let roots = || -> TrustSource {
            let credential = [&settings.ca_cert_credential_name, &settings.credential_name];
            let credential = credential.into_iter().chain(&settings.credential_names);
            match credential.into_iter().find(|name| !name.is_empty()) {
                _ if istio_mutual => TrustSource::Workload,
                Some(name) => TrustSource::Credential(bare_name(name)),
                None => TrustSource::File(settings.ca_certificates.clone()),
            }
        };
        let trust = || ClientTrust {
            roots: roots(),
            subject_alt_names: settings.subject_alt_names.clone(),
        };
        let clients = match settings.mode {
            ServerTlsMode::Mutual | ServerTlsMode::IstioMutual => {
                ClientCertificates::Required(trust())
            }
            ServerTlsMode::OptionalMutual => ClientCertificates::Optional(trust()),
            ServerTlsMode::Simple | ServerTlsMode::Passthrough | ServerTlsMode::AutoPassthrough => {
                ClientCertificates::NotAsked
            }
        };
        if let ClientCertificates::Required(trust) | ClientCertificates::Optional(trust) = &clients
            && let TrustSource::Credential(name) = &trust.roots
        {
            self.credential(name, Need::Trust)?;
        }
        Ok(DownstreamTls {
            certificates,
            clients,
            alpn: alpn.iter().map(|protocol| (*protocol).to_owned()).collect(),
            min_version: version(settings.min_protocol_version),
            max_version: version(settings.max_protocol_version),
            cipher_suites: (settings.cipher_suites.iter())
                .filter(|suite| CIPHER_SUITES.contains(&suite.as_str()))
                .cloned()
                .collect(),
        })
    }
}

/// The suites that Envoy knows. As in Istio, others are left out: Envoy would refuse the listener.
const CIPHER_SUITES: [&str; 14] = [
    "ECDHE-ECDSA-AES128-GCM-SHA256",
    "ECDHE-RSA-AES128-GCM-SHA256",
    "ECDHE-ECDSA-AES256-GCM-SHA384",
    "ECDHE-RSA-AES256-GCM-SHA384",
    "ECDHE-ECDSA-CHACHA20-POLY1305",
    "ECDHE-RSA-CHACHA20-POLY1305",
    "ECDHE-ECDSA-AES128-SHA",
    "ECDHE-RSA-AES128-SHA",
    "ECDHE-ECDSA-AES256-SHA",
    "ECDHE-RSA-AES256-SHA",
    "AES128-GCM-SHA256",
    "AES256-GCM-SHA384",
    "AES128-SHA",
    "AES256-SHA",
];

fn certificates(settings: &ServerTlsSettings) -> Vec<CertificateSource> {
    let named: Vec<&String> = [&settings.credential_name]
        .into_iter()
        .chain(&settings.credential_names)
        .filter(|name| !name.is_empty())
        .collect();
    if !named.is_empty() {
        return named
            .into_iter()
            .map(|name| CertificateSource::Credential(bare_name(name)))
            .collect();
    }
    let files = |certificate: &str, key: &str| CertificateSource::Files {
        certificate: certificate.to_owned(),
        key: key.to_owned(),
    };
    if settings.tls_certificates.is_empty() {
        return vec![files(&settings.server_certificate, &settings.private_key)];
    }
    settings
        .tls_certificates
        .iter()
        .map(|pair| files(&pair.server_certificate, &pair.private_key))
        .collect()
}

fn version(declared: TlsProtocol) -> Option<TlsVersion> {
    match declared {
        TlsProtocol::TlsAuto => None,
        TlsProtocol::Tls10 => Some(TlsVersion::V1_0),
        TlsProtocol::Tls11 => Some(TlsVersion::V1_1),
        TlsProtocol::Tls12 => Some(TlsVersion::V1_2),
        TlsProtocol::Tls13 => Some(TlsVersion::V1_3),
    }
}
