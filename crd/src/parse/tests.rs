//! What is read, what is refused, and where the finger points.

mod bounds;
mod properties;

use std::time::Duration;

use super::*;
use crate::istio::virtual_service::VirtualService;

fn findings(text: &str) -> Vec<String> {
    parse("f.yaml", text, "default")
        .diagnostics
        .iter()
        .map(ToString::to_string)
        .collect()
}

fn virtual_services(parsed: &Parsed) -> Vec<Arc<Resource<VirtualService>>> {
    let found = parsed.objects.iter().map(|object| match object {
        Object::VirtualService(resource) => Arc::clone(resource),
        other => panic!("unexpected {}", other.reference()),
    });
    found.collect()
}

const ROUTE: &str = "http: [{route: [{destination: {host: b.example}}]}]";

fn virtual_service(name: &str) -> String {
    format!(
        "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {{name: {name}}}\n\
         spec: {{hosts: [a.example], {ROUTE}}}\n"
    )
}

#[test]
fn every_unknown_field_is_reported_at_its_key() {
    let text = "\
# a comment
---
apiVersion: networking.istio.io/v1alpha3
kind: VirtualService
metadata:
  name: checkout
  namespace: shop
spec:
  host: [a.example]
  hosts: [a.example]
  http:
  - mach:
    - uri: {prefix: /}
    route:
    - destination: {host: b.example, Port: {number: 80}}
extra: 1
";
    assert_eq!(
        findings(text),
        [
            "f.yaml:16:1: error[SLU0002] VirtualService shop/checkout: extra: \
             unknown field `extra`, does it belong into spec?",
            "f.yaml:9:3: error[SLU0002] VirtualService shop/checkout: spec.host: \
             unknown field `host`, did you mean `hosts`?",
            "f.yaml:12:5: error[SLU0002] VirtualService shop/checkout: spec.http[0].mach: \
             unknown field `mach`, did you mean `match`?",
            "f.yaml:15:38: error[SLU0002] VirtualService shop/checkout: \
             spec.http[0].route[0].destination.Port: unknown field `Port`, did you mean `port`?",
        ]
    );
}

#[test]
fn a_wrong_type_is_reported_at_the_value() {
    for (spec, finding) in [
        (
            "{hosts: a.example}",
            "4:15: spec.hosts: expected a list, found a string",
        ),
        (
            "{hosts: [1]}",
            "4:16: spec.hosts[0]: expected a string, found an integer",
        ),
        (
            "{http: [{timeout: 10}]}",
            "4:25: spec.http[0].timeout: expected a duration such as 10s, found an integer",
        ),
        (
            "{http: [{timeout: 1 day}]}",
            "4:25: spec.http[0].timeout: invalid duration `1 day`: expected a number with a unit, \
             as in 10s, 1.5s, 100ms or 1h30m",
        ),
        (
            "{http: [{match: [{port: -1}]}]}",
            "4:31: spec.http[0].match[0].port: integer `-1` is out of range, expected u32",
        ),
        (
            "{http: [{match: [{uri: {prefix: /, exact: /}}]}]}",
            "4:30: spec.http[0].match[0].uri: only one of exact, prefix and regex may be set",
        ),
        (
            "{http: [{fault: {abort: {percentage: {value: 101}}}}]}",
            "4:44: spec.http[0].fault.abort.percentage: percentage 101 is not within 0 and 100",
        ),
        (
            "{http: [{redirect: {derivePort: FROM_REQUESTPORT}}]}",
            "4:39: spec.http[0].redirect.derivePort: unknown value `FROM_REQUESTPORT`, \
             did you mean `FROM_REQUEST_PORT`?",
        ),
        ("[]", "4:7: spec: expected a mapping, found a list"),
    ] {
        let text = format!(
            "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {{name: a}}\nspec: {spec}\n"
        );
        let expected = finding.replacen(": ", ": error[SLU0002] VirtualService default/a: ", 1);
        assert_eq!(findings(&text), [format!("f.yaml:{expected}")], "{spec}");
    }
}

#[test]
fn a_duplicate_key_is_an_error_and_names_the_object() {
    let text = virtual_service("a").replace("hosts: [a.example]", "hosts: [a.example], hosts: []");
    assert_eq!(
        findings(&text),
        [
            "f.yaml:4:28: error[SLU0001] VirtualService default/a: spec.hosts: key `hosts` is there twice"
        ]
    );
}

#[test]
fn a_broken_document_does_not_take_the_others() {
    let text = format!(
        "{}---\nkind: {{\n---\n{}",
        virtual_service("a"),
        virtual_service("b")
    );
    let parsed = parse("f.yaml", &text, "default");
    let names: Vec<_> = parsed
        .objects
        .iter()
        .map(|object| object.meta().name.clone())
        .collect();
    assert_eq!(names, ["a", "b"]);
    assert_eq!(parsed.diagnostics.len(), 1);
    let location = parsed.diagnostics[0].location.clone().unwrap();
    assert!((6..=7).contains(&location.line), "{location}");
    assert_eq!(parsed.diagnostics[0].code, code::SYNTAX);
}

#[test]
fn what_has_no_identity_is_an_error() {
    for (text, finding) in [
        (
            "just text\n",
            "1:1: error[SLU0003]: expected an object with apiVersion and kind",
        ),
        ("a: 1\n", "1:1: error[SLU0003] kind: kind is missing"),
        (
            "kind: Service\n",
            "1:1: error[SLU0003] apiVersion: apiVersion is missing",
        ),
        (
            "kind: 1\n",
            "1:7: error[SLU0003] kind: kind is not a string",
        ),
        (
            "apiVersion: networking.istio.io/v2\nkind: Gateway\n",
            "1:13: error[SLU0003] apiVersion: Gateway is not served as `networking.istio.io/v2`, expected \
             `networking.istio.io/v1` or `networking.istio.io/v1beta1` or `networking.istio.io/v1alpha3`",
        ),
        (
            "apiVersion: networking.istio.io/v1\nkind: VirtualServce\n",
            "2:7: error[SLU0003] kind: unknown kind `VirtualServce`, did you mean `VirtualService`?",
        ),
        (
            "apiVersion: v1\nkind: Service\n",
            "1:1: error[SLU0003] metadata: Service has no metadata",
        ),
        (
            "apiVersion: v1\nkind: Service\nmetadata: {generateName: a-}\n",
            "3:1: error[SLU0003] metadata.name: Service has no name",
        ),
        (
            "apiVersion: v1\nkind: Service\nmetadata: {name: a, labels: {version: 1}}\n",
            "3:39: error[SLU0003] metadata.labels.version: expected a string, found an integer",
        ),
    ] {
        assert_eq!(findings(text), [format!("f.yaml:{finding}")], "{text}");
    }
}

#[test]
fn other_kinds_are_ignored_with_one_line_each() {
    let text = "\
apiVersion: apps/v1
kind: Deployment
metadata: {name: a}
---
apiVersion: networking.istio.io/v1alpha3
kind: EnvoyFilter
metadata: {name: a}
---
apiVersion: networking.istio.io/v1
kind: WorkloadGroup
";
    assert_eq!(
        findings(text),
        [
            "f.yaml:2:7: info[SLU0004] kind: Deployment of apps/v1 is ignored",
            "f.yaml:6:7: warning[SLU0005] kind: EnvoyFilter is not supported, it has no effect",
            "f.yaml:10:7: info[SLU0004] kind: WorkloadGroup of networking.istio.io/v1 is ignored",
        ]
    );
}

#[test]
fn every_served_version_is_read() {
    let hosts =
        "{hosts: [a.example], ports: [{number: 80, name: http, protocol: HTTP}], resolution: DNS}";
    for (api_version, kind, spec) in [
        ("networking.istio.io/v1", "ServiceEntry", hosts),
        ("networking.istio.io/v1beta1", "ServiceEntry", hosts),
        ("networking.istio.io/v1alpha3", "ServiceEntry", hosts),
        (
            "security.istio.io/v1",
            "PeerAuthentication",
            "{mtls: {mode: STRICT}}",
        ),
        (
            "security.istio.io/v1beta1",
            "PeerAuthentication",
            "{portLevelMtls: {8080: {mode: STRICT}}, selector: {matchLabels: {a: b}}}",
        ),
        ("security.istio.io/v1", "AuthorizationPolicy", "{}"),
        (
            "telemetry.istio.io/v1",
            "Telemetry",
            "{tracing: [{randomSamplingPercentage: 0.5}]}",
        ),
        (
            "telemetry.istio.io/v1alpha1",
            "Telemetry",
            "{accessLogging: [{disabled: true}]}",
        ),
    ] {
        let text = format!(
            "apiVersion: {api_version}\nkind: {kind}\nmetadata: {{name: a}}\nspec: {spec}\n"
        );
        let parsed = parse("f.yaml", &text, "default");
        assert!(!parsed.has_errors(), "{:?}", findings(&text));
        assert_eq!(parsed.objects.len(), 1, "{api_version} {kind}");
    }
}

/// As `kubectl get virtualservice,service,secret,pod -o yaml` prints.
#[test]
fn a_dump_of_a_cluster_is_read() {
    let text = include_str!("tests/dump.yaml");
    let parsed = parse("dump.yaml", text, "default");
    assert_eq!(parsed.diagnostics, []);
    let references: Vec<String> = parsed
        .objects
        .iter()
        .map(|object| object.reference().to_string())
        .collect();
    assert_eq!(
        references,
        [
            "VirtualService shop/checkout",
            "ServiceEntry shop/api",
            "Service shop/web",
            "Secret shop/partner",
            "Pod shop/web-0",
            "Namespace shop"
        ]
    );
    let Object::VirtualService(virtual_service) = &parsed.objects[0] else {
        panic!("wrong kind")
    };
    assert_eq!(
        virtual_service.meta.creation_timestamp.as_deref(),
        Some("2026-01-02T03:04:05Z")
    );
    let source = virtual_service.source.as_ref().unwrap();
    assert_eq!(
        source
            .locate("spec.http[0].route[0].destination.host")
            .to_string(),
        "dump.yaml:25:17"
    );
    let Object::ServiceEntry(entry) = &parsed.objects[1] else {
        panic!("wrong kind")
    };
    assert_eq!(entry.spec.allocated_addresses[0].value, "240.240.0.1");
    let Object::Service(service) = &parsed.objects[2] else {
        panic!("wrong kind")
    };
    assert_eq!(
        service.spec.cluster_ips,
        ["10.96.0.7".parse::<std::net::IpAddr>().unwrap()]
    );
    assert_eq!(service.spec.ports[0].port, 80);
    let Object::Secret(secret) = &parsed.objects[3] else {
        panic!("wrong kind")
    };
    assert_eq!(secret.spec.data["tls.crt"].expose(), b"certificate");
    let Object::Pod(pod) = &parsed.objects[4] else {
        panic!("wrong kind")
    };
    assert_eq!(pod.spec.service_account_name, "checkout");
    assert!(!pod.spec.ready);
}

#[test]
fn json_is_read_with_places() {
    let text = "{\n  \"apiVersion\": \"v1\", \"kind\": \"List\",\n  \"items\": [\n\t{\"apiVersion\": \"networking.istio.io/v1\",\n\t \"kind\": \"VirtualService\", \"metadata\": {\"name\": \"a\"},\n\t \"spec\": {\"hosts\": [\"a.example\"], \"htp\": []}}]}\n";
    assert_eq!(
        findings(text),
        [
            "f.yaml:6:36: error[SLU0002] VirtualService default/a: spec.htp: unknown field `htp`, did you mean `http`?"
        ]
    );
}

#[test]
fn items_of_a_typed_list_take_their_type_from_it() {
    let text = "apiVersion: networking.istio.io/v1\nkind: VirtualServiceList\nmetadata: {}\nitems:\n\
                - metadata: {name: a}\n  spec: {hosts: [a.example], http: [{route: [{destination: {host: b.example}}]}]}\n";
    let parsed = parse("f.yaml", text, "shop");
    assert_eq!(parsed.diagnostics, []);
    assert_eq!(
        parsed.objects[0].reference().to_string(),
        "VirtualService shop/a"
    );
}

#[test]
fn anchors_merge_keys_and_a_byte_order_mark_are_read() {
    let text = "\u{feff}apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: &meta {name: a}
spec:
  hosts: &hosts [a.example]
  http:
  - &base
    match: [{port: 80}]
    timeout: 5s
    route: [{destination: {host: b.example}}]
  - <<: *base
    timeout: 7s
  tls:
  - match: [{sniHosts: *hosts}]
    route: [{destination: {host: b.example}}]
";
    let parsed = parse("f.yaml", text, "default");
    assert_eq!(parsed.diagnostics, []);
    let spec = &virtual_services(&parsed)[0].spec;
    assert_eq!(spec.tls[0].matches[0].sni_hosts, ["a.example"]);
    assert_eq!(spec.http[1].route[0].destination.host, "b.example");
    assert_eq!(
        spec.http[1].timeout.map(|timeout| timeout.0),
        Some(Duration::from_secs(7))
    );
}

#[test]
fn null_fields_count_as_absent() {
    let text = virtual_service("a").replace("hosts:", "gateways: null, exportTo: ~, tls: , hosts:");
    let parsed = parse("f.yaml", &text, "default");
    assert_eq!(parsed.diagnostics, []);
    assert!(virtual_services(&parsed)[0].spec.gateways.is_empty());
}

#[test]
fn texts_without_objects_are_fine() {
    for text in [
        "",
        "\n",
        "# nothing\n",
        "---\n---\n",
        "null\n",
        "---\n# x\n...\n",
    ] {
        let parsed = parse("f.yaml", text, "default");
        assert_eq!(
            (parsed.objects.len(), parsed.diagnostics.len()),
            (0, 0),
            "{text:?}"
        );
    }
}

#[test]
fn secrets_do_not_appear_in_diagnostics() {
    let text = "{apiVersion: v1, kind: Secret, metadata: {name: a}, data: {key: 'hunter2!'}, stringData: {pin: 4711}}";
    for finding in findings(text) {
        assert!(
            !finding.contains("hunter2") && !finding.contains("4711"),
            "{finding}"
        );
    }
    assert_eq!(findings(text).len(), 1);
}
