//! The listener on 15090: `/stats/prometheus` and nothing else of the admin interface.

use std::net::{IpAddr, Ipv6Addr};

use serde_json::{Value, json};

use super::{clusters, socket_address};
use crate::config::Config;

/// The name of the listener in Envoy's own statistics.
pub(crate) const STAT_PREFIX: &str = "prometheus_stats";

/// The Prometheus endpoint. Exempt from the connection limit: an overloaded proxy is the one to be watched.
pub(super) fn listener(config: &Config) -> Value {
    let mut address = socket_address(config.metrics.ip(), config.metrics.port());
    if config.metrics.ip() == IpAddr::V6(Ipv6Addr::UNSPECIFIED) {
        // As the health port: a pod with both families is asked on either.
        address["socket_address"]["ipv4_compat"] = json!(true);
    }
    json!({
        "name": STAT_PREFIX,
        "stat_prefix": STAT_PREFIX,
        "address": address,
        "ignore_global_conn_limit": true,
        "filter_chains": [{ "filters": [connection_manager()] }],
    })
}

fn connection_manager() -> Value {
    json!({
        "name": "envoy.filters.network.http_connection_manager",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
            "stat_prefix": STAT_PREFIX,
            "normalize_path": true,
            "stream_idle_timeout": "30s",
            "request_headers_timeout": "5s",
            "common_http_protocol_options": { "idle_timeout": "60s" },
            "route_config": {
                "name": STAT_PREFIX,
                "virtual_hosts": [{
                    "name": STAT_PREFIX,
                    "domains": ["*"],
                    "routes": [{
                        "match": {
                            "path": "/stats/prometheus",
                            "headers": [{ "name": ":method", "string_match": { "exact": "GET" } }],
                        },
                        "route": { "cluster": clusters::ADMIN, "timeout": "30s" },
                    }],
                }],
            },
            "http_filters": [{
                "name": "envoy.filters.http.router",
                "typed_config": { "@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router" },
            }],
        },
    })
}
