//! Where an object was written: file, document and place within it.
//!
//! Objects keep the text of their document, not a position per field: places are looked up only
//! when a diagnostic needs one, by reading that one document again.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use serde::Serialize;

use crate::tree::path::{self, Segment};
use crate::tree::{Node, Position, SyntaxError};

/// A place in a file; lines and columns count from 1.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Location {
    /// The file, as the user named it.
    pub file: Arc<str>,
    /// The line.
    pub line: u32,
    /// The column, in characters.
    pub column: u32,
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.file, self.line, self.column)
    }
}

/// Where one object was written. Cheap to clone: the items of a `List` share their document.
#[derive(Clone)]
pub struct Source {
    document: Arc<Document>,
    /// From the document's root to the object: empty, or `items[n]` of a `List`.
    prefix: Vec<Segment>,
}

/// One document of a file.
pub(crate) struct Document {
    file: Arc<str>,
    first_line: u32,
    text: Arc<str>,
    /// The text as a tree: while it is read first, and again from when a place is asked for.
    tree: Mutex<Option<Arc<Node>>>,
}

impl Document {
    pub(crate) fn new(file: Arc<str>, first_line: u32, text: &str) -> Self {
        Self {
            file,
            first_line,
            text: text.into(),
            tree: Mutex::new(None),
        }
    }

    /// The place in the file that is `at` in this document's text.
    pub(crate) fn location(&self, at: Position) -> Location {
        Location {
            file: Arc::clone(&self.file),
            line: self.first_line.saturating_add(at.line - 1),
            column: at.column,
        }
    }

    /// The text as a tree.
    pub(crate) fn tree(&self) -> Result<Arc<Node>, SyntaxError> {
        let mut tree = self.tree.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(tree) = &*tree {
            return Ok(Arc::clone(tree));
        }
        let read = Arc::new(Node::parse(&self.text)?);
        *tree = Some(Arc::clone(&read));
        Ok(read)
    }

    /// Drops the tree, which is larger than the text, until a place is asked for.
    pub(crate) fn forget_tree(&self) {
        *self.tree.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

impl Source {
    /// The object at `prefix` of a document.
    pub(crate) fn new(document: Arc<Document>, prefix: Vec<Segment>) -> Self {
        Self { document, prefix }
    }

    /// A whole document: the file, the line that it begins at (from 1), and its text.
    pub fn document(file: &str, first_line: u32, text: &str) -> Self {
        Self::new(
            Arc::new(Document::new(file.into(), first_line, text)),
            Vec::new(),
        )
    }

    /// The file, as the user named it.
    pub fn file(&self) -> &str {
        &self.document.file
    }

    /// Where a field such as `spec.http[0].match[1].uri` stands: a scalar where it begins, a
    /// mapping or list at its key. A field that is absent is found at its nearest ancestor.
    pub fn locate(&self, field: &str) -> Location {
        let mut segments = self.prefix.clone();
        segments.extend(path::parse(field));
        let at = self
            .document
            .tree()
            .map_or(Position::START, |tree| tree.locate(&segments));
        self.document.location(at)
    }

    /// The place that is `at` in the text of a literal block (`key: |`); for a text of another
    /// form, whose lines are not those of the file, where it begins.
    pub(crate) fn locate_in_block(&self, field: &str, at: Position) -> Location {
        let begin = self.locate(field);
        let mut segments = self.prefix.clone();
        segments.extend(path::parse(field));
        let tree = self.document.tree();
        let Some(key) = tree.ok().and_then(|tree| tree.locate_key(&segments)) else {
            return begin;
        };
        let mut lines = self.document.text.lines().skip(key.line as usize - 1);
        let header: String = lines
            .next()
            .unwrap_or_default()
            .chars()
            .skip(key.column as usize - 1)
            .collect();
        let indicator = header
            .split_once(": ")
            .map_or("", |(_, indicator)| indicator.trim_start());
        let Some(first) = lines.find(|line| !line.trim().is_empty()) else {
            return begin;
        };
        if !indicator.starts_with('|') {
            return begin;
        }
        let indent = first.chars().take_while(|c| *c == ' ').count();
        self.document.location(Position {
            line: key.line.saturating_add(at.line),
            column: at.column.saturating_add(u32::try_from(indent).unwrap_or(0)),
        })
    }
}

impl fmt::Debug for Source {
    /// Without the text, which may hold secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Source")
            .field("file", &self.document.file)
            .field("first_line", &self.document.first_line)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "\
spec:
  hosts: [a.example, b.example]
  http:
  - match:
    - uri: {prefix: /a}
    - uri:
        exact: /b
    empty:
";

    #[test]
    fn a_field_or_its_nearest_ancestor_is_found() {
        let source = Source::document("vs.yaml", 11, TEXT);
        for (field, line, column) in [
            ("spec", 11, 1),
            ("spec.hosts", 12, 3),
            ("spec.hosts[1]", 12, 22),
            ("spec.http[0]", 14, 5),
            ("spec.http[0].match[0].uri.prefix", 15, 21),
            ("spec.http[0].match[1].uri.exact", 17, 16),
            ("spec.http[0].match[1].headers", 16, 7),
            ("spec.http[0].empty", 18, 5),
            ("spec.http[7].route", 13, 3),
            ("status.nothing", 11, 1),
        ] {
            let expected = Location {
                file: "vs.yaml".into(),
                line,
                column,
            };
            assert_eq!(source.locate(field), expected, "{field}");
        }
    }

    #[test]
    fn debug_shows_no_text() {
        let source = Source::document("secret.yaml", 1, "stringData: {password: hunter2}");
        assert!(!format!("{source:?}").contains("hunter2"));
    }
}
