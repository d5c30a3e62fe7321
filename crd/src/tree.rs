//! A YAML or JSON document as a tree that knows where each key and value stands.
//!
//! Typed values are read from the tree ([`de`]), so that every error has a field and a place, and
//! places are looked up in it later, when a diagnostic about the object is made.

pub(crate) mod de;
pub(crate) mod path;

use std::fmt;

use serde::de::{self as serde_de, Deserialize, Deserializer, MapAccess, SeqAccess};
use serde_saphyr::{DuplicateKeyPolicy, Options, Spanned, budget, options};

use path::Segment;

/// A line and a column, from 1, within the document's text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Position {
    pub(crate) line: u32,
    pub(crate) column: u32,
}

impl Position {
    pub(crate) const START: Self = Self { line: 1, column: 1 };
}

impl From<serde_saphyr::Location> for Position {
    fn from(location: serde_saphyr::Location) -> Self {
        let at_least_one = |number: u64| u32::try_from(number).unwrap_or(u32::MAX).max(1);
        Self {
            line: at_least_one(location.line()),
            column: at_least_one(location.column()),
        }
    }
}

/// A value and its place.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub(crate) at: Position,
    pub(crate) value: Value,
}

/// A value.
#[derive(Clone, Debug)]
pub(crate) enum Value {
    Null,
    Bool(bool),
    Signed(i64),
    Unsigned(u64),
    Float(f64),
    String(String),
    Sequence(Vec<Node>),
    /// Every entry in order, repeated keys included.
    Mapping(Vec<Entry>),
}

/// A key and its value.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) key: String,
    pub(crate) at: Position,
    pub(crate) node: Node,
}

/// Text that is no YAML.
#[derive(Clone, Debug)]
pub(crate) struct SyntaxError {
    pub(crate) at: Position,
    pub(crate) message: String,
}

impl Node {
    /// Reads one document.
    pub(crate) fn parse(text: &str) -> Result<Self, SyntaxError> {
        serde_saphyr::from_str_with_options::<Spanned<Value>>(text, parse_options(text.len()))
            .map(Self::from)
            .map_err(|error| SyntaxError {
                at: error.location().map_or(Position::START, Position::from),
                message: plain_message(&error),
            })
    }

    /// The value under a key, if this is a mapping that has it.
    pub(crate) fn get(&self, key: &str) -> Option<&Self> {
        self.entry(key).map(|entry| &entry.node)
    }

    pub(crate) fn entry(&self, key: &str) -> Option<&Entry> {
        match &self.value {
            Value::Mapping(entries) => entries.iter().find(|entry| entry.key == key),
            _ => None,
        }
    }

    pub(crate) fn as_str(&self) -> Option<&str> {
        match &self.value {
            Value::String(text) => Some(text),
            _ => None,
        }
    }

    /// Where the field stands, or its nearest ancestor that exists: a scalar where it begins, a
    /// mapping or list at its key, an item of a list where the item begins.
    pub(crate) fn locate(&self, path: &[Segment]) -> Position {
        let (mut node, mut at) = (self, self.at);
        for segment in path {
            let next = match (segment, &node.value) {
                (Segment::Key(key), Value::Mapping(_)) => node.entry(key).map(|entry| {
                    let inner = &entry.node.value;
                    let is_block =
                        matches!(inner, Value::Mapping(_) | Value::Sequence(_) | Value::Null);
                    (&entry.node, if is_block { entry.at } else { entry.node.at })
                }),
                (Segment::Index(index), Value::Sequence(items)) => {
                    items.get(*index).map(|item| (item, item.at))
                }
                _ => None,
            };
            let Some(next) = next else { break };
            (node, at) = next;
        }
        at
    }

    /// Where the key of a field stands, if the field is there.
    pub(crate) fn locate_key(&self, path: &[Segment]) -> Option<Position> {
        let (last, parents) = path.split_last()?;
        let mut node = self;
        for segment in parents {
            node = match (segment, &node.value) {
                (Segment::Key(key), _) => node.get(key)?,
                (Segment::Index(index), Value::Sequence(items)) => items.get(*index)?,
                (Segment::Index(_), _) => return None,
            };
        }
        match last {
            Segment::Key(key) => node.entry(key).map(|entry| entry.at),
            Segment::Index(_) => None,
        }
    }
}

impl From<Spanned<Value>> for Node {
    fn from(spanned: Spanned<Value>) -> Self {
        Self {
            at: spanned.referenced.into(),
            value: spanned.value,
        }
    }
}

/// Numbers and booleans as kubectl reads them, duplicate keys kept so that they can be reported
/// by place, and limits that grow with the text but stop aliases that expand without end.
fn parse_options(text_length: usize) -> Options {
    let nodes = text_length.max(250_000);
    options! {
        duplicate_keys: DuplicateKeyPolicy::PassThrough,
        legacy_octal_numbers: true,
        with_snippet: false,
        budget: budget! {
            max_events: nodes.saturating_mul(4),
            max_nodes: nodes.saturating_mul(2),
            max_total_scalar_bytes: text_length.saturating_mul(2).max(64 << 20),
        },
    }
}

/// The first line of the parser's message, without its own form of the place.
fn plain_message(error: &serde_saphyr::Error) -> String {
    let message = error.without_snippet().to_string();
    let line = message.lines().next().unwrap_or_default();
    let line = line.split(" at line ").next().unwrap_or(line);
    let line = line
        .strip_prefix("error: ")
        .unwrap_or(line)
        .trim_end_matches('.');
    format!("invalid YAML: {line}")
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ValueVisitor)
    }
}

struct ValueVisitor;

impl<'de> serde_de::Visitor<'de> for ValueVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_none<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        Value::deserialize(deserializer)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Signed(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(i64::try_from(value).map_or(Value::Unsigned(value), Value::Signed))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Value::Float(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = access.next_element::<Spanned<Value>>()? {
            items.push(item.into());
        }
        Ok(Value::Sequence(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let mut entries = Vec::new();
        while let Some(key) = access.next_key::<Spanned<String>>()? {
            let node = access.next_value::<Spanned<Value>>()?.into();
            entries.push(Entry {
                at: key.referenced.into(),
                key: key.value,
                node,
            });
        }
        Ok(Value::Mapping(entries))
    }
}
