//! Whatever objects are accepted, Envoy accepts what is made of them: one object that it refuses
//! would keep back the changes of everybody. Odd objects are made by chance, from fixed seeds;
//! those that parsing takes go the whole way to a bootstrap, which the real Envoy judges.

#![expect(clippy::unwrap_used, reason = "in tests a panic is the report")]

#[path = "accepted/generate.rs"]
mod generate;

use serde_json::Value;
use sluice_crd::{diagnostic::Severity, istio::mesh_config::MeshConfig, parse::parse};
use sluice_resolve::{Catalog, Change, ProxyIdentity, proxy};
use sluice_tests::envoy;
use sluice_translate::{print::Redaction, static_bootstrap};

/// How many worlds are made; each takes the better part of a second. `SLUICE_WORLDS` makes more.
const WORLDS: u64 = 30;
/// How many objects each gets.
const OBJECTS: usize = 30;

const SURROUNDINGS: &str = include_str!("../examples/world.yaml");

#[test]
fn envoy_accepts_what_is_made_of_every_accepted_object() {
    let mut refusals = Vec::new();
    let worlds = std::env::var("SLUICE_WORLDS")
        .ok()
        .and_then(|n| n.parse().ok())
        .unwrap_or(WORLDS);
    for seed in 1..=worlds {
        let kept = generate::objects(seed, OBJECTS, is_accepted);
        if let Err(refusal) = judge(&kept) {
            let guilty: Vec<String> = smallest(kept).iter().map(Value::to_string).collect();
            refusals.push(format!("seed {seed}: {refusal}{}", guilty.join("\n")));
        }
    }
    assert!(
        refusals.is_empty(),
        "envoy refuses {}",
        refusals.join("\n\n")
    );
}

fn is_accepted(object: &Value) -> bool {
    (parse("made.json", &object.to_string(), "lab")
        .diagnostics
        .iter())
    .all(|found| found.severity != Severity::Error)
}

/// Whether Envoy takes what a gateway gets in a world with these objects.
fn judge(objects: &[Value]) -> Result<(), String> {
    let mut catalog = Catalog::new(MeshConfig::default());
    let texts = objects.iter().map(Value::to_string);
    for text in std::iter::once(SURROUNDINGS.to_owned()).chain(texts) {
        let parsed = parse("made.json", &text, "lab");
        catalog.apply(parsed.objects.into_iter().map(Change::Upsert));
    }
    let pod = catalog
        .pod("istio-system", "istio-egressgateway-0")
        .unwrap();
    let plan = proxy(&catalog, &ProxyIdentity::of(pod)).plan;
    let node =
        "router~10.244.0.20~istio-egressgateway-0.istio-system~istio-system.svc.cluster.local";
    let bootstrap = static_bootstrap(&plan, node, Redaction::Placeholder).unwrap();
    envoy::validate(&bootstrap.to_string())
}

/// Leaves out what Envoy's refusal does not need.
fn smallest(mut objects: Vec<Value>) -> Vec<Value> {
    let mut at = 0;
    while at < objects.len() {
        let mut fewer = objects.clone();
        fewer.remove(at);
        match judge(&fewer) {
            Err(_) => objects = fewer,
            Ok(()) => at += 1,
        }
    }
    objects
}
