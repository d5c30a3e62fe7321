//! Envoy's bootstrap: what an Envoy must know before it can ask for the rest.
//!
//! Pure: equal [`Config`], equal JSON. No key, no token: those reach Envoy over the pod-local
//! SDS socket. Everything that depends on user objects comes by delta ADS.

mod clusters;
mod metrics;

pub(crate) use metrics::STAT_PREFIX as METRICS_STAT_PREFIX;
use serde_json::{Value, json};

use crate::config::Config;

/// The bootstrap of the Envoy that `config` describes.
#[must_use]
pub fn bootstrap(config: &Config) -> Value {
    json!({
        "node": node(config),
        "admin": admin(config),
        "dynamic_resources": dynamic_resources(config),
        "static_resources": {
            "clusters": [
                clusters::sds(config),
                clusters::xds(config),
                clusters::admin(config),
            ],
            "listeners": [metrics::listener(config)],
        },
        "cluster_manager": {
            // 63 KB per idle cluster and worker were measured without it.
            "enable_deferred_cluster_creation": true,
        },
        "typed_dns_resolver_config": dns_resolver(),
        "stats_config": { "use_all_default_tags": true },
        "deferred_stat_options": { "enable_deferred_creation_stats": true },
        "layered_runtime": layered_runtime(),
        "overload_manager": overload_manager(config),
        "bootstrap_extensions": [{
            "name": "envoy.bootstrap.internal_listener",
            "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.bootstrap.internal_listener.v3.InternalListener",
            },
        }],
    })
}

/// Names for logs and dashboards. The control plane believes the certificate, not this.
fn node(config: &Config) -> Value {
    let pod = &config.pod;
    json!({
        "id": config.node_id(),
        "cluster": format!("{}.{}", pod.service_account, pod.namespace),
        "metadata": {
            "NAME": pod.name,
            "NAMESPACE": pod.namespace,
            "SERVICE_ACCOUNT": pod.service_account,
            "SLUICE_VERSION": env!("CARGO_PKG_VERSION"),
        },
    })
}

/// On a Unix socket: a port would be open to every process of the pod, and to an ORIGINAL_DST
/// cluster that is asked for 127.0.0.1.
fn admin(config: &Config) -> Value {
    json!({ "address": pipe(&config.run_dir.admin_socket()) })
}

fn dynamic_resources(config: &Config) -> Value {
    // Zero waits for ever: without config there is nothing to serve, so nothing is ready.
    let from_ads = json!({
        "ads": {},
        "initial_fetch_timeout": "0s",
        "resource_api_version": "V3",
    });
    json!({
        "cds_config": from_ads,
        "lds_config": from_ads,
        "ads_config": {
            "api_type": "DELTA_GRPC",
            "transport_api_version": "V3",
            // The node lists about 500 extensions, 61 KB.
            "set_node_on_first_message_only": true,
            "grpc_services": [{
                "envoy_grpc": {
                    "cluster_name": clusters::XDS,
                    "authority": config.control_plane.san,
                    "retry_policy": {
                        "retry_back_off": { "base_interval": "0.5s", "max_interval": "10s" },
                    },
                },
            }],
        },
    })
}

/// A cluster warms until its first DNS answer or failure, and new clusters wait as long as one
/// warms. With the defaults of c-ares a name server that is down held up everything for a minute.
fn dns_resolver() -> Value {
    json!({
        "name": "envoy.network.dns_resolver.cares",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.network.dns_resolver.cares.v3.CaresDnsResolverConfig",
            "query_timeout_seconds": 1,
            "query_tries": 2,
            // Not always the first of resolv.conf, which may be the one that is down.
            "rotate_nameservers": true,
        },
    })
}

/// The two settings of Istio's bootstrap that change what a request means.
fn layered_runtime() -> Value {
    json!({
        "layers": [{
            "name": "sluice",
            "static_layer": {
                "envoy.reloadable_features.http_reject_path_with_fragment": false,
                "re2.max_program_size.error_level": 32768,
            },
        }],
    })
}

fn overload_manager(config: &Config) -> Value {
    json!({
        "resource_monitors": [{
            "name": "envoy.resource_monitors.global_downstream_max_connections",
            "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.resource_monitors.downstream_connections.v3.DownstreamConnectionsConfig",
                "max_active_downstream_connections": config.envoy.max_connections,
            },
        }],
    })
}

/// A Unix socket that only our own user may use.
fn pipe(path: &std::path::Path) -> Value {
    json!({ "pipe": { "path": path, "mode": 0o600 } })
}

fn socket_address(address: impl std::fmt::Display, port: u16) -> Value {
    json!({ "socket_address": { "address": address.to_string(), "port_value": port } })
}
