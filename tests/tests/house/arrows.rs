//! Dependency directions: `translate → plan ← resolve → crd`, `ads` alone, `runtime` joins all.
//!
//! Development dependencies are free: what a test looks at is not the architecture.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use serde_json::Value;

/// Which crates of ours a crate may use. What is missing here is a new crate: place it.
const ALLOWED: &[(&str, &[&str])] = &[
    ("sluice-crd", &[]),
    ("sluice-plan", &[]),
    ("sluice-resolve", &["sluice-crd", "sluice-plan"]),
    ("sluice-translate", &["sluice-plan"]),
    ("sluice-ads", &[]),
    ("sluice-identity", &["sluice-plan"]),
    (
        "sluice-runtime",
        &[
            "sluice-ads",
            "sluice-crd",
            "sluice-identity",
            "sluice-plan",
            "sluice-resolve",
            "sluice-translate",
        ],
    ),
    (
        "sluice",
        &[
            "sluice-ads",
            "sluice-crd",
            "sluice-identity",
            "sluice-plan",
            "sluice-resolve",
            "sluice-runtime",
            "sluice-translate",
        ],
    ),
    ("sluice-proxy", &["sluice-ads", "sluice-identity"]),
    ("sluice-init", &[]),
    (
        "sluice-tests",
        &[
            "sluice",
            "sluice-ads",
            "sluice-crd",
            "sluice-identity",
            "sluice-init",
            "sluice-plan",
            "sluice-proxy",
            "sluice-resolve",
            "sluice-runtime",
            "sluice-translate",
        ],
    ),
];

/// Which crates of others a crate of ours may not reach, not even through others.
const UNREACHABLE: &[(&str, &[&str])] = &[
    // Pure: neither Kubernetes, nor protobuf, nor I/O.
    (
        "sluice-plan",
        &["envoy-types", "k8s-openapi", "prost", "tokio", "tonic"],
    ),
    (
        "sluice-resolve",
        &["envoy-types", "prost", "tokio", "tonic"],
    ),
    ("sluice-crd", &["envoy-types", "prost", "tokio", "tonic"]),
    // The plan is all that it knows of users' objects.
    ("sluice-translate", &["k8s-openapi", "kube"]),
    ("sluice-ads", &["k8s-openapi", "kube"]),
];

/// What each package uses directly, without development dependencies.
type Graph = BTreeMap<String, BTreeSet<String>>;

#[test]
fn every_arrow_points_the_way_that_the_architecture_says() {
    let violations = violations(&graph());
    assert!(violations.is_empty(), "{}", violations.join("\n"));
}

#[test]
fn an_arrow_turned_round_is_named() {
    let mut graph = graph();
    graph
        .get_mut("sluice-plan")
        .unwrap()
        .insert("sluice-resolve".into());
    assert!(
        violations(&graph).contains(&"sluice-plan must not depend on sluice-resolve".to_owned())
    );
}

#[test]
fn what_is_reached_through_others_is_named() {
    let mut graph = graph();
    graph
        .get_mut("sluice-plan")
        .unwrap()
        .insert("helper".into());
    graph.insert("helper".into(), ["tokio".to_owned()].into());
    let expected = "sluice-resolve must not reach tokio, as it does by sluice-plan → helper";
    assert!(violations(&graph).contains(&expected.to_owned()));
}

#[test]
fn a_crate_without_a_place_is_named() {
    let mut graph = graph();
    graph.insert("sluice-new".into(), BTreeSet::new());
    let expected = "sluice-new has no place in tests/tests/house/arrows.rs";
    assert!(violations(&graph).contains(&expected.to_owned()));
}

fn violations(graph: &Graph) -> Vec<String> {
    let mut violations = Vec::new();
    let ours = |name: &str| name == "sluice" || name.starts_with("sluice-");
    for (name, uses) in graph.iter().filter(|(name, _)| ours(name)) {
        let Some((_, allowed)) = ALLOWED.iter().find(|(known, _)| known == name) else {
            violations.push(format!(
                "{name} has no place in tests/tests/house/arrows.rs"
            ));
            continue;
        };
        for used in uses.iter().filter(|used| ours(used)) {
            if !allowed.contains(&used.as_str()) {
                violations.push(format!("{name} must not depend on {used}"));
            }
        }
    }
    for (name, forbidden) in UNREACHABLE {
        for target in *forbidden {
            if let Some(way) = way(graph, name, target) {
                let by = match way.as_slice() {
                    [] => "itself".to_owned(),
                    steps => steps.join(" → "),
                };
                violations.push(format!(
                    "{name} must not reach {target}, as it does by {by}"
                ));
            }
        }
    }
    violations
}

/// The packages between `from` and `to` on a shortest way, if there is one.
fn way(graph: &Graph, from: &str, to: &str) -> Option<Vec<String>> {
    let mut ways = BTreeMap::from([(from.to_owned(), Vec::new())]);
    let mut queue = std::collections::VecDeque::from([from.to_owned()]);
    while let Some(name) = queue.pop_front() {
        let way = ways.get(&name).cloned().unwrap_or_default();
        for used in graph.get(&name).into_iter().flatten() {
            if used == to {
                return Some(way);
            }
            if !ways.contains_key(used) {
                let mut longer = way.clone();
                longer.push(used.clone());
                ways.insert(used.clone(), longer);
                queue.push_back(used.clone());
            }
        }
    }
    None
}

fn graph() -> Graph {
    let metadata = metadata();
    let mut names = BTreeMap::new();
    for package in metadata["packages"].as_array().unwrap() {
        names.insert(
            package["id"].as_str().unwrap(),
            package["name"].as_str().unwrap().to_owned(),
        );
    }
    let mut graph = Graph::new();
    for node in metadata["resolve"]["nodes"].as_array().unwrap() {
        let name = &names[node["id"].as_str().unwrap()];
        let uses = node["deps"].as_array().unwrap().iter().filter(|dep| {
            let kinds = dep["dep_kinds"].as_array().unwrap();
            kinds.iter().any(|kind| kind["kind"] != "dev")
        });
        // Two versions of a package count as one: the arrow is the same.
        graph
            .entry(name.clone())
            .or_default()
            .extend(uses.map(|dep| names[dep["pkg"].as_str().unwrap()].clone()));
    }
    graph
}

fn metadata() -> Value {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--locked"])
        .args(["--filter-platform", "x86_64-unknown-linux-gnu"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "cargo metadata failed: {stderr}");
    serde_json::from_slice(&output.stdout).unwrap()
}
