//! The access log: Istio's line at sidecars, with our fields at gateways, as text and as JSON.

use std::time::Duration;

use serde_json::{Map, Value};
use sluice_tests::clients::http::Call;
use sluice_tests::mesh::{GATEWAY_SOURCE, Mesh, Proxy, example};
use sluice_tests::servers::http::HttpServer;

const SOON: Duration = Duration::from_secs(10);

/// Istio's default line has so many fields.
const ISTIO_FIELDS: usize = 22;

/// Istio's JSON keys.
const ISTIO_KEYS: [&str; 24] = [
    "authority",
    "bytes_received",
    "bytes_sent",
    "connection_termination_details",
    "downstream_local_address",
    "downstream_remote_address",
    "duration",
    "method",
    "path",
    "protocol",
    "request_id",
    "requested_server_name",
    "response_code",
    "response_code_details",
    "response_flags",
    "route_name",
    "start_time",
    "upstream_cluster",
    "upstream_host",
    "upstream_local_address",
    "upstream_service_time",
    "upstream_transport_failure_reason",
    "user_agent",
    "x_forwarded_for",
];

/// Ours, in the order of the text line.
const OWN_KEYS: [&str; 7] = [
    "peer",
    "pod",
    "class",
    "host",
    "original_dst",
    "source",
    "rule",
];

const JSON_ENCODING: &str = "\
apiVersion: v1
kind: ConfigMap
metadata: {name: istio, namespace: istio-system}
data:
  mesh: |
    accessLogFile: /dev/stdout
    accessLogEncoding: JSON
";

/// The fields of a line; what stands in quotes is one.
fn fields(line: &str) -> Vec<String> {
    let mut fields = vec![String::new()];
    let mut quoted = false;
    for character in line.chars() {
        quoted ^= character == '"';
        match character {
            ' ' if !quoted => fields.push(String::new()),
            _ => fields.last_mut().unwrap().push(character),
        }
    }
    fields
}

/// The first record in JSON since `mark` that holds `needle`.
fn json_since(proxy: &Proxy, mark: usize, needle: &str) -> Option<Map<String, Value>> {
    let is_record = |line: &str| line.starts_with('{') && line.contains(needle);
    let line = proxy.process().wait_for_line(mark, SOON, is_record)?;
    Some(serde_json::from_str(&line).unwrap())
}

fn start() -> (Mesh, HttpServer) {
    let files = [("api.yaml", &*example("egress-gateway-http/api.yaml"))];
    Mesh::start(&files, |mesh| {
        mesh.external_http("api", "198.51.100.10", &["api.partner.example"])
    })
}

fn get(mesh: &Mesh, path: &str, agent: &str) {
    let call = Call::get(&format!("http://api.partner.example{path}"));
    let response = call.header("user-agent", agent).send(mesh.app()).unwrap();
    assert_eq!(response.status, 200);
}

#[test]
fn a_sidecar_writes_istio_s_line_and_a_gateway_appends_our_fields() {
    let (mesh, _api) = start();
    let (gateway, sidecar) = (mesh.gateway(), mesh.proxy("checkout-0"));
    let marks = (gateway.mark(), sidecar.mark());

    get(&mesh, "/orders", "checkout/2 (linux)");

    // The sidecar carries bytes: its line is a connection's.
    let line = sidecar.access_log_since(marks.1, "198.51.100.10:80");
    let seen = fields(&line);
    assert_eq!(seen.len(), ISTIO_FIELDS, "{line}");
    assert_eq!(seen[1], "\"- - -\"", "{line}");

    let line = gateway.access_log_since(marks.0, "/orders");
    let seen = fields(&line);
    assert_eq!(seen.len(), ISTIO_FIELDS + OWN_KEYS.len(), "{line}");
    assert_eq!(seen[1], "\"GET /orders HTTP/1.1\"");
    assert_eq!(seen[2], "200");
    assert_eq!(seen[12], "\"checkout/2 (linux)\"");
    assert_eq!(seen[14], "\"api.partner.example\"");
    let own = seen[ISTIO_FIELDS..].iter().zip(OWN_KEYS);
    for (field, key) in own {
        assert!(field.starts_with(&format!("{key}=")), "{field}");
        assert_ne!(*field, format!("{key}=-"));
    }
    mesh.assert_no_nack();
}

#[test]
fn the_mesh_config_turns_the_log_to_json_while_all_runs() {
    const AGENT: &str = "checkout \"2\"";
    let (mesh, _api) = start();
    let gateway = mesh.gateway();
    get(&mesh, "/before", AGENT);

    mesh.config.write("mesh.yaml", JSON_ENCODING);
    mesh.eventually("the gateway logs JSON", SOON, || {
        get(&mesh, "/probe", AGENT);
        let lines = gateway.process().lines();
        let is_record = |line: &String| line.starts_with('{') && line.contains("/probe");
        lines.iter().any(is_record)
    });
    let mark = gateway.mark();
    get(&mesh, "/orders?id=7", AGENT);

    let record = json_since(gateway, mark, "/orders").unwrap();
    let mut expected: Vec<&str> = ISTIO_KEYS.into_iter().chain(OWN_KEYS).collect();
    expected.sort_unstable();
    let mut keys: Vec<&str> = record.keys().map(String::as_str).collect();
    keys.sort_unstable();
    assert_eq!(keys, expected);
    assert_eq!(record["method"], "GET");
    assert_eq!(record["path"], "/orders?id=7");
    assert_eq!(record["response_code"], 200);
    assert_eq!(record["user_agent"], AGENT);
    assert_eq!(record["peer"], "spiffe://cluster.local/ns/shop/sa/checkout");
    assert_eq!(record["host"], "api.partner.example");
    assert_eq!(record["original_dst"], "198.51.100.10:80");
    assert_eq!(
        record["rule"],
        "VirtualService/shop/api-through-egress-gateway"
    );
    let source = record["source"].as_str().unwrap();
    assert!(
        source.starts_with(&format!("{GATEWAY_SOURCE}:")),
        "{source}"
    );
    mesh.assert_no_nack();
}
