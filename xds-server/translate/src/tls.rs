//! TLS contexts, and where Envoy gets their secrets.

use std::{net::IpAddr, time::Duration};

use sluice_plan::{
    secret::{CertificateSource, TrustSource},
    tls::{
        ClientCertificates, ClientTrust, DownstreamTls, Sni, TUNNEL_ALPN, TlsVersion, UpstreamTls,
    },
};

use crate::{
    envoy::{self, core, duration, matcher, socket, tls},
    names,
};

const TLS: &str = "envoy.transport_sockets.tls";

/// The transport socket that begins `tls`.
pub(crate) fn upstream_socket(config: &UpstreamTls) -> core::TransportSocket {
    let (oldest, newest) = match config.only_tls13 {
        true => (TlsVersion::V1_3, TlsVersion::V1_3),
        // Istio's: Envoy's own default for clients stops at TLS 1.2.
        false => (TlsVersion::V1_2, TlsVersion::V1_3),
    };
    let certificates = config.certificate.iter().map(certificate).collect();
    let common = tls::CommonTlsContext {
        tls_params: Some(tls::TlsParameters {
            tls_minimum_protocol_version: version(oldest),
            tls_maximum_protocol_version: version(newest),
            ..Default::default()
        }),
        tls_certificate_sds_secret_configs: certificates,
        alpn_protocols: config.alpn.clone(),
        // Without roots there is nothing to verify names against, and Envoy refuses to try.
        validation_context_type: config
            .trust
            .as_ref()
            .map(|roots| validation(roots, &config.subject_alt_names)),
        ..Default::default()
    };
    let context = tls::UpstreamTlsContext {
        common_tls_context: Some(common),
        sni: match &config.sni {
            Sni::Fixed(name) => name.clone(),
            Sni::Absent | Sni::FromHost => String::new(),
        },
        auto_sni_san_validation: verifies_sni(config) && matches!(config.sni, Sni::Fixed(_)),
        ..Default::default()
    };
    socket(TLS, &context)
}

/// Whether the server's certificate must be for the name that is sent as SNI.
pub(crate) fn verifies_sni(config: &UpstreamTls) -> bool {
    config.verify_sni && config.trust.is_some() && config.subject_alt_names.is_empty()
}

/// The transport socket that ends `tls`.
pub(crate) fn downstream_socket(config: &DownstreamTls) -> core::TransportSocket {
    let (clients, required) = match &config.clients {
        ClientCertificates::NotAsked => (None, false),
        ClientCertificates::Optional(trust) => (Some(trust), false),
        ClientCertificates::Required(trust) => (Some(trust), true),
    };
    let common = tls::CommonTlsContext {
        tls_params: Some(tls::TlsParameters {
            tls_minimum_protocol_version: config.min_version.map_or(0, version),
            tls_maximum_protocol_version: config.max_version.map_or(0, version),
            cipher_suites: config.cipher_suites.clone(),
            ..Default::default()
        }),
        tls_certificate_sds_secret_configs: config.certificates.iter().map(certificate).collect(),
        alpn_protocols: config.alpn.clone(),
        validation_context_type: clients
            .map(|trust| validation(&trust.roots, &trust.subject_alt_names)),
        ..Default::default()
    };
    let context = tls::DownstreamTlsContext {
        common_tls_context: Some(common),
        require_client_certificate: envoy::truth(required),
        ..Default::default()
    };
    socket(TLS, &context)
}

/// The transport socket that ends tunnels.
pub(crate) fn tunnel_socket() -> core::TransportSocket {
    let workload = ClientTrust {
        roots: TrustSource::Workload,
        subject_alt_names: Vec::new(),
    };
    let common = tls::CommonTlsContext {
        tls_params: Some(tls::TlsParameters {
            tls_minimum_protocol_version: version(TlsVersion::V1_3),
            tls_maximum_protocol_version: version(TlsVersion::V1_3),
            ..Default::default()
        }),
        tls_certificate_sds_secret_configs: vec![certificate(&CertificateSource::Workload)],
        alpn_protocols: vec![TUNNEL_ALPN.to_owned()],
        validation_context_type: Some(validation(&workload.roots, &[])),
        ..Default::default()
    };
    let context = tls::DownstreamTlsContext {
        common_tls_context: Some(common),
        require_client_certificate: envoy::truth(true),
        // A resumed session would bring back the names of an earlier certificate, after the
        // class has changed or the certificate has expired.
        disable_stateful_session_resumption: true,
        session_ticket_keys_type: Some(
            tls::downstream_tls_context::SessionTicketKeysType::DisableStatelessSessionResumption(
                true,
            ),
        ),
        ..Default::default()
    };
    socket(TLS, &context)
}

fn validation(
    roots: &TrustSource,
    names: &[String],
) -> tls::common_tls_context::ValidationContextType {
    tls::common_tls_context::ValidationContextType::CombinedValidationContext(
        tls::common_tls_context::CombinedCertificateValidationContext {
            default_validation_context: Some(tls::CertificateValidationContext {
                match_typed_subject_alt_names: names.iter().map(|name| san(name)).collect(),
                ..Default::default()
            }),
            validation_context_sds_secret_config: Some(secret(
                roots.sds_name(),
                roots.is_from_control_plane(),
                *roots == TrustSource::Workload,
            )),
            ..Default::default()
        },
    )
}

/// DNS names match as TLS clients match them: a certificate for `*.example.com` is for
/// `api.example.com` too.
fn san(name: &str) -> tls::SubjectAltNameMatcher {
    use tls::subject_alt_name_matcher::SanType;
    let san_type = if name.contains("://") {
        SanType::Uri
    } else if name.parse::<IpAddr>().is_ok() {
        SanType::IpAddress
    } else {
        SanType::Dns
    };
    tls::SubjectAltNameMatcher {
        san_type: san_type.into(),
        matcher: Some(exact(name)),
        ..Default::default()
    }
}

fn exact(text: &str) -> matcher::StringMatcher {
    matcher::StringMatcher {
        match_pattern: Some(matcher::string_matcher::MatchPattern::Exact(
            text.to_owned(),
        )),
        ..Default::default()
    }
}

fn certificate(source: &CertificateSource) -> tls::SdsSecretConfig {
    secret(
        source.sds_name(),
        source.is_from_control_plane(),
        *source == CertificateSource::Workload,
    )
}

fn secret(name: String, from_control_plane: bool, is_workload: bool) -> tls::SdsSecretConfig {
    // Nothing works without the workload's own certificate, so that is waited for. For others
    // Envoy waits, and while a cluster waits it acknowledges no cluster at all: better that this
    // one fails its own handshakes until the secret is there.
    let patience = if is_workload { 0 } else { 5 };
    let source = match from_control_plane {
        true => ads(),
        false => agent(),
    };
    tls::SdsSecretConfig {
        name,
        sds_config: Some(core::ConfigSource {
            initial_fetch_timeout: Some(duration(Duration::from_secs(patience))),
            ..source
        }),
    }
}

/// The control plane's stream; its first answer is waited for without end, as pitfalls of
/// half-warm listeners teach: after a timeout Envoy would serve 404s.
pub(crate) fn ads() -> core::ConfigSource {
    core::ConfigSource {
        initial_fetch_timeout: Some(duration(Duration::ZERO)),
        resource_api_version: core::ApiVersion::V3.into(),
        config_source_specifier: Some(core::config_source::ConfigSourceSpecifier::Ads(
            core::AggregatedConfigSource {},
        )),
        ..Default::default()
    }
}

/// The agent in the same pod. State of the world, as in the bootstrap, so that both share a stream.
fn agent() -> core::ConfigSource {
    let service = core::GrpcService {
        target_specifier: Some(core::grpc_service::TargetSpecifier::EnvoyGrpc(
            core::grpc_service::EnvoyGrpc {
                cluster_name: names::SDS_CLUSTER.to_owned(),
                ..Default::default()
            },
        )),
        ..Default::default()
    };
    core::ConfigSource {
        resource_api_version: core::ApiVersion::V3.into(),
        config_source_specifier: Some(core::config_source::ConfigSourceSpecifier::ApiConfigSource(
            core::ApiConfigSource {
                api_type: core::api_config_source::ApiType::Grpc.into(),
                transport_api_version: core::ApiVersion::V3.into(),
                set_node_on_first_message_only: true,
                grpc_services: vec![service],
                ..Default::default()
            },
        )),
        ..Default::default()
    }
}

fn version(version: TlsVersion) -> i32 {
    use tls::tls_parameters::TlsProtocol;
    match version {
        TlsVersion::V1_0 => TlsProtocol::TlSv10,
        TlsVersion::V1_1 => TlsProtocol::TlSv11,
        TlsVersion::V1_2 => TlsProtocol::TlSv12,
        TlsVersion::V1_3 => TlsProtocol::TlSv13,
    }
    .into()
}
