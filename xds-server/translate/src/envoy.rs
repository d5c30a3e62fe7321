//! Envoy's messages under short names, and the small wrappers that protobuf asks for.

use std::time::Duration;

use envoy_types::pb::google::protobuf;
use prost::{Message, Name};

pub use envoy_types::pb::envoy::{
    config::{
        cluster::v3::Cluster, endpoint::v3::ClusterLoadAssignment, listener::v3::Listener,
        route::v3::RouteConfiguration,
    },
    extensions::transport_sockets::tls::v3::Secret,
};

pub(crate) use envoy_types::pb::{
    envoy::{
        config::{
            accesslog::v3 as accesslog, cluster::v3 as cluster, core::v3 as core,
            endpoint::v3 as endpoint, listener::v3 as listener, rbac::v3 as rbac,
            route::v3 as route,
        },
        extensions::{
            access_loggers::{
                file::v3 as file_log, filters::cel::v3 as cel, stream::v3 as stream_log,
            },
            clusters::{common::dns::v3 as dns_family, dns::v3 as dns},
            filters::{
                common::{fault::v3 as fault_delay, set_filter_state::v3 as filter_state},
                http::{fault::v3 as fault, rbac::v3 as http_rbac, router::v3 as router},
                listener::{
                    original_dst::v3 as original_dst, proxy_protocol::v3 as proxy_protocol,
                    tls_inspector::v3 as tls_inspector,
                },
                network::{
                    http_connection_manager::v3 as hcm, rbac::v3 as network_rbac,
                    set_filter_state::v3 as set_filter_state, tcp_proxy::v3 as tcp_proxy,
                },
            },
            formatter::cel::v3 as cel_format,
            retry::host::previous_hosts::v3 as previous_hosts,
            transport_sockets::{
                internal_upstream::v3 as internal_upstream,
                proxy_protocol::v3 as upstream_proxy_protocol, raw_buffer::v3 as raw_buffer,
                tls::v3 as tls,
            },
            upstreams::http::v3 as upstream_http,
        },
        r#type::{matcher::v3 as matcher, v3 as fraction},
    },
    google::protobuf::{Any, Struct, Value},
};

/// `message` with its type, as extension points take it.
pub(crate) fn any<M: Message + Name>(message: &M) -> Any {
    Any {
        type_url: M::type_url(),
        value: message.encode_to_vec(),
    }
}

/// Protobuf's form of a duration; longer ones than it can hold become its longest.
pub(crate) fn duration(duration: Duration) -> protobuf::Duration {
    /// Ten thousand years, the most that a protobuf duration may be.
    const LONGEST_SECONDS: i64 = 315_576_000_000;
    match i64::try_from(duration.as_secs()) {
        Ok(seconds) if seconds < LONGEST_SECONDS => protobuf::Duration {
            seconds,
            // Below 10^9, so it fits.
            nanos: duration.subsec_nanos().cast_signed(),
        },
        _ => protobuf::Duration {
            seconds: LONGEST_SECONDS,
            nanos: 0,
        },
    }
}

/// A number that can be absent.
pub(crate) fn number(value: u32) -> Option<protobuf::UInt32Value> {
    Some(protobuf::UInt32Value { value })
}

/// A large number that can be absent.
pub(crate) fn number64(value: u64) -> Option<protobuf::UInt64Value> {
    Some(protobuf::UInt64Value { value })
}

/// A truth value that can be absent.
pub(crate) fn truth(value: bool) -> Option<protobuf::BoolValue> {
    Some(protobuf::BoolValue { value })
}

/// A text in a struct.
pub(crate) fn text(text: impl Into<String>) -> Value {
    Value {
        kind: Some(protobuf::value::Kind::StringValue(text.into())),
    }
}

/// A struct of these fields.
pub(crate) fn fields(fields: impl IntoIterator<Item = (String, Value)>) -> Struct {
    Struct {
        fields: fields.into_iter().collect(),
    }
}

/// Text given in place.
pub(crate) fn inline(text: impl Into<String>) -> Option<core::DataSource> {
    Some(core::DataSource {
        specifier: Some(core::data_source::Specifier::InlineString(text.into())),
        ..Default::default()
    })
}

/// A transport socket.
pub(crate) fn socket<M: Message + Name>(name: &str, config: &M) -> core::TransportSocket {
    core::TransportSocket {
        name: name.to_owned(),
        config_type: Some(core::transport_socket::ConfigType::TypedConfig(any(config))),
    }
}

/// A network filter.
pub(crate) fn filter<M: Message + Name>(name: &str, config: &M) -> listener::Filter {
    listener::Filter {
        name: name.to_owned(),
        config_type: Some(listener::filter::ConfigType::TypedConfig(any(config))),
    }
}

/// An IP address and port.
pub(crate) fn address(ip: std::net::IpAddr, port: u16) -> core::Address {
    core::Address {
        address: Some(core::address::Address::SocketAddress(socket_address(
            ip.to_string(),
            port,
        ))),
    }
}

/// A host, by address or name, and port.
pub(crate) fn socket_address(host: String, port: u16) -> core::SocketAddress {
    core::SocketAddress {
        address: host,
        port_specifier: Some(core::socket_address::PortSpecifier::PortValue(port.into())),
        ..Default::default()
    }
}

/// RE2, the only engine there is.
pub(crate) fn regex(pattern: &str) -> matcher::RegexMatcher {
    matcher::RegexMatcher {
        regex: pattern.to_owned(),
        ..Default::default()
    }
}

/// A share of all, given in basis points.
pub(crate) fn share(basis_points: u32) -> fraction::FractionalPercent {
    fraction::FractionalPercent {
        numerator: basis_points,
        denominator: fraction::fractional_percent::DenominatorType::TenThousand.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_duration_is_too_long() {
        assert_eq!(duration(Duration::MAX).seconds, 315_576_000_000);
        assert_eq!(duration(Duration::from_millis(1500)).nanos, 500_000_000);
    }
}
