//! Reads typed values from a tree, with every problem at its place.
//!
//! serde tells us the fields that a struct knows, so unknown ones are found here, all of them,
//! and with the nearest known name. A `null` field counts as absent, as in Istio and Kubernetes.

use std::cell::RefCell;
use std::fmt;

use serde::de::{
    self, DeserializeOwned, DeserializeSeed, Deserializer, Expected, MapAccess, SeqAccess,
    Unexpected, Visitor,
};
use serde::forward_to_deserialize_any;

mod scalar;

use scalar::{Key, UnitVariant};

use super::path::Path;
use super::{Entry, Node, Position, Value};

/// What is wrong with a document, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Problem {
    pub(crate) field: String,
    pub(crate) at: Position,
    pub(crate) message: String,
}

/// Whether fields that the type does not know are problems.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unknown {
    Accept,
    Report,
}

/// Reads a value from the node that stands at `path`. The value may come with problems (unknown
/// fields), and is absent only if one of the problems made it unreadable.
pub(crate) fn read<T: DeserializeOwned>(
    node: &Node,
    path: &Path<'_>,
    unknown: Unknown,
) -> (Option<T>, Vec<Problem>) {
    let unknown_fields = RefCell::new(Vec::new());
    let reader = Reader {
        node,
        path: *path,
        unknown: (unknown == Unknown::Report).then_some(&unknown_fields),
    };
    let result = T::deserialize(reader);
    let mut problems = unknown_fields.into_inner();
    match result {
        Ok(value) => (Some(value), problems),
        Err(error) => {
            problems.push(error.placed(node, path));
            (None, problems)
        }
    }
}

/// An error on its way up; the innermost node that it passes gives it its place.
#[derive(Debug)]
pub(crate) struct Error {
    message: String,
    place: Option<(String, Position)>,
}

impl Error {
    fn at(mut self, node: &Node, path: &Path<'_>) -> Self {
        self.place
            .get_or_insert_with(|| (path.to_string(), node.at));
        self
    }

    fn placed(self, node: &Node, path: &Path<'_>) -> Problem {
        let (field, at) = self.place.unwrap_or_else(|| (path.to_string(), node.at));
        Problem {
            field,
            at,
            message: self.message,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {}

impl de::Error for Error {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self {
            message: message.to_string(),
            place: None,
        }
    }

    fn invalid_type(unexpected: Unexpected<'_>, expected: &dyn Expected) -> Self {
        let expected = expected.to_string();
        let expected = match expected.as_str() {
            "u8" | "u16" | "u32" | "u64" | "i32" | "i64" => "an integer",
            "f64" => "a number",
            "identifier" | "variant identifier" => "a string",
            other if other.starts_with("struct ") || other == "a map" => "a mapping",
            "a sequence" => "a list",
            other => other,
        };
        let unexpected = match unexpected {
            Unexpected::Map => "a mapping".to_owned(),
            Unexpected::Seq => "a list".to_owned(),
            Unexpected::Unit => "null".to_owned(),
            // The value itself is left out: it may be long, and it may be a secret.
            Unexpected::Str(_) => "a string".to_owned(),
            Unexpected::Bool(_) => "a boolean".to_owned(),
            Unexpected::Signed(_) | Unexpected::Unsigned(_) => "an integer".to_owned(),
            Unexpected::Float(_) => "a number".to_owned(),
            other => other.to_string(),
        };
        Self::custom(format_args!("expected {expected}, found {unexpected}"))
    }

    fn invalid_value(unexpected: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::custom(format_args!(
            "{unexpected} is out of range, expected {expected}"
        ))
    }

    fn unknown_variant(variant: &str, expected: &'static [&'static str]) -> Self {
        let hint = match nearest(variant, expected) {
            Some(name) => format!("did you mean `{name}`?"),
            None => format!("expected one of {}", expected.join(", ")),
        };
        Self::custom(format_args!("unknown value `{variant}`, {hint}"))
    }
}

/// The known name that a person most likely meant.
pub(crate) fn nearest<'a>(name: &str, known: &[&'a str]) -> Option<&'a str> {
    let plain = |name: &str| name.replace(['_', '-'], "").to_lowercase();
    let wanted = plain(name);
    known
        .iter()
        .map(|known| (strsim::damerau_levenshtein(&wanted, &plain(known)), *known))
        .filter(|(distance, known)| *distance <= known.len().div_ceil(4).min(3))
        .min()
        .map(|(_, known)| known)
}

/// Reads one node.
#[derive(Clone, Copy)]
struct Reader<'a> {
    node: &'a Node,
    path: Path<'a>,
    unknown: Option<&'a RefCell<Vec<Problem>>>,
}

impl<'a> Reader<'a> {
    fn scalar<'de, V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match &self.node.value {
            Value::Null => visitor.visit_unit(),
            Value::Bool(value) => visitor.visit_bool(*value),
            Value::Signed(value) => visitor.visit_i64(*value),
            Value::Unsigned(value) => visitor.visit_u64(*value),
            Value::Float(value) => visitor.visit_f64(*value),
            Value::String(value) => visitor.visit_str(value),
            Value::Sequence(items) => visitor.visit_seq(Items {
                reader: self,
                items: items.iter().enumerate(),
            }),
            Value::Mapping(entries) => visitor.visit_map(Entries::new(self, entries, None)),
        }
        .map_err(|error| error.at(self.node, &self.path))
    }

    fn structure<'de, V: Visitor<'de>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        match &self.node.value {
            Value::Mapping(entries) => visitor
                .visit_map(Entries::new(self, entries, Some(fields)))
                .map_err(|error| error.at(self.node, &self.path)),
            // A list would be taken as the fields in order, which no one means.
            Value::Sequence(_) => Err(<Error as de::Error>::invalid_type(
                Unexpected::Seq,
                &"a mapping",
            )
            .at(self.node, &self.path)),
            _ => self.scalar(visitor),
        }
    }

    fn report_unknown(&self, entry: &Entry, fields: &'static [&'static str]) {
        let Some(problems) = self.unknown else { return };
        let hint = match nearest(&entry.key, fields) {
            Some(name) => format!(", did you mean `{name}`?"),
            None => String::new(),
        };
        problems.borrow_mut().push(Problem {
            field: Path::Key(&self.path, &entry.key).to_string(),
            at: entry.at,
            message: format!("unknown field `{}`{hint}", entry.key),
        });
    }
}

impl<'de> Deserializer<'de> for Reader<'_> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.scalar(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.node.value {
            Value::Null => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.structure(fields, visitor)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Error> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        match &self.node.value {
            Value::String(variant) => visitor.visit_enum(UnitVariant(variant)),
            _ => Err(self.wrong_type("a string")),
        }
        .map_err(|error| error.at(self.node, &self.path))
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_unit()
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf
        unit unit_struct seq tuple tuple_struct map identifier
    }
}

impl Reader<'_> {
    fn wrong_type(self, expected: &str) -> Error {
        let found = match &self.node.value {
            Value::Null => Unexpected::Unit,
            Value::Bool(value) => Unexpected::Bool(*value),
            Value::Signed(value) => Unexpected::Signed(*value),
            Value::Unsigned(value) => Unexpected::Unsigned(*value),
            Value::Float(value) => Unexpected::Float(*value),
            Value::String(value) => Unexpected::Str(value),
            Value::Sequence(_) => Unexpected::Seq,
            Value::Mapping(_) => Unexpected::Map,
        };
        <Error as de::Error>::invalid_type(found, &expected)
    }
}

struct Items<'a> {
    reader: Reader<'a>,
    items: std::iter::Enumerate<std::slice::Iter<'a, Node>>,
}

impl<'de> SeqAccess<'de> for Items<'_> {
    type Error = Error;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, Error> {
        let Some((index, node)) = self.items.next() else {
            return Ok(None);
        };
        let path = Path::Index(&self.reader.path, index);
        let unknown = self.reader.unknown;
        seed.deserialize(Reader {
            node,
            path,
            unknown,
        })
        .map(Some)
        .map_err(|error| error.at(node, &path))
    }
}

/// The entries of a mapping; of a struct's, where `fields` says which it knows.
struct Entries<'a> {
    reader: Reader<'a>,
    entries: std::slice::Iter<'a, Entry>,
    fields: Option<&'static [&'static str]>,
    value_of: Option<&'a Entry>,
}

impl<'a> Entries<'a> {
    fn new(
        reader: Reader<'a>,
        entries: &'a [Entry],
        fields: Option<&'static [&'static str]>,
    ) -> Self {
        Self {
            reader,
            entries: entries.iter(),
            fields,
            value_of: None,
        }
    }
}

impl<'de> MapAccess<'de> for Entries<'_> {
    type Error = Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, Error> {
        for entry in self.entries.by_ref() {
            if let Some(fields) = self.fields {
                if !fields.contains(&entry.key.as_str()) {
                    self.reader.report_unknown(entry, fields);
                    continue;
                }
                if matches!(entry.node.value, Value::Null) {
                    continue;
                }
            }
            self.value_of = Some(entry);
            let path = Path::Key(&self.reader.path, &entry.key);
            return seed
                .deserialize(Key(&entry.key))
                .map(Some)
                .map_err(|mut error| {
                    error
                        .place
                        .get_or_insert_with(|| (path.to_string(), entry.at));
                    error
                });
        }
        Ok(None)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Error> {
        let entry = self
            .value_of
            .take()
            .expect("serde asks for a value only after its key");
        let path = Path::Key(&self.reader.path, &entry.key);
        let reader = Reader {
            node: &entry.node,
            path,
            unknown: self.reader.unknown,
        };
        seed.deserialize(reader)
            .map_err(|error| error.at(&entry.node, &path))
    }
}
