//! From text to objects: YAML in several documents, JSON, `List`s, of every served version.
//!
//! A document that is wrong is reported and left out; the others of its file stay.

mod identity;
mod mesh;
mod split;

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::sync::Arc;

use serde::Deserialize;
use serde::de::DeserializeOwned;

pub use mesh::{mesh_config, mesh_config_map};

use crate::diagnostic::{Diagnostic, Severity, code};
use crate::inert;
use crate::istio::service_entry::{AllocatedAddress, ServiceEntry};
use crate::object::{Kind, Meta, Object, ObjectRef, Resource, Spec};
use crate::source::{Document, Source};
use crate::tree::de::{Problem, Unknown, nearest, read};
use crate::tree::path::{Path, Segment};
use crate::tree::{Node, Position, Value};
use crate::validate;
use identity::Identity;

/// What a text holds.
#[derive(Clone, Debug, Default)]
pub struct Parsed {
    /// The objects that may be used, in the order of the text.
    pub objects: Vec<Object>,
    /// Everything there is to say, in the order of the text.
    pub diagnostics: Vec<Diagnostic>,
}

impl Parsed {
    /// Whether something is wrong.
    pub fn has_errors(&self) -> bool {
        self.diagnostics.iter().any(Diagnostic::is_error)
    }
}

/// Reads every object of a text. `file` is only for the places of diagnostics; objects of
/// namespaced kinds that name no namespace get the default one.
pub fn parse(file: &str, text: &str, default_namespace: &str) -> Parsed {
    let file: Arc<str> = file.into();
    let mut parsed = Parsed::default();
    for (first_line, text) in split::documents(text.strip_prefix('\u{feff}').unwrap_or(text)) {
        let document = Arc::new(Document::new(Arc::clone(&file), first_line, text));
        match document.tree() {
            Ok(root) => {
                let place = Place {
                    document: &document,
                    prefix: Vec::new(),
                    default_namespace,
                };
                place.objects(&root, &mut parsed);
            }
            Err(error) => parsed.diagnostics.push(Diagnostic {
                object: None,
                field: String::new(),
                severity: Severity::Error,
                code: Cow::Borrowed(code::SYNTAX),
                message: error.message,
                location: Some(document.location(error.at)),
            }),
        }
        document.forget_tree();
    }
    parsed
}

/// Where in a text an object stands.
struct Place<'a> {
    document: &'a Arc<Document>,
    prefix: Vec<Segment>,
    default_namespace: &'a str,
}

impl Place<'_> {
    /// Reads the object or the `List` at `node`.
    fn objects(&self, node: &Node, parsed: &mut Parsed) {
        if matches!(node.value, Value::Null) {
            return;
        }
        let Some(items) = list_items(node) else {
            let outcome = self.object(node, None);
            parsed.objects.extend(outcome.object);
            parsed.diagnostics.extend(outcome.diagnostics);
            return;
        };
        for (index, item) in items.iter().enumerate() {
            let mut prefix = self.prefix.clone();
            prefix.extend([Segment::Key("items".to_owned()), Segment::Index(index)]);
            let place = Place { prefix, ..*self };
            if list_items(item).is_some() {
                // The depth of the tree bounds this: the YAML parser refuses deep nesting.
                place.objects(item, parsed);
            } else {
                let outcome = place.object(item, Some(node));
                parsed.objects.extend(outcome.object);
                parsed.diagnostics.extend(outcome.diagnostics);
            }
        }
    }

    fn object(&self, node: &Node, list: Option<&Node>) -> Outcome {
        let mut outcome = Outcome::default();
        let identity = match identity::identity(node, list) {
            Ok(identity) => identity,
            Err(problem) => {
                outcome.report(self, None, code::IDENTITY, problem);
                return outcome;
            }
        };
        let kind = match identity {
            Identity::Known(kind) => kind,
            Identity::Ignored { message } => {
                outcome.note(self, node, Severity::Info, code::IGNORED_KIND, message);
                return outcome;
            }
            Identity::Unsupported { message } => {
                outcome.note(
                    self,
                    node,
                    Severity::Warning,
                    code::UNSUPPORTED_KIND,
                    message,
                );
                return outcome;
            }
        };
        let meta = match self.meta(node, kind) {
            Ok(meta) => meta,
            Err(problem) => {
                outcome.report(self, None, code::IDENTITY, problem);
                return outcome;
            }
        };
        let reference = ObjectRef {
            kind,
            namespace: meta.namespace.clone(),
            name: meta.name.clone(),
        };
        let duplicates = duplicate_keys(node);
        if !duplicates.is_empty() {
            for problem in duplicates {
                outcome.report(self, Some(&reference), code::SYNTAX, problem);
            }
            return outcome;
        }
        let (object, problems) = self.typed(node, kind, meta);
        for problem in problems {
            outcome.report(self, Some(&reference), code::SCHEMA, problem);
        }
        let Some(object) = object.filter(|_| outcome.diagnostics.is_empty()) else {
            return outcome;
        };
        outcome.diagnostics = validate::validate(&object);
        if !outcome.diagnostics.iter().any(Diagnostic::is_error) {
            outcome.diagnostics.extend(inert::not_in_effect(&object));
            outcome.object = Some(object);
        }
        outcome
    }

    fn meta(&self, node: &Node, kind: Kind) -> Result<Meta, Problem> {
        let path = Path::Key(&Path::Root, "metadata");
        let Some(metadata) = node.get("metadata") else {
            return Err(Problem {
                field: path.to_string(),
                at: node.at,
                message: format!("{kind} has no metadata"),
            });
        };
        let (meta, problems) = read::<Meta>(metadata, &path, Unknown::Accept);
        let Some(mut meta) = meta else {
            let problem = problems.into_iter().next();
            return Err(problem.expect("a value that cannot be read has a problem"));
        };
        if meta.name.is_empty() {
            return Err(Problem {
                field: "metadata.name".to_owned(),
                at: node.entry("metadata").map_or(node.at, |entry| entry.at),
                message: format!("{kind} has no name"),
            });
        }
        if !kind.is_namespaced() {
            meta.namespace.clear();
        } else if meta.namespace.is_empty() {
            self.default_namespace.clone_into(&mut meta.namespace);
        }
        Ok(meta)
    }

    fn typed(&self, node: &Node, kind: Kind, meta: Meta) -> (Option<Object>, Vec<Problem>) {
        match kind {
            Kind::Gateway => self.istio::<crate::istio::gateway::Gateway>(node, meta),
            Kind::VirtualService => {
                self.istio::<crate::istio::virtual_service::VirtualService>(node, meta)
            }
            Kind::ServiceEntry => self.service_entry(node, meta),
            Kind::DestinationRule => {
                self.istio::<crate::istio::destination_rule::DestinationRule>(node, meta)
            }
            Kind::Sidecar => self.istio::<crate::istio::sidecar::Sidecar>(node, meta),
            Kind::WorkloadEntry => {
                self.istio::<crate::istio::workload_entry::WorkloadEntry>(node, meta)
            }
            Kind::AuthorizationPolicy => {
                self.istio::<crate::istio::authorization_policy::AuthorizationPolicy>(node, meta)
            }
            Kind::RequestAuthentication => {
                self.istio::<crate::istio::request_authentication::RequestAuthentication>(
                    node, meta,
                )
            }
            Kind::PeerAuthentication => {
                self.istio::<crate::istio::peer_authentication::PeerAuthentication>(node, meta)
            }
            Kind::Telemetry => self.istio::<crate::istio::telemetry::Telemetry>(node, meta),
            Kind::EgressIPPool => {
                self.istio::<crate::sluice::egress_ip_pool::EgressIPPool>(node, meta)
            }
            Kind::EgressPolicy => {
                self.istio::<crate::sluice::egress_policy::EgressPolicy>(node, meta)
            }
            Kind::ClusterEgressPolicy => {
                self.istio::<crate::sluice::egress_policy::ClusterEgressPolicy>(node, meta)
            }
            Kind::Service => self.core::<crate::core::service::Service>(node, meta),
            Kind::EndpointSlice => {
                self.core::<crate::core::endpoint_slice::EndpointSlice>(node, meta)
            }
            Kind::Secret => self.core::<crate::core::secret::Secret>(node, meta),
            Kind::Namespace => self.core::<crate::core::namespace::Namespace>(node, meta),
            Kind::Pod => self.core::<crate::core::pod::Pod>(node, meta),
            Kind::ConfigMap => self.core::<crate::core::config_map::ConfigMap>(node, meta),
        }
    }

    /// A kind of Istio's or our own: strict, and what it says is under `spec`.
    fn istio<T>(&self, node: &Node, meta: Meta) -> (Option<Object>, Vec<Problem>)
    where
        T: Spec + DeserializeOwned + Default,
        Object: From<Resource<T>>,
    {
        let (spec, problems) = strict_spec(node);
        (spec.map(|spec| self.resource::<T>(meta, spec)), problems)
    }

    fn service_entry(&self, node: &Node, meta: Meta) -> (Option<Object>, Vec<Problem>) {
        let (spec, problems) = strict_spec::<ServiceEntry>(node);
        let spec = spec.map(|spec| ServiceEntry {
            allocated_addresses: allocated(node),
            ..spec
        });
        (spec.map(|spec| self.resource(meta, spec)), problems)
    }

    /// A kind of Kubernetes' own: tolerant, and read from the whole object.
    fn core<T>(&self, node: &Node, meta: Meta) -> (Option<Object>, Vec<Problem>)
    where
        T: Spec + DeserializeOwned,
        Object: From<Resource<T>>,
    {
        let (spec, problems) = read::<T>(node, &Path::Root, Unknown::Accept);
        (spec.map(|spec| self.resource(meta, spec)), problems)
    }

    fn resource<T>(&self, meta: Meta, spec: T) -> Object
    where
        Object: From<Resource<T>>,
    {
        let source = Source::new(Arc::clone(self.document), self.prefix.clone());
        Object::from(Resource {
            meta,
            spec,
            source: Some(source),
        })
    }
}

/// What became of one document or item.
#[derive(Default)]
struct Outcome {
    object: Option<Object>,
    diagnostics: Vec<Diagnostic>,
}

impl Outcome {
    fn report(
        &mut self,
        place: &Place<'_>,
        object: Option<&ObjectRef>,
        code: &'static str,
        problem: Problem,
    ) {
        self.diagnostics.push(Diagnostic {
            object: object.cloned(),
            field: problem.field,
            severity: Severity::Error,
            code: Cow::Borrowed(code),
            message: problem.message,
            location: Some(place.document.location(problem.at)),
        });
    }

    fn note(
        &mut self,
        place: &Place<'_>,
        node: &Node,
        severity: Severity,
        code: &'static str,
        message: String,
    ) {
        let at = node.get("kind").map_or(node.at, |kind| kind.at);
        self.diagnostics.push(Diagnostic {
            object: None,
            field: "kind".to_owned(),
            severity,
            code: Cow::Borrowed(code),
            message,
            location: Some(place.document.location(at)),
        });
    }
}

/// The items, if this is a `List` of any kind.
fn list_items(node: &Node) -> Option<&[Node]> {
    let kind = node.get("kind")?.as_str()?;
    match &node.get("items")?.value {
        Value::Sequence(items) if kind.ends_with("List") => Some(items),
        Value::Null if kind.ends_with("List") => Some(&[]),
        _ => None,
    }
}

const TOP_LEVEL_FIELDS: [&str; 5] = ["apiVersion", "kind", "metadata", "spec", "status"];

fn strict_spec<T: DeserializeOwned + Default>(node: &Node) -> (Option<T>, Vec<Problem>) {
    let mut problems = unknown_top_level_fields(node);
    let (spec, more) = match node.get("spec") {
        None
        | Some(Node {
            value: Value::Null, ..
        }) => (Some(T::default()), Vec::new()),
        Some(spec) => read(spec, &Path::Key(&Path::Root, "spec"), Unknown::Report),
    };
    problems.extend(more);
    (spec, problems)
}

fn unknown_top_level_fields(node: &Node) -> Vec<Problem> {
    let Value::Mapping(entries) = &node.value else {
        return Vec::new();
    };
    entries
        .iter()
        .filter(|entry| !TOP_LEVEL_FIELDS.contains(&entry.key.as_str()))
        .map(|entry| Problem {
            field: Path::Key(&Path::Root, &entry.key).to_string(),
            at: entry.at,
            message: match nearest(&entry.key, &TOP_LEVEL_FIELDS) {
                Some(name) => format!("unknown field `{}`, did you mean `{name}`?", entry.key),
                None => format!("unknown field `{}`, does it belong into spec?", entry.key),
            },
        })
        .collect()
}

/// `status.addresses`, which the API server checked; a status of another shape has none.
fn allocated(node: &Node) -> Vec<AllocatedAddress> {
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Status {
        addresses: Vec<AllocatedAddress>,
    }
    let Some(status) = node.get("status") else {
        return Vec::new();
    };
    let (status, _) = read::<Status>(status, &Path::Root, Unknown::Accept);
    status.unwrap_or_default().addresses
}

/// Every key that its mapping holds already.
fn duplicate_keys(node: &Node) -> Vec<Problem> {
    fn visit(node: &Node, path: &Path<'_>, problems: &mut Vec<Problem>) {
        match &node.value {
            Value::Sequence(items) => {
                for (index, item) in items.iter().enumerate() {
                    visit(item, &Path::Index(path, index), problems);
                }
            }
            Value::Mapping(entries) => {
                let mut seen = BTreeSet::new();
                for entry in entries {
                    let path = Path::Key(path, &entry.key);
                    if !seen.insert(entry.key.as_str()) {
                        problems.push(Problem {
                            field: path.to_string(),
                            at: entry.at,
                            message: format!("key `{}` is there twice", entry.key),
                        });
                    }
                    visit(&entry.node, &path, problems);
                }
            }
            Value::Null
            | Value::Bool(_)
            | Value::Signed(_)
            | Value::Unsigned(_)
            | Value::Float(_)
            | Value::String(_) => {}
        }
    }
    let mut problems = Vec::new();
    visit(node, &Path::Root, &mut problems);
    problems
}

/// A problem at the root of a document.
fn at_root(at: Position, field: &str, message: String) -> Problem {
    Problem {
        field: field.to_owned(),
        at,
        message,
    }
}

#[cfg(test)]
mod tests;
