//! The mesh config: tolerant of Istio's fields, strict in our own block.

use std::borrow::Cow;
use std::sync::Arc;

use crate::core::config_map::ConfigMap;
use crate::diagnostic::{Diagnostic, Severity, code};
use crate::istio::mesh_config::{MeshConfig, OutboundTrafficPolicyMode};
use crate::object::Resource;
use crate::source::{Document, Location};
use crate::tree::de::{Problem, Unknown, nearest, read};
use crate::tree::path::{self, Path, Segment};
use crate::tree::{Node, Position, Value};
use crate::validate;

/// The key of the ConfigMap that holds the mesh config.
const KEY: &str = "mesh";

/// Reads a mesh config. A field that cannot be read keeps its default and is an error; fields of
/// Istio's that nothing acts on are listed as information.
pub fn mesh_config(file: &str, text: &str) -> (MeshConfig, Vec<Diagnostic>) {
    let document = Document::new(file.into(), 1, text);
    let placed = |at| Some(document.location(at));
    let root = match document.tree() {
        Ok(root) => root,
        Err(error) => {
            let problem = Problem {
                field: String::new(),
                at: error.at,
                message: error.message,
            };
            let diagnostic = finding(Severity::Error, code::SYNTAX, problem, &placed);
            return (MeshConfig::default(), vec![diagnostic]);
        }
    };
    let (mut config, mut diagnostics) = read_tolerantly(&root, &placed);
    for (field, message) in validate::mesh_config(&config) {
        if field == validate::ACCESS_LOG_FORMAT {
            config.access_log_format.clear();
        }
        let at = root.locate(&path::parse(&field));
        let problem = Problem { field, at, message };
        diagnostics.push(finding(Severity::Error, code::INVALID, problem, &placed));
    }
    (config, diagnostics)
}

/// Reads the mesh config of Istio's ConfigMap; none where the ConfigMap has no such key.
pub fn mesh_config_map(map: &Resource<ConfigMap>) -> Option<(MeshConfig, Vec<Diagnostic>)> {
    let text = map.spec.data.get(KEY)?;
    let file = map.source.as_ref().map_or("", |source| source.file());
    let (config, mut diagnostics) = mesh_config(file, text);
    let field = format!("data.{KEY}");
    for diagnostic in &mut diagnostics {
        diagnostic.object = Some(map.reference());
        diagnostic.location = match (&map.source, diagnostic.location.take()) {
            (Some(source), Some(inner)) => Some(source.locate_in_block(
                &field,
                Position {
                    line: inner.line,
                    column: inner.column,
                },
            )),
            _ => None,
        };
    }
    Some((config, diagnostics))
}

/// Leaves out one unreadable top-level field after the other.
fn read_tolerantly(
    root: &Arc<Node>,
    placed: &impl Fn(Position) -> Option<Location>,
) -> (MeshConfig, Vec<Diagnostic>) {
    let mut node = Node::clone(root);
    let mut diagnostics = Vec::new();
    if matches!(node.value, Value::Null) {
        return (MeshConfig::default(), diagnostics);
    }
    diagnostics.extend(
        super::duplicate_keys(&node)
            .into_iter()
            .map(|problem| finding(Severity::Error, code::SYNTAX, problem, placed)),
    );
    if let Value::Mapping(entries) = &mut node.value {
        let doubled: Vec<String> = diagnostics
            .iter()
            .filter_map(|diagnostic| first_key(&diagnostic.field))
            .collect();
        entries.retain(|entry| !doubled.contains(&entry.key));
    }
    loop {
        let (config, mut problems) = read::<MeshConfig>(&node, &Path::Root, Unknown::Report);
        if let Some(config) = config {
            diagnostics.extend(problems.into_iter().map(|problem| unknown(problem, placed)));
            diagnostics.extend(without_effect(&node, &config, placed));
            return (config, diagnostics);
        }
        let problem = problems
            .pop()
            .expect("a value that cannot be read has a problem");
        let bad = first_key(&problem.field);
        diagnostics.push(finding(Severity::Error, code::SCHEMA, problem, placed));
        match (&mut node.value, bad) {
            (Value::Mapping(entries), Some(bad)) => entries.retain(|entry| entry.key != bad),
            _ => return (MeshConfig::default(), diagnostics),
        }
    }
}

/// What is read, and not acted upon yet.
fn without_effect(
    node: &Node,
    config: &MeshConfig,
    placed: &impl Fn(Position) -> Option<Location>,
) -> Vec<Diagnostic> {
    let opened = match config.outbound_traffic_policy.mode {
        OutboundTrafficPolicyMode::RegistryOnly => None,
        OutboundTrafficPolicyMode::AllowAny | OutboundTrafficPolicyMode::AllowAnyDynamicDns => {
            let message = "accepted, not in effect: what no object allows is denied";
            Some((Severity::Warning, "outboundTrafficPolicy.mode", message))
        }
    };
    let set = NOT_READ
        .into_iter()
        .filter(|field| node.get(field).is_some());
    set.map(|field| (Severity::Info, field, "accepted, not in effect"))
        .chain(opened)
        .map(|(severity, field, message)| {
            let problem = Problem {
                field: field.to_owned(),
                at: node.locate(&path::parse(field)),
                message: message.to_owned(),
            };
            finding(severity, code::NOT_IN_EFFECT, problem, placed)
        })
        .collect()
}

fn first_key(field: &str) -> Option<String> {
    match path::parse(field).into_iter().next() {
        Some(Segment::Key(key)) => Some(key),
        _ => None,
    }
}

/// A field that [`MeshConfig`] lacks: Istio's, ours but misspelt, or nobody's.
fn unknown(problem: Problem, placed: &impl Fn(Position) -> Option<Location>) -> Diagnostic {
    let field = problem.field.as_str();
    if field.starts_with("sluice.") {
        return finding(Severity::Error, code::SCHEMA, problem, placed);
    }
    if ISTIO_FIELDS.contains(&field) {
        let message = "accepted, not in effect".to_owned();
        return finding(
            Severity::Info,
            code::NOT_IN_EFFECT,
            Problem { message, ..problem },
            placed,
        );
    }
    let message = match nearest(field, &ISTIO_FIELDS) {
        Some(name) => format!("unknown field `{field}`, did you mean `{name}`?"),
        None => problem.message.clone(),
    };
    finding(
        Severity::Warning,
        code::SCHEMA,
        Problem { message, ..problem },
        placed,
    )
}

fn finding(
    severity: Severity,
    code: &'static str,
    problem: Problem,
    placed: &impl Fn(Position) -> Option<Location>,
) -> Diagnostic {
    Diagnostic {
        object: None,
        field: problem.field,
        severity,
        code: Cow::Borrowed(code),
        message: problem.message,
        location: placed(problem.at),
    }
}

/// Fields of [`MeshConfig`] that nothing reads yet.
const NOT_READ: [&str; 5] = [
    "protocolDetectionTimeout",
    "tcpKeepalive",
    "dnsRefreshRate",
    "defaultTrafficPolicy",
    "pathNormalization",
];

/// Fields of Istio's MeshConfig that [`MeshConfig`] has no place for.
const ISTIO_FIELDS: [&str; 34] = [
    "ca",
    "caCertificates",
    "certificates",
    "configSources",
    "defaultConfig",
    "defaultProviders",
    "disableEnvoyListenerLog",
    "discoverySelectors",
    "enableAutoMtls",
    "enableEnvoyAccessLogService",
    "enablePrometheusMerge",
    "enableTracing",
    "extensionProviders",
    "h2UpgradePolicy",
    "hboneIdleTimeout",
    "inboundClusterStatName",
    "inboundTrafficPolicy",
    "ingressClass",
    "ingressControllerMode",
    "ingressSelector",
    "ingressService",
    "localityLbSetting",
    "meshMTLS",
    "outboundClusterStatName",
    "outboundTrafficPolicy.tls",
    "proxyHttpPort",
    "proxyInboundListenPort",
    "proxyListenPort",
    "serviceEntryVisibility",
    "serviceScopeConfigs",
    "serviceSettings",
    "tlsDefaults",
    "verifyCertificateAtClient",
    "zoneAwareLbSetting",
];

#[cfg(test)]
mod tests;
