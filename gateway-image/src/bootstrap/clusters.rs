//! The three clusters that an Envoy has from the start: control plane, secrets, itself.

use std::net::IpAddr;

use serde_json::{Value, json};

use super::{pipe, socket_address};
use crate::{
    config::{Config, Host},
    secrets::{DEFAULT, ROOT_CA},
};

/// The control plane's cluster, as Istio names it.
pub(super) const XDS: &str = "xds-grpc";
/// The cluster of this pod's secrets, as Istio names it.
pub(super) const SDS: &str = "sds-grpc";
/// Envoy's own admin interface, for the metrics listener.
pub(super) const ADMIN: &str = "prometheus_stats";

/// The control plane: ADS over mTLS with the workload's certificate.
pub(super) fn xds(config: &Config) -> Value {
    let plane = &config.control_plane;
    let mut cluster = json!({
        "name": XDS,
        "connect_timeout": "2s",
        "load_assignment": load_assignment(XDS, &socket_address(&plane.host, plane.port)),
        "typed_extension_protocol_options": http2(),
        "transport_socket": mtls(config),
        "upstream_connection_options": {
            "tcp_keepalive": { "keepalive_time": 30, "keepalive_interval": 5, "keepalive_probes": 3 },
        },
    });
    match &plane.host {
        Host::Name(_) => cluster["cluster_type"] = strict_dns(config.pod.ip),
        Host::Address(_) => cluster["type"] = json!("STATIC"),
    }
    cluster
}

/// Asked again soon after a failure; of two families the pod's own is taken if the name has it.
fn strict_dns(pod: IpAddr) -> Value {
    let family = match pod {
        IpAddr::V4(_) => "V4_PREFERRED",
        // IPv6, else IPv4.
        IpAddr::V6(_) => "AUTO",
    };
    json!({
        "name": "envoy.cluster.dns",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.clusters.dns.v3.DnsCluster",
            "dns_lookup_family": family,
            "dns_failure_refresh_rate": { "base_interval": "0.5s", "max_interval": "5s" },
        },
    })
}

/// This process: `default`, `ROOTCA` and secrets from files. Each secret is a stream of its own,
/// and a gateway has as many as its users have certificates, hence the high limits.
pub(super) fn sds(config: &Config) -> Value {
    json!({
        "name": SDS,
        "type": "STATIC",
        "connect_timeout": "1s",
        "load_assignment": load_assignment(SDS, &pipe_endpoint(&config.run_dir.sds_socket())),
        "circuit_breakers": {
            "thresholds": [{ "max_connections": 10_000, "max_pending_requests": 10_000, "max_requests": 10_000 }],
        },
        "typed_extension_protocol_options": http2(),
    })
}

/// Envoy's own admin interface.
pub(super) fn admin(config: &Config) -> Value {
    json!({
        "name": ADMIN,
        "type": "STATIC",
        "connect_timeout": "1s",
        "load_assignment": load_assignment(ADMIN, &pipe_endpoint(&config.run_dir.admin_socket())),
    })
}

fn mtls(config: &Config) -> Value {
    let san = &config.control_plane.san;
    json!({
        "name": "envoy.transport_sockets.tls",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext",
            "sni": san,
            "common_tls_context": {
                "alpn_protocols": ["h2"],
                // As a client, Envoy stops at TLS 1.2 by default.
                "tls_params": {
                    "tls_minimum_protocol_version": "TLSv1_3",
                    "tls_maximum_protocol_version": "TLSv1_3",
                },
                "tls_certificate_sds_secret_configs": [secret(DEFAULT)],
                "combined_validation_context": {
                    "default_validation_context": {
                        "match_typed_subject_alt_names": [{ "san_type": "DNS", "matcher": { "exact": san } }],
                    },
                    "validation_context_sds_secret_config": secret(ROOT_CA),
                },
            },
        },
    })
}

/// State of the world on this socket: there, a secret that is not there yet has no answer,
/// where delta would have to call it removed.
fn secret(name: &str) -> Value {
    json!({
        "name": name,
        "sds_config": {
            "resource_api_version": "V3",
            "initial_fetch_timeout": "0s",
            "api_config_source": {
                "api_type": "GRPC",
                "transport_api_version": "V3",
                "set_node_on_first_message_only": true,
                "grpc_services": [{ "envoy_grpc": { "cluster_name": SDS } }],
            },
        },
    })
}

/// HTTP/2 with pings, so that a dead control plane or a lost node is noticed within 15 s.
fn http2() -> Value {
    json!({
        "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
            "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
            "explicit_http_config": {
                "http2_protocol_options": {
                    "connection_keepalive": { "interval": "10s", "timeout": "5s" },
                },
            },
        },
    })
}

fn load_assignment(cluster: &str, address: &Value) -> Value {
    json!({
        "cluster_name": cluster,
        "endpoints": [{ "lb_endpoints": [{ "endpoint": { "address": address } }] }],
    })
}

/// The mode belongs to the listening side alone.
fn pipe_endpoint(path: &std::path::Path) -> Value {
    let mut address = pipe(path);
    if let Some(pipe) = address["pipe"].as_object_mut() {
        pipe.remove("mode");
    }
    address
}
