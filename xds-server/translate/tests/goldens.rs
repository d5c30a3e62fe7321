//! What Envoy gets for each role and feature, as files to read and to compare with.
//!
//! Every plan here is also made into a static bootstrap, which the real Envoy must accept.
//! `UPDATE_GOLDENS=1` writes the files anew.

#![expect(
    clippy::unwrap_used,
    reason = "a panic is the report of a test's helpers too"
)]

#[path = "goldens/plans.rs"]
mod plans;

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::{Value, json};
use sluice_plan::proxy::ProxyPlan;
use sluice_translate::{
    print::{self, Redaction},
    render, static_bootstrap,
};

#[test]
fn a_sidecars_config_is_capture_tunnel_and_the_gateways() {
    check("sidecar/constant", &plans::roles::sidecar());
}

#[test]
fn a_gateway_ends_tunnels_and_decides_for_each_class() {
    check("gateway/tunnel_class_and_hop", &plans::roles::gateway());
}

#[test]
fn a_gateway_serves_istios_clients_on_bare_ports() {
    check("gateway/bare_servers", &plans::roles::bare_servers());
}

#[test]
fn tls_is_originated_with_every_source_of_certificates() {
    check("tls/originate", &plans::clusters::tls_origination());
}

#[test]
fn endpoints_are_found_in_every_way() {
    check("cluster/resolutions", &plans::clusters::resolutions());
}

#[test]
fn a_traffic_policy_sets_bounds_balance_and_judgement() {
    check(
        "cluster/traffic_policy",
        &plans::clusters::traffic_policies(),
    );
}

#[test]
fn chains_have_one_rbac_filter_for_each_action() {
    check("authorization/chains", &plans::authorization::chains());
}

#[test]
fn requests_are_matched_changed_and_sent_on() {
    check("route/forward", &plans::routes::forwards());
}

#[test]
fn requests_are_answered_redirected_and_failed_on_purpose() {
    check("route/answer", &plans::routes::answers());
}

#[test]
fn logs_have_custom_formats_and_files() {
    check("log/custom", &plans::roles::custom_logs());
}

#[test]
fn secrets_are_redacted_in_printouts() {
    let plan = plans::clusters::tls_origination();
    let printed = print::resources(render(&plan, None).values().map(|r| &**r), Redaction::Hide)
        .unwrap()
        .to_string();

    assert!(!printed.contains("PRIVATE KEY"), "{printed}");
    assert!(printed.contains("[redacted]"));
}

#[track_caller]
fn check(name: &str, plan: &ProxyPlan) {
    let set = render(plan, None);
    for rendered in set.values() {
        for required in rendered.requires.iter() {
            assert!(set.contains_key(required), "{required:?} is not in the set");
        }
    }
    let json = print::resources(set.values().map(|r| &**r), Redaction::Hide).unwrap();
    compare(name, &(serde_json::to_string_pretty(&json).unwrap() + "\n"));

    let node = "router~10.0.0.1~gateway.istio-system~istio-system.svc.cluster.local";
    let bootstrap = static_bootstrap(plan, node, Redaction::Placeholder).unwrap();
    let bootstrap = serde_json::to_string_pretty(&bootstrap).unwrap();
    validate(name, &bootstrap);
    validate(
        &format!("{name}-dynamic"),
        &with_control_plane(&json).to_string(),
    );
}

/// The resources as they are sent, with their references to the control plane and the agent.
/// Endpoints, routes and secrets would come from there.
fn with_control_plane(resources: &Value) -> Value {
    let server = |name: &str| {
        json!({
            "name": name,
            "typed_extension_protocol_options": {
                "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
                    "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
                    "explicit_http_config": { "http2_protocol_options": {} },
                },
            },
            "load_assignment": {
                "cluster_name": name,
                "endpoints": [{ "lb_endpoints": [{
                    "endpoint": { "address": { "pipe": { "path": "/run/none.sock" } } },
                }] }],
            },
        })
    };
    let mut clusters = vec![server("xds-grpc"), server("sds-grpc")];
    clusters.extend(
        resources["clusters"]
            .as_array()
            .into_iter()
            .flatten()
            .cloned(),
    );
    let listeners: Vec<Value> = resources["listeners"]
        .as_array()
        .into_iter()
        .flatten()
        .cloned()
        .collect();
    json!({
        "node": { "id": "a", "cluster": "b" },
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
        },
        "static_resources": { "listeners": listeners, "clusters": clusters },
    })
}

/// Fails where there is no Envoy, rather than prove nothing.
#[track_caller]
fn validate(name: &str, bootstrap: &str) {
    let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name.replace('/', "-") + ".json");
    fs::write(&file, bootstrap).unwrap();
    let envoy = envoy();
    let output = Command::new(&envoy)
        .args(["--mode", "validate", "--log-level", "warning"])
        .args(["--reject-unknown-dynamic-fields", "--config-path"])
        .arg(&file)
        .output()
        .unwrap_or_else(|error| panic!("{}: {error}; run `make tools`", envoy.display()));
    assert!(
        output.status.success(),
        "envoy refuses {}: {}",
        file.display(),
        String::from_utf8_lossy(&output.stderr)
    );
}

/// `SLUICE_ENVOY`, else the one that `make tools` keeps in the cache.
fn envoy() -> PathBuf {
    std::env::var_os("SLUICE_ENVOY").map_or_else(
        || {
            let variable = |name| std::env::var_os(name).map(PathBuf::from);
            variable("XDG_CACHE_HOME")
                .or_else(|| variable("HOME").map(|home| home.join(".cache")))
                .expect("either XDG_CACHE_HOME or HOME is set")
                .join("sluice/envoy-1.40.0/envoy")
        },
        PathBuf::from,
    )
}

#[track_caller]
fn compare(name: &str, actual: &str) {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("tests/golden")
        .join(name)
        .with_extension("json");
    if std::env::var_os("UPDATE_GOLDENS").is_some() {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, actual).unwrap();
    }
    let expected = fs::read_to_string(&path).unwrap_or_default();
    for (number, (expected, actual)) in expected.lines().zip(actual.lines()).enumerate() {
        assert_eq!(
            expected,
            actual,
            "{}:{} (UPDATE_GOLDENS=1 writes it anew)",
            path.display(),
            number + 1
        );
    }
    assert_eq!(expected.lines().count(), actual.lines().count(), "{name}");
}
