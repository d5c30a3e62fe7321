//! How HTTP is spoken to a cluster.

use std::collections::HashMap;

use sluice_plan::{
    destination::{Destination, Protocol},
    tls::Sni,
};

use crate::{
    envoy::{Any, any, core, duration, number, upstream_http},
    tls,
};

const KEY: &str = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions";

/// The cluster's HTTP options, if they are not Envoy's defaults (HTTP/1.1 and no more).
pub(super) fn options(destination: &Destination) -> HashMap<String, Any> {
    let options = upstream_http::HttpProtocolOptions {
        common_http_protocol_options: common(destination),
        upstream_http_protocol_options: names_from_host(destination),
        ..Default::default()
    };
    let is_default = options == upstream_http::HttpProtocolOptions::default()
        && destination.protocol == Protocol::Http1;
    if is_default {
        return HashMap::new();
    }
    let options = upstream_http::HttpProtocolOptions {
        upstream_protocol_options: Some(protocol(destination)),
        ..options
    };
    HashMap::from([(KEY.to_owned(), any(&options))])
}

fn common(destination: &Destination) -> Option<core::HttpProtocolOptions> {
    let limits = &destination.limits;
    let common = core::HttpProtocolOptions {
        idle_timeout: limits.http_idle_timeout.map(duration),
        max_connection_duration: limits.connection_duration.map(duration),
        max_requests_per_connection: limits.requests_per_connection.and_then(number),
        ..Default::default()
    };
    (common != core::HttpProtocolOptions::default()).then_some(common)
}

/// The server name, and the name that its certificate must be for, from each request's host.
fn names_from_host(destination: &Destination) -> Option<core::UpstreamHttpProtocolOptions> {
    let config = destination.tls.as_ref()?;
    (config.sni == Sni::FromHost).then(|| core::UpstreamHttpProtocolOptions {
        auto_sni: true,
        auto_san_validation: tls::verifies_sni(config),
        ..Default::default()
    })
}

fn protocol(
    destination: &Destination,
) -> upstream_http::http_protocol_options::UpstreamProtocolOptions {
    use upstream_http::http_protocol_options::{
        ExplicitHttpConfig, UpstreamProtocolOptions, UseDownstreamHttpConfig,
        explicit_http_config::ProtocolConfig,
    };
    let explicit = |config| {
        UpstreamProtocolOptions::ExplicitHttpConfig(ExplicitHttpConfig {
            protocol_config: Some(config),
        })
    };
    let http1 = core::Http1ProtocolOptions::default();
    let http2 = core::Http2ProtocolOptions {
        max_concurrent_streams: destination.limits.concurrent_streams.and_then(number),
        ..Default::default()
    };
    match destination.protocol {
        Protocol::Http1 => explicit(ProtocolConfig::HttpProtocolOptions(http1)),
        Protocol::Http2 => explicit(ProtocolConfig::Http2ProtocolOptions(http2)),
        Protocol::AsDownstream => {
            UpstreamProtocolOptions::UseDownstreamProtocolConfig(UseDownstreamHttpConfig {
                http_protocol_options: Some(http1),
                http2_protocol_options: Some(http2),
                ..Default::default()
            })
        }
    }
}
