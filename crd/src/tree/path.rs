//! Paths of fields: `spec.http[0].match[1].uri`.
//!
//! A key that is no plain word stands in brackets: `metadata.labels["app.kubernetes.io/name"]`.

use std::fmt;

/// One step from a value to a part of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Segment {
    /// The value under a key of a mapping.
    Key(String),
    /// An item of a list, from 0.
    Index(usize),
}

/// A path, growing from the root of a document while it is read.
#[derive(Clone, Copy)]
pub(crate) enum Path<'a> {
    Root,
    Key(&'a Self, &'a str),
    Index(&'a Self, usize),
}

impl<'a> Path<'a> {
    /// The value under a key of this one.
    pub(crate) fn key(&'a self, key: &'a str) -> Self {
        Path::Key(self, key)
    }

    /// An item of this one.
    pub(crate) fn index(&'a self, index: usize) -> Self {
        Path::Index(self, index)
    }
}

impl Path<'_> {
    #[cfg(test)]
    fn segments(&self) -> Vec<Segment> {
        let mut segments = match self {
            Path::Root => return Vec::new(),
            Path::Key(parent, _) | Path::Index(parent, _) => parent.segments(),
        };
        segments.push(match self {
            Path::Key(_, key) => Segment::Key((*key).to_owned()),
            Path::Index(_, index) => Segment::Index(*index),
            Path::Root => unreachable!("the root returned above"),
        });
        segments
    }
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Path::Root => Ok(()),
            Path::Index(parent, index) => write!(f, "{parent}[{index}]"),
            Path::Key(parent, key) if !is_word(key) => write!(f, "{parent}[{key:?}]"),
            Path::Key(Path::Root, key) => f.write_str(key),
            Path::Key(parent, key) => write!(f, "{parent}.{key}"),
        }
    }
}

fn is_word(key: &str) -> bool {
    !key.is_empty()
        && key
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-'))
}

/// Reads a path; a malformed rest is left out, so that the nearest ancestor is found.
pub(crate) fn parse(field: &str) -> Vec<Segment> {
    let mut segments = Vec::new();
    let mut rest = field;
    while !rest.is_empty() {
        let Some((segment, after)) = next(rest) else {
            break;
        };
        segments.push(segment);
        rest = after;
    }
    segments
}

fn next(rest: &str) -> Option<(Segment, &str)> {
    if let Some(quoted) = rest.strip_prefix("[\"") {
        // A key with a quote in it is rare enough to be found only up to its parent.
        let (key, after) = quoted.split_once("\"]")?;
        return Some((Segment::Key(key.to_owned()), after));
    }
    if let Some(bracket) = rest.strip_prefix('[') {
        let (index, after) = bracket.split_once(']')?;
        return Some((Segment::Index(index.parse().ok()?), after));
    }
    let rest = rest.strip_prefix('.').unwrap_or(rest);
    let end = rest.find(['.', '[']).unwrap_or(rest.len());
    let (key, after) = rest.split_at(end);
    (!key.is_empty()).then(|| (Segment::Key(key.to_owned()), after))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(key: &str) -> Segment {
        Segment::Key(key.to_owned())
    }

    #[test]
    fn a_path_is_read_as_it_is_written() {
        let expected = vec![
            key("spec"),
            key("http"),
            Segment::Index(0),
            key("match"),
            Segment::Index(12),
        ];
        assert_eq!(parse("spec.http[0].match[12]"), expected);
        let metadata = Path::Key(&Path::Root, "metadata");
        let labels = Path::Key(&metadata, "labels");
        let label = Path::Key(&labels, "app.kubernetes.io/name");
        assert_eq!(
            label.to_string(),
            r#"metadata.labels["app.kubernetes.io/name"]"#
        );
        assert_eq!(parse(&label.to_string()), label.segments());
    }

    #[test]
    fn a_malformed_path_ends_at_what_is_readable() {
        for (path, expected) in [
            ("", vec![]),
            ("spec[", vec![key("spec")]),
            ("spec[x].y", vec![key("spec")]),
            ("spec..y", vec![key("spec")]),
        ] {
            assert_eq!(parse(path), expected, "{path}");
        }
    }
}
