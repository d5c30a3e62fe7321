//! Istio's own clients at the Gateway servers' bare ports.
//!
//! A pod without our sidecar runs a stock Envoy, configured as istiod would configure its
//! `istio-proxy` for the egress tasks: the address of the gateway, its port, its name.

use std::fs;

use rcgen::KeyPair;
use serde_json::{Value, json};
use sluice_identity::client::{ControlPlane, Credential, request_certificate};
use sluice_tests::clients::http::{Call, Response};
use sluice_tests::envoy;
use sluice_tests::mesh::{CONTROL_PLANE, Config, GATEWAY_POD, GATEWAY_SOURCE, Mesh, example};
use sluice_tests::net::{Machine, Process};
use sluice_tests::pki::{Authority, Identity};
use sluice_tests::servers::http::HttpServer;
use sluice_tests::tls::{self, ClientCertificates};

/// The gateway's half for clients that speak mTLS to it.
const ORDERS: &str = "\
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: orders, namespace: shop}
spec:
  exportTo: ['.', istio-system]
  hosts: [orders.partner.example]
  ports:
  - {number: 80, name: http, protocol: HTTP}
  resolution: DNS
---
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: partner-mutual, namespace: shop}
spec:
  selector: {istio: egressgateway}
  servers:
  - port: {number: 443, name: https-mutual, protocol: HTTPS}
    hosts: [orders.partner.example]
    tls: {mode: ISTIO_MUTUAL}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: orders, namespace: shop}
spec:
  exportTo: ['.', istio-system]
  hosts: [orders.partner.example]
  gateways: [partner-mutual]
  http:
  - match:
    - {gateways: [partner-mutual], port: 443}
    route:
    - destination: {host: orders.partner.example, port: {number: 80}}
";

const BATCH: &str = " peer=spiffe://cluster.local/ns/lab/sa/batch ";
const NOBODY: &str = " peer=- ";

/// Where the client's Envoy listens for its app, one port for each way to the gateway.
pub(super) const MUTUAL: u16 = 9001;
pub(super) const PASSTHROUGH: u16 = 9002;
pub(super) const PLAIN: u16 = 9003;

/// A pod of Istio's, and what the partner has.
pub(super) struct World {
    pub(super) mesh: Mesh,
    pub(super) pod: Machine,
    orders: HttpServer,
    files: HttpServer,
    api: HttpServer,
    pub(super) partner: Authority,
}

impl World {
    pub(super) fn start() -> Self {
        let partner = Authority::new("Partner CA");
        let files = [
            ("orders.yaml", ORDERS.to_owned()),
            ("api.yaml", example("egress-gateway-http/api.yaml")),
            (
                "files.yaml",
                example("egress-gateway-https-passthrough/files.yaml"),
            ),
        ];
        let (mesh, (orders, files, api)) = Mesh::start(&files, |mesh| {
            (
                mesh.external_http("orders", "198.51.100.11", &["orders.partner.example"]),
                mesh.external_https(
                    "files",
                    "198.51.100.20",
                    &["files.partner.example"],
                    &partner,
                    ClientCertificates::Ignored,
                ),
                mesh.external_http("api", "198.51.100.10", &["api.partner.example"]),
            )
        });
        let pod = mesh.lab.machine("batch").address("10.244.1.11/16").start();
        Self {
            mesh,
            pod,
            orders,
            files,
            api,
            partner,
        }
    }

    /// The certificate of the pod, from the mesh's CA, as its agent gets it.
    pub(super) fn certificate(&self) -> Identity {
        let key = KeyPair::generate().unwrap();
        let key_pem = key.serialize_pem();
        let control_plane = ControlPlane {
            address: format!("{CONTROL_PLANE}:15012"),
            roots_pem: self.root(),
            san: "sluice.sluice-system.svc".to_owned(),
        };
        let issued = self.pod.block_on(async move {
            let token = Credential::Token(Config::token("batch-0"));
            request_certificate(&control_plane, token, &key, None).await
        });
        Identity {
            cert_pem: issued.unwrap().chain_pem,
            key_pem,
        }
    }

    fn root(&self) -> String {
        fs::read_to_string(self.mesh.config.state().join("root-cert.pem")).unwrap()
    }

    /// Starts the pod's Envoy, which shows this certificate.
    pub(super) fn istio_proxy(&self, identity: &Identity) -> Process {
        let bootstrap = bootstrap(identity, &self.root());
        envoy::start(&self.pod, &bootstrap.to_string(), &[])
    }

    /// Makes a call of the app, by this port of its Envoy.
    pub(super) fn call(&self, call: Call, port: u16) -> Response {
        let call = call.to(([127, 0, 0, 1], port).into());
        call.send(&self.pod).unwrap()
    }

    /// The only request that `server` saw came from the fixed address, and is logged under `peer`.
    #[track_caller]
    fn assert_left(&self, server: &HttpServer, mark: usize, host: &str, peer: &str) {
        assert_eq!(server.requests().count(), 1);
        let source = server.requests().last().connection.peer.ip();
        assert_eq!(source.to_string(), GATEWAY_SOURCE);
        let line = self.mesh.gateway().access_log_since(mark, host);
        assert!(line.contains(peer), "{line}");
        self.mesh.assert_no_nack();
    }
}

/// What `istio-proxy` would have for the three tasks.
fn bootstrap(identity: &Identity, root: &str) -> Value {
    let inline = |pem: &str| json!({ "inline_string": pem });
    let mutual = json!({
        "name": "envoy.transport_sockets.tls",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext",
            "sni": "orders.partner.example",
            "common_tls_context": {
                "alpn_protocols": ["istio-http/1.1", "istio", "http/1.1"],
                "tls_params": {
                    "tls_minimum_protocol_version": "TLSv1_2",
                    "tls_maximum_protocol_version": "TLSv1_3",
                },
                "tls_certificates": [{
                    "certificate_chain": inline(&identity.cert_pem),
                    "private_key": inline(&identity.key_pem),
                }],
                "validation_context": {
                    "trusted_ca": inline(root),
                    "match_typed_subject_alt_names": [{
                        "san_type": "URI",
                        "matcher": { "exact": "spiffe://cluster.local/ns/istio-system/sa/istio-egressgateway-service-account" },
                    }],
                },
            },
        },
    });
    let listener = |name: &str, port: u16, filter: Value| {
        json!({
            "name": name,
            "address": socket_address("127.0.0.1", port),
            "filter_chains": [{ "filters": [filter] }],
        })
    };
    let cluster = |name: &str, port: u16| {
        json!({
            "name": name,
            "type": "STATIC",
            "connect_timeout": "2s",
            "load_assignment": {
                "cluster_name": name,
                "endpoints": [{ "lb_endpoints": [{ "endpoint": { "address": socket_address(GATEWAY_POD, port) } }] }],
            },
        })
    };
    let mut to_mutual = cluster("mutual", 8443);
    to_mutual["transport_socket"] = mutual;
    json!({
        "static_resources": {
            "listeners": [
                listener("mutual", MUTUAL, http("mutual")),
                listener("passthrough", PASSTHROUGH, tcp("passthrough")),
                listener("plain", PLAIN, http("plain")),
            ],
            "clusters": [to_mutual, cluster("passthrough", 8443), cluster("plain", 8080)],
        },
    })
}

fn socket_address(address: &str, port: u16) -> Value {
    json!({ "socket_address": { "address": address, "port_value": port } })
}

fn http(cluster: &str) -> Value {
    json!({
        "name": "envoy.filters.network.http_connection_manager",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
            "stat_prefix": cluster,
            "route_config": { "virtual_hosts": [{
                "name": "any",
                "domains": ["*"],
                "routes": [{ "match": { "prefix": "/" }, "route": { "cluster": cluster } }],
            }] },
            "http_filters": [{
                "name": "envoy.filters.http.router",
                "typed_config": { "@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router" },
            }],
        },
    })
}

fn tcp(cluster: &str) -> Value {
    json!({
        "name": "envoy.filters.network.tcp_proxy",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy",
            "stat_prefix": cluster,
            "cluster": cluster,
        },
    })
}

#[test]
fn istio_mutual_requests_leave_under_the_certificate_s_identity() {
    let world = World::start();
    let _proxy = world.istio_proxy(&world.certificate());
    let mark = world.mesh.gateway().mark();

    let call = Call::get("http://orders.partner.example/today");
    assert_eq!(world.call(call, MUTUAL).status, 200);

    world.assert_left(&world.orders, mark, "orders.partner.example", BATCH);
}

#[test]
fn a_certificate_of_another_ca_is_refused_at_the_istio_mutual_port() {
    let world = World::start();
    let stranger = Authority::new("Another mesh");
    let identity = stranger.workload("spiffe://cluster.local/ns/lab/sa/batch", &[]);
    let _proxy = world.istio_proxy(&identity);
    let mark = world.mesh.gateway().mark();

    let call = Call::get("http://orders.partner.example/today");
    let refused = world.call(call, MUTUAL);

    assert_eq!(refused.status, 503, "{}", refused.text());
    assert_eq!(world.orders.connections().count(), 0);
    // It got no further than the handshake, so there is no request to log.
    let lines = world.mesh.gateway().access_log_lines(mark);
    assert!(
        !lines.iter().any(|line| line.contains("orders")),
        "{lines:?}"
    );
    world.mesh.assert_no_nack();
}

#[test]
fn tls_passes_through_by_server_name_under_nobody_s_identity() {
    let world = World::start();
    let _proxy = world.istio_proxy(&world.certificate());
    let trusting = tls::client(&[&world.partner], None, &["http/1.1"]);
    let mark = world.mesh.gateway().mark();

    let call = Call::get("https://files.partner.example/report").tls(&trusting);
    assert_eq!(world.call(call, PASSTHROUGH).status, 200);

    world.assert_left(&world.files, mark, "files.partner.example", NOBODY);
}

#[test]
fn plain_http_is_routed_by_host_under_nobody_s_identity() {
    let world = World::start();
    let _proxy = world.istio_proxy(&world.certificate());
    let mark = world.mesh.gateway().mark();

    let call = Call::get("http://api.partner.example/orders");
    assert_eq!(world.call(call, PLAIN).status, 200);

    world.assert_left(&world.api, mark, "api.partner.example", NOBODY);
}
