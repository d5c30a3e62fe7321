//! The real Envoy takes what is right, refuses what is wrong, and carries traffic.

use std::net::SocketAddr;

use sluice_tests::clients::http::Call;
use sluice_tests::envoy;
use sluice_tests::net::Lab;
use sluice_tests::servers::Transport;
use sluice_tests::servers::http::{HttpServer, Reply};

/// A proxy from `listen` to `upstream` that binds `source`.
fn bootstrap(listen: &str, upstream: SocketAddr, source: &str) -> String {
    serde_json::json!({
        "static_resources": {
            "listeners": [{
                "name": "in",
                "address": socket_address(listen, 8080),
                "filter_chains": [{"filters": [{
                    "name": "envoy.filters.network.tcp_proxy",
                    "typed_config": {
                        "@type": "type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy",
                        "stat_prefix": "in",
                        "cluster": "out",
                    },
                }]}],
            }],
            "clusters": [{
                "name": "out",
                "connect_timeout": "5s",
                "upstream_bind_config": {
                    "source_address": {"address": source, "port_value": 0},
                },
                "load_assignment": {
                    "cluster_name": "out",
                    "endpoints": [{"lb_endpoints": [{"endpoint": {
                        "address": socket_address(&upstream.ip().to_string(), upstream.port()),
                    }}]}],
                },
            }],
        },
    })
    .to_string()
}

fn socket_address(address: &str, port: u16) -> serde_json::Value {
    serde_json::json!({"socket_address": {"address": address, "port_value": port}})
}

#[test]
fn a_sound_bootstrap_is_taken_and_a_typing_error_is_named() {
    let sound = bootstrap("127.0.0.1", "198.51.100.1:80".parse().unwrap(), "127.0.0.1");
    assert_eq!(envoy::validate(&sound), Ok(()));
    let unsound = sound.replace("stat_prefix", "stat_prefx");
    let message = envoy::validate(&unsound).unwrap_err();
    assert!(message.contains("stat_prefx"), "{message}");
}

#[test]
fn an_envoy_on_a_machine_carries_traffic_from_the_address_that_it_binds() {
    let lab = Lab::new();
    let external = lab.machine("external").address("198.51.100.1/24").start();
    let server = HttpServer::start(
        &external,
        "198.51.100.1:80".parse().unwrap(),
        Transport::Plain,
        Reply::describing,
    );
    let gateway = lab
        .machine("gateway")
        .address("10.244.2.10/24")
        .address("203.0.113.10/32")
        .start();
    let app = lab.machine("app").address("10.244.1.10/24").start();
    let config = bootstrap("10.244.2.10", server.address(), "203.0.113.10");
    let _envoy = envoy::start(&gateway, &config, &[]);

    let response = Call::get("http://api.partner.example/")
        .to((gateway.v4(), 8080).into())
        .send(&app)
        .unwrap();
    assert_eq!(response.status, 200);
    let seen = server.requests().last();
    assert_eq!(seen.connection.peer.ip().to_string(), "203.0.113.10");
}

#[test]
#[should_panic(expected = "starting main dispatch loop")]
fn a_bootstrap_that_envoy_refuses_fails_the_start() {
    let lab = Lab::new();
    let gateway = lab.machine("gateway").address("10.244.2.10/24").start();
    envoy::start(
        &gateway,
        r#"{"static_resources": {"listeners": [{"name": 7}]}}"#,
        &[],
    );
}
