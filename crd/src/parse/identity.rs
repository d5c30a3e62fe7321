//! Which kind a document is of, and whether it is of interest.

use super::at_root;
use crate::object::Kind;
use crate::tree::de::{Problem, nearest};
use crate::tree::{Node, Value};

/// What a document is.
pub(super) enum Identity {
    Known(Kind),
    Ignored { message: String },
    Unsupported { message: String },
}

/// Groups, their served versions and the kinds of each that we read.
const SERVED: &[(&str, &[&str], &[Kind])] = &[
    (
        "networking.istio.io",
        &["v1", "v1beta1", "v1alpha3"],
        &[
            Kind::Gateway,
            Kind::VirtualService,
            Kind::ServiceEntry,
            Kind::DestinationRule,
            Kind::Sidecar,
            Kind::WorkloadEntry,
        ],
    ),
    (
        "security.istio.io",
        &["v1", "v1beta1"],
        &[
            Kind::AuthorizationPolicy,
            Kind::RequestAuthentication,
            Kind::PeerAuthentication,
        ],
    ),
    (
        "telemetry.istio.io",
        &["v1", "v1alpha1"],
        &[Kind::Telemetry],
    ),
    (
        "sluice.dev",
        &["v1alpha1"],
        &[
            Kind::EgressIPPool,
            Kind::EgressPolicy,
            Kind::ClusterEgressPolicy,
        ],
    ),
    (
        "",
        &["v1"],
        &[
            Kind::Service,
            Kind::Secret,
            Kind::Namespace,
            Kind::Pod,
            Kind::ConfigMap,
        ],
    ),
    ("discovery.k8s.io", &["v1"], &[Kind::EndpointSlice]),
];

/// Kinds of Istio's that change traffic, which we cannot follow.
const UNSUPPORTED: [&str; 2] = ["EnvoyFilter", "WasmPlugin"];

/// Kinds of Istio's that do not matter to egress.
const WITHOUT_EFFECT: [&str; 3] = ["WorkloadGroup", "ProxyConfig", "ServiceExportPolicy"];

/// The kind of a document. Items of a typed list (`VirtualServiceList`) may leave their type to it.
pub(super) fn identity(node: &Node, list: Option<&Node>) -> Result<Identity, Problem> {
    if !matches!(node.value, Value::Mapping(_)) {
        let message = "expected an object with apiVersion and kind".to_owned();
        return Err(at_root(node.at, "", message));
    }
    let from_list = list.filter(|list| text(list, "kind") != Ok(Some("List")));
    let kind = match (text(node, "kind")?, from_list) {
        (Some(kind), _) => kind,
        (None, Some(list)) => {
            let kind = text(list, "kind")?.unwrap_or_default();
            kind.strip_suffix("List").unwrap_or(kind)
        }
        (None, None) => return Err(missing(node, "kind")),
    };
    let api_version = match (text(node, "apiVersion")?, from_list) {
        (Some(api_version), _) => api_version,
        (None, Some(list)) => text(list, "apiVersion")?.unwrap_or_default(),
        (None, None) => return Err(missing(node, "apiVersion")),
    };
    let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
    let Some((_, versions, kinds)) = SERVED.iter().find(|(served, _, _)| *served == group) else {
        return Ok(other_kind(kind, api_version));
    };
    let Some(known) = kinds.iter().find(|known| known.name() == kind) else {
        return unknown_kind(node, group, kind, api_version, kinds);
    };
    if versions.contains(&version) {
        return Ok(Identity::Known(*known));
    }
    let at = node.get("apiVersion").map_or(node.at, |value| value.at);
    Err(at_root(
        at,
        "apiVersion",
        format!(
            "{kind} is not served as `{api_version}`, expected {}",
            served(group, versions)
        ),
    ))
}

/// A kind that a known group has and we do not read, or a misspelt one.
fn unknown_kind(
    node: &Node,
    group: &str,
    kind: &str,
    api_version: &str,
    kinds: &[Kind],
) -> Result<Identity, Problem> {
    let is_strict = group.ends_with(".istio.io") || group == "sluice.dev";
    if !is_strict || UNSUPPORTED.contains(&kind) || WITHOUT_EFFECT.contains(&kind) {
        return Ok(other_kind(kind, api_version));
    }
    let names: Vec<&str> = kinds.iter().map(|kind| kind.name()).collect();
    match nearest(kind, &names) {
        Some(name) => {
            let at = node.get("kind").map_or(node.at, |value| value.at);
            Err(at_root(
                at,
                "kind",
                format!("unknown kind `{kind}`, did you mean `{name}`?"),
            ))
        }
        None => Ok(other_kind(kind, api_version)),
    }
}

fn other_kind(kind: &str, api_version: &str) -> Identity {
    let group = api_version.split_once('/').map_or("", |(group, _)| group);
    if UNSUPPORTED.contains(&kind) && group.ends_with(".istio.io") {
        Identity::Unsupported {
            message: format!("{kind} is not supported, it has no effect"),
        }
    } else {
        Identity::Ignored {
            message: format!("{kind} of {api_version} is ignored"),
        }
    }
}

fn served(group: &str, versions: &[&str]) -> String {
    let slash = if group.is_empty() { "" } else { "/" };
    let names: Vec<String> = versions
        .iter()
        .map(|version| format!("`{group}{slash}{version}`"))
        .collect();
    names.join(" or ")
}

fn text<'a>(node: &'a Node, field: &str) -> Result<Option<&'a str>, Problem> {
    match node.get(field) {
        None
        | Some(Node {
            value: Value::Null, ..
        }) => Ok(None),
        Some(value) => match value.as_str() {
            Some("") => Ok(None),
            Some(text) => Ok(Some(text)),
            None => Err(at_root(value.at, field, format!("{field} is not a string"))),
        },
    }
}

fn missing(node: &Node, field: &str) -> Problem {
    at_root(node.at, field, format!("{field} is missing"))
}
