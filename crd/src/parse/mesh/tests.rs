//! What a mesh config may say, and what is said about it.

use super::*;
use crate::istio::mesh_config::{AccessLogEncoding, OutboundTrafficPolicyMode};
use crate::object::Object;
use crate::parse::parse;

#[test]
fn our_fields_are_read_and_istios_others_are_listed() {
    let text = "\
accessLogFile: /dev/stdout
accessLogEncoding: JSON
trustDomain: td.example
outboundTrafficPolicy: {mode: ALLOW_ANY, tls: {mode: SIMPLE}}
defaultConfig:
  discoveryAddress: istiod.istio-system.svc:15012
enableAutoMTLS: true
sluice:
  gateways: [{namespace: egress, serviceAccount: gw}]
  identityLabels: [app, example.com/team]
";
    let (config, diagnostics) = mesh_config("mesh.yaml", text);
    assert_eq!(config.trust_domain, "td.example");
    assert_eq!(config.access_log_encoding, AccessLogEncoding::Json);
    assert_eq!(
        config.outbound_traffic_policy.mode,
        OutboundTrafficPolicyMode::AllowAny
    );
    assert_eq!(config.root_namespace, "istio-system");
    assert_eq!(config.gateways().len(), 1);
    assert_eq!(config.sluice.identity_labels, ["app", "example.com/team"]);
    let lines: Vec<String> = diagnostics.iter().map(ToString::to_string).collect();
    assert_eq!(
        lines,
        [
            "mesh.yaml:4:42: info[SLU0010] outboundTrafficPolicy.tls: accepted, not in effect",
            "mesh.yaml:5:1: info[SLU0010] defaultConfig: accepted, not in effect",
            "mesh.yaml:7:1: warning[SLU0002] enableAutoMTLS: unknown field `enableAutoMTLS`, \
             did you mean `enableAutoMtls`?",
            "mesh.yaml:4:31: warning[SLU0010] outboundTrafficPolicy.mode: accepted, not in effect: what no object allows is denied",
        ]
    );
}

#[test]
fn what_cannot_be_read_keeps_its_default_and_is_an_error() {
    let text = "\
trustDomain: td.example
connectTimeout: soon
accessLogFile: [x]
trustDomainAliases: [a]
trustDomainAliases: [b]
sluice: {identityLabel: [a], identityLabels: ['a b']}
";
    let (config, diagnostics) = mesh_config("mesh.yaml", text);
    assert_eq!(config.trust_domain, "td.example");
    assert_eq!(config.access_log_file, "/dev/stdout");
    let lines: Vec<String> = diagnostics.iter().map(ToString::to_string).collect();
    assert_eq!(
        lines,
        [
            "mesh.yaml:5:1: error[SLU0001] trustDomainAliases: key `trustDomainAliases` is there twice",
            "mesh.yaml:2:17: error[SLU0002] connectTimeout: invalid duration `soon`: expected a number \
             with a unit, as in 10s, 1.5s, 100ms or 1h30m",
            "mesh.yaml:3:16: error[SLU0002] accessLogFile: expected a string, found a list",
            "mesh.yaml:6:10: error[SLU0002] sluice.identityLabel: unknown field `identityLabel`, \
             did you mean `identityLabels`?",
            "mesh.yaml:6:47: error[IST0106] sluice.identityLabels[0]: `a b` is no label key",
        ]
    );
}

#[test]
fn texts_that_are_no_mapping_give_the_default() {
    for (text, errors) in [("", 0), ("# nothing", 0), ("[]", 1), ("{", 1), ("x", 1)] {
        let (config, diagnostics) = mesh_config("mesh.yaml", text);
        assert_eq!(config, MeshConfig::default(), "{text}");
        assert_eq!(diagnostics.len(), errors, "{text} {diagnostics:?}");
    }
}

#[test]
fn places_in_a_config_map_are_those_of_its_file() {
    let text = "\
# the mesh
apiVersion: v1
kind: ConfigMap
metadata: {name: istio, namespace: istio-system}
data:
  meshNetworks: 'networks: {}'
  mesh: |-

    trustDomain: td.example
    connectTimeout: soon
";
    let parsed = parse("cm.yaml", text, "default");
    let [Object::ConfigMap(map)] = parsed.objects.as_slice() else {
        panic!("one ConfigMap")
    };
    let (_, diagnostics) = mesh_config_map(map).unwrap();
    let prefix =
        "cm.yaml:10:21: error[SLU0002] ConfigMap istio-system/istio: connectTimeout: invalid";
    assert!(
        diagnostics[0].to_string().starts_with(prefix),
        "{}",
        diagnostics[0]
    );
    let quoted = text.replace(
        "|-\n\n    trustDomain: td.example\n    connectTimeout: soon",
        "'connectTimeout: soon'",
    );
    let parsed = parse("cm.yaml", &quoted, "default");
    let [Object::ConfigMap(map)] = parsed.objects.as_slice() else {
        panic!("one ConfigMap")
    };
    let (_, diagnostics) = mesh_config_map(map).unwrap();
    assert!(
        diagnostics[0].to_string().starts_with("cm.yaml:7:9: error"),
        "{}",
        diagnostics[0]
    );
}
