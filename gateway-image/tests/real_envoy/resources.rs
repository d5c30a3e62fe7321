//! Small Envoy resources.

use std::net::SocketAddr;

use envoy_types::{
    pb::envoy::{
        config::{
            cluster::v3::Cluster,
            core::v3::{
                Address, ApiConfigSource, ConfigSource, GrpcService, SocketAddress,
                TransportSocket, address,
                api_config_source::ApiType,
                config_source::ConfigSourceSpecifier,
                grpc_service::{EnvoyGrpc, TargetSpecifier},
                socket_address::PortSpecifier,
                transport_socket,
            },
            endpoint::v3::{
                ClusterLoadAssignment, Endpoint, LbEndpoint, LocalityLbEndpoints,
                lb_endpoint::HostIdentifier,
            },
            listener::v3::{Filter, FilterChain, Listener, filter},
        },
        extensions::{
            filters::network::tcp_proxy::v3::{TcpProxy, tcp_proxy::ClusterSpecifier},
            transport_sockets::tls::v3::{CommonTlsContext, DownstreamTlsContext, SdsSecretConfig},
        },
    },
    util::pack_any,
};
use prost::Message;
use sluice_ads::{Resource, TypeUrl, Version};

/// A cluster that is `to`.
pub(crate) fn cluster(name: &str, to: SocketAddr) -> (TypeUrl, Resource) {
    let endpoint = Endpoint {
        address: Some(address(to)),
        ..Default::default()
    };
    let endpoint = LbEndpoint {
        host_identifier: Some(HostIdentifier::Endpoint(endpoint)),
        ..Default::default()
    };
    let endpoints = LocalityLbEndpoints {
        lb_endpoints: vec![endpoint],
        ..Default::default()
    };
    let assignment = ClusterLoadAssignment {
        cluster_name: name.to_owned(),
        endpoints: vec![endpoints],
        ..Default::default()
    };
    let cluster = Cluster {
        name: name.to_owned(),
        load_assignment: Some(assignment),
        ..Default::default()
    };
    (TypeUrl::Cluster, resource(name, &cluster))
}

/// A listener that sends bytes to `cluster`, behind TLS with the certificate of this SDS name.
pub(crate) fn listener(
    name: &str,
    port: u16,
    cluster: &str,
    certificate: Option<&str>,
) -> (TypeUrl, Resource) {
    let proxy = TcpProxy {
        stat_prefix: name.to_owned(),
        cluster_specifier: Some(ClusterSpecifier::Cluster(cluster.to_owned())),
        ..Default::default()
    };
    let filter = Filter {
        name: "envoy.filters.network.tcp_proxy".to_owned(),
        config_type: Some(filter::ConfigType::TypedConfig(pack_any(proxy))),
    };
    let chain = FilterChain {
        filters: vec![filter],
        transport_socket: certificate.map(tls),
        ..Default::default()
    };
    let listener = Listener {
        name: name.to_owned(),
        address: Some(address(SocketAddr::from(([127, 0, 0, 1], port)))),
        filter_chains: vec![chain],
        ..Default::default()
    };
    (TypeUrl::Listener, resource(name, &listener))
}

fn tls(certificate: &str) -> TransportSocket {
    let grpc = EnvoyGrpc {
        cluster_name: "sds-grpc".to_owned(),
        ..Default::default()
    };
    let source = ApiConfigSource {
        api_type: ApiType::Grpc.into(),
        transport_api_version: 2,
        grpc_services: vec![GrpcService {
            target_specifier: Some(TargetSpecifier::EnvoyGrpc(grpc)),
            ..Default::default()
        }],
        ..Default::default()
    };
    let sds = SdsSecretConfig {
        name: certificate.to_owned(),
        sds_config: Some(ConfigSource {
            resource_api_version: 2,
            config_source_specifier: Some(ConfigSourceSpecifier::ApiConfigSource(source)),
            ..Default::default()
        }),
    };
    let context = DownstreamTlsContext {
        common_tls_context: Some(CommonTlsContext {
            tls_certificate_sds_secret_configs: vec![sds],
            ..Default::default()
        }),
        ..Default::default()
    };
    TransportSocket {
        name: "envoy.transport_sockets.tls".to_owned(),
        config_type: Some(transport_socket::ConfigType::TypedConfig(pack_any(context))),
    }
}

fn address(to: SocketAddr) -> Address {
    let socket = SocketAddress {
        address: to.ip().to_string(),
        port_specifier: Some(PortSpecifier::PortValue(to.port().into())),
        ..Default::default()
    };
    Address {
        address: Some(address::Address::SocketAddress(socket)),
    }
}

fn resource(name: &str, message: &impl Message) -> Resource {
    Resource {
        name: name.into(),
        // One content per name and test.
        version: Version(1),
        body: message.encode_to_vec().into(),
        requires: [].into(),
    }
}
