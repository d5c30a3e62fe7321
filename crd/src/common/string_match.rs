//! How a text is compared: whole, by prefix or by regular expression. Always with case.

use serde::{Deserialize, Serialize};

/// A comparison of a text.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "Message", into = "Message")]
pub enum StringMatch {
    /// Equal to the text.
    Exact(String),
    /// Starts with the text; `/foo` also matches `/foobar`.
    Prefix(String),
    /// Matched as a whole by the expression (RE2).
    Regex(String),
    /// Present, whatever its value: `{}`, which Istio allows for headers.
    Present,
}

/// How a [`StringMatch`] looks on the wire: a proto3 `oneof`.
#[derive(Default, Serialize, Deserialize)]
#[serde(rename = "StringMatch", default)]
struct Message {
    #[serde(skip_serializing_if = "Option::is_none")]
    exact: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    prefix: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    regex: Option<String>,
}

impl TryFrom<Message> for StringMatch {
    type Error = &'static str;

    fn try_from(message: Message) -> Result<Self, Self::Error> {
        match (message.exact, message.prefix, message.regex) {
            (Some(text), None, None) => Ok(Self::Exact(text)),
            (None, Some(text), None) => Ok(Self::Prefix(text)),
            (None, None, Some(text)) => Ok(Self::Regex(text)),
            (None, None, None) => Ok(Self::Present),
            _ => Err("only one of exact, prefix and regex may be set"),
        }
    }
}

impl From<StringMatch> for Message {
    fn from(string_match: StringMatch) -> Self {
        match string_match {
            StringMatch::Exact(text) => Self {
                exact: Some(text),
                ..Self::default()
            },
            StringMatch::Prefix(text) => Self {
                prefix: Some(text),
                ..Self::default()
            },
            StringMatch::Regex(text) => Self {
                regex: Some(text),
                ..Self::default()
            },
            StringMatch::Present => Self::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_kind_of_comparison_is_allowed() {
        let parse = serde_json::from_str::<StringMatch>;
        assert_eq!(
            parse(r#"{"prefix": "/a"}"#).unwrap(),
            StringMatch::Prefix("/a".to_owned())
        );
        assert_eq!(parse("{}").unwrap(), StringMatch::Present);
        assert!(parse(r#"{"prefix": "/a", "exact": "/a"}"#).is_err());
    }
}
