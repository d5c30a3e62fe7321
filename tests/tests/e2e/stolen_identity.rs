//! A proxy with another pod's certificate asks for the gateway's configuration.
//!
//! `sluice-proxy` would notice by itself, so a stock Envoy asks: what an attacker would run.

use std::fs;
use std::path::Path;
use std::time::Duration;

use rcgen::KeyPair;
use serde_json::{Value, json};
use sluice_identity::client::{ControlPlane, Credential, request_certificate};
use sluice_tests::envoy;
use sluice_tests::mesh::{CONTROL_PLANE, Config, Mesh, example};
use sluice_tests::net::{Machine, Process};

const SOON: Duration = Duration::from_secs(10);

/// The control plane's name in its certificate.
const SAN: &str = "sluice.sluice-system.svc";
const CHECKOUT: &str = "sidecar~10.244.1.10~checkout-0.shop~shop.svc.cluster.local";
const GATEWAY: &str =
    "router~10.244.0.20~istio-egressgateway-0.istio-system~istio-system.svc.cluster.local";
/// The pod is its own, but it says that it is a gateway.
const PROMOTED: &str = "router~10.244.1.10~checkout-0.shop~shop.svc.cluster.local";

/// A certificate of checkout-0, obtained by its token, in `folder`.
fn certify(thief: &Machine, state: &Path, folder: &Path) {
    let roots_pem = fs::read_to_string(state.join("root-cert.pem")).unwrap();
    fs::write(folder.join("root.pem"), &roots_pem).unwrap();
    let key = KeyPair::generate().unwrap();
    fs::write(folder.join("key.pem"), key.serialize_pem()).unwrap();
    let control_plane = ControlPlane {
        address: format!("{CONTROL_PLANE}:15012"),
        roots_pem,
        san: SAN.to_owned(),
    };
    let issued = thief.block_on(async move {
        let token = Credential::Token(Config::token("checkout-0"));
        request_certificate(&control_plane, token, &key, None).await
    });
    fs::write(folder.join("chain.pem"), issued.unwrap().chain_pem).unwrap();
}

/// An Envoy that gets everything from the control plane, under this node id.
fn bootstrap(node: &str, folder: &Path) -> Value {
    let file = |name: &str| json!({ "filename": folder.join(name) });
    let ads = json!({ "ads": {}, "resource_api_version": "V3", "initial_fetch_timeout": "1s" });
    json!({
        "node": { "id": node, "cluster": "any" },
        "bootstrap_extensions": [{
            "name": "envoy.bootstrap.internal_listener",
            "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.bootstrap.internal_listener.v3.InternalListener",
            },
        }],
        "dynamic_resources": {
            "ads_config": {
                "api_type": "DELTA_GRPC",
                "transport_api_version": "V3",
                "grpc_services": [{ "envoy_grpc": { "cluster_name": "xds-grpc" } }],
            },
            "cds_config": ads,
            "lds_config": ads,
        },
        "static_resources": { "clusters": [{
            "name": "xds-grpc",
            "type": "STATIC",
            "connect_timeout": "2s",
            "load_assignment": {
                "cluster_name": "xds-grpc",
                "endpoints": [{ "lb_endpoints": [{ "endpoint": { "address": {
                    "socket_address": { "address": CONTROL_PLANE, "port_value": 15012 },
                } } }] }],
            },
            "typed_extension_protocol_options": {
                "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
                    "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
                    "explicit_http_config": { "http2_protocol_options": {} },
                },
            },
            "transport_socket": {
                "name": "envoy.transport_sockets.tls",
                "typed_config": {
                    "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext",
                    "sni": SAN,
                    "common_tls_context": {
                        "alpn_protocols": ["h2"],
                        "tls_params": { "tls_maximum_protocol_version": "TLSv1_3" },
                        "tls_certificates": [{
                            "certificate_chain": file("chain.pem"),
                            "private_key": file("key.pem"),
                        }],
                        "validation_context": { "trusted_ca": file("root.pem") },
                    },
                },
            },
        }] },
    })
}

#[test]
fn a_certificate_gets_the_config_of_its_own_pod_and_of_no_other() {
    let mesh = Mesh::control_plane(&[("api.yaml", example("egress-gateway-http/api.yaml"))]);
    let thief = mesh.lab.machine("thief").address("10.244.1.10/16").start();
    let folder = std::env::temp_dir().join(format!("sluice-thief-{}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    certify(&thief, &mesh.config.state(), &folder);
    let ask = |node: &str| -> Process {
        envoy::start(&thief, &bootstrap(node, &folder).to_string(), &[])
    };

    // The certificate is good: under its own name the Envoy is served.
    let own = ask(CHECKOUT);
    let served = mesh.control().wait_for("proxy connected", SOON);
    assert!(served.contains(CHECKOUT), "{served}");
    own.terminate(SOON);

    for (node, why) in [
        (
            GATEWAY,
            "node id is of pod istio-system/istio-egressgateway-0, the certificate is of pod shop/checkout-0",
        ),
        (
            PROMOTED,
            "node id says router, but pod shop/checkout-0 is a sidecar by its service account",
        ),
    ] {
        let mark = mesh.control().mark();
        let asking = ask(node);
        let said = mesh
            .control()
            .wait_for_line(mark, SOON, |line| line.contains("refused stream"));
        let said =
            said.unwrap_or_else(|| panic!("{node} is not refused\n{}", mesh.control().tail()));
        assert!(said.contains(why), "{said}");
        assert!(
            said.contains("spiffe://cluster.local/ns/shop/sa/checkout"),
            "the log tells who it was: {said}"
        );
        asking.terminate(SOON);
        let lines = mesh.control().lines();
        let served = lines
            .iter()
            .skip(mark)
            .any(|line| line.contains("proxy connected"));
        assert!(!served, "{node} is served");
    }
    fs::remove_dir_all(&folder).unwrap();
}
