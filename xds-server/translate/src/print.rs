//! Envoy messages as JSON, for people and for Envoy itself.
//!
//! Field names are those of the protobuf files, keys are sorted, nested messages are resolved, and
//! key material is shown only on demand.

use std::sync::LazyLock;

use prost::{Message, Name};
use prost_reflect::{DescriptorPool, DynamicMessage, SerializeOptions};
use serde_json::{Map, Value};

use crate::resources::{Kind, Rendered};

/// What becomes of key material.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Redaction {
    /// `[redacted]` in its place.
    #[default]
    Hide,
    /// A key and certificate that are good for nothing, so that Envoy still validates the output.
    Placeholder,
    /// As it is.
    Show,
}

/// Why bytes have no JSON.
#[derive(Debug, thiserror::Error)]
pub enum PrintError {
    /// Not a type of Envoy's that this build knows.
    #[error("unknown message type {0}")]
    UnknownType(String),
    /// The bytes are not such a message.
    #[error("bytes are no message of type {0}")]
    Decode(String, #[source] prost::DecodeError),
    /// The message has no JSON form, as with an `Any` of unknown type within.
    #[error("message of type {0} has no JSON form")]
    Json(String, #[source] serde_json::Error),
}

/// A resource as JSON.
pub fn resource(rendered: &Rendered, redaction: Redaction) -> Result<Value, PrintError> {
    let type_url = rendered.kind.type_url();
    let json = bytes(full_name(&type_url), &rendered.body)?;
    Ok(redacted(json, redaction))
}

/// A message as JSON.
pub fn message<M: Message + Name>(message: &M, redaction: Redaction) -> Result<Value, PrintError> {
    let json = bytes(&M::full_name(), &message.encode_to_vec())?;
    Ok(redacted(json, redaction))
}

/// All resources of a proxy, by kind, as `{"clusters": [...], "listeners": [...], ...}`.
pub fn resources<'a>(
    set: impl IntoIterator<Item = &'a Rendered>,
    redaction: Redaction,
) -> Result<Value, PrintError> {
    let mut by_kind = Map::new();
    for rendered in set {
        let list = by_kind
            .entry(plural(rendered.kind))
            .or_insert_with(|| Value::Array(Vec::new()));
        if let Value::Array(list) = list {
            list.push(resource(rendered, redaction)?);
        }
    }
    Ok(Value::Object(by_kind))
}

fn plural(kind: Kind) -> &'static str {
    match kind {
        Kind::Cluster => "clusters",
        Kind::Endpoints => "endpoints",
        Kind::Listener => "listeners",
        Kind::Route => "routes",
        Kind::Secret => "secrets",
    }
}

/// Loading takes 0.1 s in a debug build, so once.
static POOL: LazyLock<DescriptorPool> = LazyLock::new(|| {
    DescriptorPool::decode(include_bytes!(concat!(env!("OUT_DIR"), "/envoy.bin")).as_slice())
        .expect("the build script wrote what it had decoded")
});

fn bytes(name: &str, bytes: &[u8]) -> Result<Value, PrintError> {
    let descriptor = POOL
        .get_message_by_name(name)
        .ok_or_else(|| PrintError::UnknownType(name.to_owned()))?;
    let message = DynamicMessage::decode(descriptor, bytes)
        .map_err(|error| PrintError::Decode(name.to_owned(), error))?;
    let options = SerializeOptions::new()
        .use_proto_field_name(true)
        .stringify_64_bit_integers(false);
    message
        .serialize_with_options(serde_json::value::Serializer, &options)
        .map(sorted)
        .map_err(|error| PrintError::Json(name.to_owned(), error))
}

fn full_name(type_url: &str) -> &str {
    type_url.rsplit('/').next().unwrap_or(type_url)
}

/// The maps of a JSON value are ordered only as long as no crate of the build asks otherwise.
pub(crate) fn sorted(value: Value) -> Value {
    match value {
        Value::Object(object) => {
            let mut entries: Vec<_> = object.into_iter().map(|(k, v)| (k, sorted(v))).collect();
            entries.sort_by(|(a, _), (b, _)| a.cmp(b));
            Value::Object(entries.into_iter().collect())
        }
        Value::Array(items) => Value::Array(items.into_iter().map(sorted).collect()),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value,
    }
}

/// A certificate for nothing, and its key.
pub(crate) const PLACEHOLDER_CERTIFICATE: &str = include_str!("print/placeholder-certificate.pem");
pub(crate) const PLACEHOLDER_KEY: &str = include_str!("print/placeholder-key.pem");

fn redacted(mut value: Value, redaction: Redaction) -> Value {
    match redaction {
        Redaction::Show => {}
        Redaction::Hide => redact(&mut value, &|pair| {
            pair.insert("private_key".to_owned(), inline("[redacted]"));
        }),
        // Envoy checks that they belong together, so both are replaced.
        Redaction::Placeholder => redact(&mut value, &|pair| {
            pair.insert("private_key".to_owned(), inline(PLACEHOLDER_KEY));
            pair.insert(
                "certificate_chain".to_owned(),
                inline(PLACEHOLDER_CERTIFICATE),
            );
        }),
    }
    value
}

pub(crate) fn inline(text: &str) -> Value {
    serde_json::json!({ "inline_string": text })
}

/// Every message of Envoy's that holds a key calls it `private_key`.
fn redact(value: &mut Value, replace: &dyn Fn(&mut Map<String, Value>)) {
    match value {
        Value::Object(object) => {
            if object.contains_key("private_key") {
                replace(object);
            }
            for value in object.values_mut() {
                redact(value, replace);
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| redact(item, replace)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use sluice_plan::secret::{PrivateBytes, Secret, SecretContent};

    use super::*;

    fn printed(redaction: Redaction) -> String {
        let secret = crate::secret(&Secret {
            name: "kubernetes://partner".to_owned(),
            content: SecretContent::Certificate {
                chain: "CHAIN".into(),
                key: PrivateBytes(Arc::from(b"SESAME".as_slice())),
            },
        });
        message(&secret, redaction).unwrap().to_string()
    }

    #[test]
    fn a_key_is_shown_only_on_demand() {
        assert!(!printed(Redaction::Hide).contains("SESAME"));
        assert!(printed(Redaction::Hide).contains("[redacted]"));
        assert!(printed(Redaction::Hide).contains("CHAIN"));
        assert!(!printed(Redaction::Placeholder).contains("SESAME"));
        assert!(printed(Redaction::Placeholder).contains("BEGIN PRIVATE KEY"));
        assert!(printed(Redaction::Show).contains("SESAME"));
    }

    #[test]
    fn nested_messages_are_resolved() {
        let listener = sluice_plan::listener::Listener {
            name: "tunnel_client".to_owned(),
            role: sluice_plan::listener::Role::TunnelClient {
                to: "gateways".to_owned(),
            },
            chains: Vec::new(),
            otherwise: None,
            server_first_ports: Vec::new(),
            access_log: Default::default(),
        };
        let json = message(&crate::listener(&listener), Redaction::Hide).unwrap();

        assert_eq!(
            json["filter_chains"][0]["filters"][0]["typed_config"]["cluster"],
            "gateways"
        );
    }
}
