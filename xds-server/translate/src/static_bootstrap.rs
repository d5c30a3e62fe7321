//! A bootstrap that holds everything: what a proxy would get over ADS and from its agent, in one
//! file that a stock Envoy accepts as it is, without a control plane.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use sluice_plan::proxy::{BLACK_HOLE, ProxyPlan};

use crate::print::{self, PLACEHOLDER_CERTIFICATE, PLACEHOLDER_KEY, PrintError, Redaction, inline};
use crate::resources::black_hole;

/// The bootstrap of the proxy with the id `node` (`router~IP~POD.NS~NS.svc.cluster.local`).
///
/// The workload's certificate and those from files are known to its pod alone: placeholders
/// stand in for them, as for a `credentialName` that is not there.
pub fn static_bootstrap(
    plan: &ProxyPlan,
    node: &str,
    redaction: Redaction,
) -> Result<Value, PrintError> {
    let mut listeners = Vec::new();
    let mut clusters = Vec::new();
    for listener in plan.listeners.values() {
        listeners.push(print::message(&crate::listener(listener), redaction)?);
        let companions = crate::companions(listener);
        for listener in &companions.listeners {
            listeners.push(print::message(listener, redaction)?);
        }
        for cluster in &companions.clusters {
            clusters.push(print::message(cluster, redaction)?);
        }
    }
    for destination in plan.destinations.values() {
        clusters.push(print::message(&crate::cluster(destination), redaction)?);
    }
    if !plan.destinations.contains_key(BLACK_HOLE) {
        let black_hole = crate::cluster(&black_hole());
        clusters.push(print::message(&black_hole, redaction)?);
    }
    for cluster in &mut clusters {
        inline_endpoints(cluster, plan)?;
    }
    let mut routes = BTreeMap::new();
    for table in plan.routes.values() {
        let json = print::message(&crate::route_configuration(table), redaction)?;
        routes.insert(table.name.as_str(), json);
    }
    for listener in &mut listeners {
        inline_routes(listener, &routes);
    }
    let mut secrets = BTreeMap::new();
    for secret in plan.secrets.values() {
        let json = print::message(&crate::secret(secret), redaction)?;
        secrets.insert(secret.name.clone(), json);
    }
    for value in listeners.iter_mut().chain(&mut clusters) {
        inline_secrets(value, &mut secrets);
    }
    Ok(print::sorted(json!({
        "node": { "id": node, "cluster": "sluice" },
        "bootstrap_extensions": [{
            "name": "envoy.bootstrap.internal_listener",
            "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.bootstrap.internal_listener.v3.InternalListener",
            },
        }],
        // As every bootstrap of Sluice and Istio: Envoy's own bound, 100, is that of a short path.
        "layered_runtime": {
            "layers": [{
                "name": "static",
                "static_layer": { "re2.max_program_size.error_level": 32768 },
            }],
        },
        "static_resources": {
            "listeners": listeners,
            "clusters": clusters,
            "secrets": secrets.into_values().collect::<Vec<_>>(),
        },
    })))
}

fn inline_endpoints(cluster: &mut Value, plan: &ProxyPlan) -> Result<(), PrintError> {
    let Some(fields) = cluster.as_object_mut() else {
        return Ok(());
    };
    if fields.remove("eds_cluster_config").is_none() {
        return Ok(());
    }
    // An absent type is STATIC.
    fields.remove("type");
    let name = fields
        .get("name")
        .and_then(Value::as_str)
        .unwrap_or_default();
    let endpoints = match plan.endpoints.get(name) {
        Some(endpoints) => print::message(&crate::load_assignment(endpoints), Redaction::Hide)?,
        None => json!({ "cluster_name": name }),
    };
    fields.insert("load_assignment".to_owned(), endpoints);
    Ok(())
}

fn inline_routes(value: &mut Value, routes: &BTreeMap<&str, Value>) {
    each_object(value, &mut |fields| {
        let Some(rds) = fields.remove("rds") else {
            return;
        };
        let name = rds["route_config_name"].as_str().unwrap_or_default();
        let routes = routes.get(name).cloned();
        let routes = routes.unwrap_or_else(|| json!({ "name": name }));
        fields.insert("route_config".to_owned(), routes);
    });
}

/// A reference to a secret without a source means a static one.
fn inline_secrets(value: &mut Value, secrets: &mut BTreeMap<String, Value>) {
    each_object(value, &mut |fields| {
        if let Some(Value::Array(references)) = fields.get_mut("tls_certificate_sds_secret_configs")
        {
            for reference in references {
                stand_in(
                    reference,
                    secrets,
                    "tls_certificate",
                    &json!({
                        "certificate_chain": inline(PLACEHOLDER_CERTIFICATE),
                        "private_key": inline(PLACEHOLDER_KEY),
                    }),
                );
            }
        }
        if let Some(reference) = fields.get_mut("validation_context_sds_secret_config") {
            stand_in(
                reference,
                secrets,
                "validation_context",
                &json!({
                    "trusted_ca": inline(PLACEHOLDER_CERTIFICATE),
                }),
            );
        }
    });
}

fn stand_in(
    reference: &mut Value,
    secrets: &mut BTreeMap<String, Value>,
    kind: &str,
    content: &Value,
) {
    let Some(fields) = reference.as_object_mut() else {
        return;
    };
    fields.remove("sds_config");
    let Some(name) = fields.get("name").and_then(Value::as_str) else {
        return;
    };
    secrets
        .entry(name.to_owned())
        .or_insert_with(|| json!({ "name": name, kind: content }));
}

fn each_object(value: &mut Value, visit: &mut dyn FnMut(&mut Map<String, Value>)) {
    match value {
        Value::Object(fields) => {
            visit(fields);
            for value in fields.values_mut() {
                each_object(value, visit);
            }
        }
        Value::Array(items) => {
            for item in items {
                each_object(item, visit);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}
