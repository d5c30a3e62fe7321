//! What is wrong, or worth knowing, about an object: for people, with the place to look at.

use std::borrow::Cow;
use std::fmt;

use serde::{Serialize, Serializer};

use crate::object::{Object, ObjectRef, Resource, Spec};
use crate::source::{Location, Source};

/// How bad it is; errors first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// The object, or a part of it, has no effect.
    Error,
    /// It has an effect that is probably not meant.
    Warning,
    /// Worth knowing.
    Info,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Error => "error",
            Self::Warning => "warning",
            Self::Info => "info",
        })
    }
}

/// A finding about an object or a file. Sorts by object, then field, then severity.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Diagnostic {
    /// The object; absent where the text does not tell it.
    #[serde(serialize_with = "as_text", skip_serializing_if = "Option::is_none")]
    pub object: Option<ObjectRef>,
    /// The field, such as `spec.http[0].route`; may be empty.
    pub field: String,
    /// How bad it is.
    pub severity: Severity,
    /// The code: Istio's `IST0xxx`, or ours, `SLU0xxx` (see [`code`]).
    pub code: Cow<'static, str>,
    /// What is wrong: lower-case, no final dot.
    pub message: String,
    /// The place.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub location: Option<Location>,
}

/// Codes of the diagnostics that this crate makes.
pub mod code {
    /// The object, alone, breaks a rule of its kind (`IST0106` in Istio, where it is one code).
    pub const INVALID: &str = "IST0106";
    /// The text is no YAML, or a key is there twice.
    pub const SYNTAX: &str = "SLU0001";
    /// A field is unknown, or a value has the wrong type.
    pub const SCHEMA: &str = "SLU0002";
    /// apiVersion, kind or name is missing or wrong.
    pub const IDENTITY: &str = "SLU0003";
    /// The kind is of no interest here.
    pub const IGNORED_KIND: &str = "SLU0004";
    /// The kind would have an effect in Istio, but not here.
    pub const UNSUPPORTED_KIND: &str = "SLU0005";
    /// The field is known and well-formed, but nothing acts on it.
    pub const NOT_IN_EFFECT: &str = "SLU0010";
    /// The field is deprecated, or does not do what its name says.
    pub const DISCOURAGED: &str = "SLU0011";
}

/// Something that a diagnostic can be about.
pub trait Subject {
    /// What names it.
    fn subject(&self) -> ObjectRef;
    /// Where it was written.
    fn origin(&self) -> Option<&Source>;
}

impl<T: Spec> Subject for Resource<T> {
    fn subject(&self) -> ObjectRef {
        self.reference()
    }

    fn origin(&self) -> Option<&Source> {
        self.source.as_ref()
    }
}

impl Subject for Object {
    fn subject(&self) -> ObjectRef {
        self.reference()
    }

    fn origin(&self) -> Option<&Source> {
        self.source()
    }
}

impl<S: Subject + ?Sized> Subject for std::sync::Arc<S> {
    fn subject(&self) -> ObjectRef {
        (**self).subject()
    }

    fn origin(&self) -> Option<&Source> {
        (**self).origin()
    }
}

impl Diagnostic {
    /// A finding about a field of an object, at the field's place.
    pub fn new(
        severity: Severity,
        code: impl Into<Cow<'static, str>>,
        subject: &(impl Subject + ?Sized),
        field: impl Into<String>,
        message: impl Into<String>,
    ) -> Self {
        let field = field.into();
        Self {
            location: subject.origin().map(|source| source.locate(&field)),
            object: Some(subject.subject()),
            field,
            severity,
            code: code.into(),
            message: message.into(),
        }
    }

    /// Whether it is an error.
    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }
}

impl fmt::Display for Diagnostic {
    /// As compilers do: `file:3:5: error[SLU0002] VirtualService shop/x: spec.http[0]: message`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(location) = &self.location {
            write!(f, "{location}: ")?;
        }
        write!(f, "{}[{}]", self.severity, self.code)?;
        if let Some(object) = &self.object {
            write!(f, " {object}")?;
        }
        if !self.field.is_empty() {
            let colon = if self.object.is_some() { ":" } else { "" };
            write!(f, "{colon} {}", self.field)?;
        }
        write!(f, ": {}", self.message)
    }
}

fn as_text<S: Serializer>(object: &Option<ObjectRef>, serializer: S) -> Result<S::Ok, S::Error> {
    object
        .as_ref()
        .map(ToString::to_string)
        .serialize(serializer)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::namespace::Namespace;
    use crate::object::Meta;

    #[test]
    fn a_diagnostic_reads_like_a_compilers() {
        let resource = Resource {
            meta: Meta {
                name: "shop".to_owned(),
                ..Meta::default()
            },
            spec: Namespace::default(),
            source: Some(Source::document("ns.yaml", 1, "metadata:\n  name: shop\n")),
        };
        let diagnostic = Diagnostic::new(
            Severity::Warning,
            "SLU9999",
            &resource,
            "metadata.name",
            "odd name",
        );
        assert_eq!(
            diagnostic.to_string(),
            "ns.yaml:2:9: warning[SLU9999] Namespace shop: metadata.name: odd name"
        );
        assert_eq!(
            serde_json::to_value(&diagnostic).unwrap(),
            serde_json::json!({
                "severity": "warning",
                "code": "SLU9999",
                "object": "Namespace shop",
                "field": "metadata.name",
                "message": "odd name",
                "location": {"file": "ns.yaml", "line": 2, "column": 9},
            })
        );
    }
}
