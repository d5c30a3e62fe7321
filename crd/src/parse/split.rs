//! Splits a stream of YAML into documents, so that one that is broken does not take the others.
//!
//! YAML makes this safe: a line that begins with `---` or `...` is a marker wherever it stands.

/// The documents of a text with the line that each begins at, from 1. Those of only blank lines,
/// comments and directives are left out.
pub(super) fn documents(text: &str) -> Vec<(u32, &str)> {
    let mut documents = Vec::new();
    let (mut begin, mut first_line) = (0, 1_u32);
    let (mut offset, mut line) = (0, 1_u32);
    for content in text.split_inclusive('\n') {
        let end = offset + content.len();
        // The line with `---` belongs to what follows, for it may hold content.
        let cut = match marker(content) {
            Some(Marker::Start) => Some((offset, line)),
            Some(Marker::End) => Some((end, line + 1)),
            None => None,
        };
        if let Some((cut, next_line)) = cut {
            documents.push((first_line, &text[begin..cut.min(offset)]));
            (begin, first_line) = (cut, next_line);
        }
        (offset, line) = (end, line.saturating_add(1));
    }
    documents.push((first_line, &text[begin..]));
    documents.retain(|(_, text)| has_content(text));
    documents
}

enum Marker {
    Start,
    End,
}

fn marker(line: &str) -> Option<Marker> {
    let (marker, rest) = match (line.strip_prefix("---"), line.strip_prefix("...")) {
        (Some(rest), _) => (Marker::Start, rest),
        (_, Some(rest)) => (Marker::End, rest),
        (None, None) => return None,
    };
    rest.chars()
        .next()
        .is_none_or(char::is_whitespace)
        .then_some(marker)
}

fn has_content(document: &str) -> bool {
    document.lines().enumerate().any(|(index, line)| {
        let line = if index == 0 {
            line.strip_prefix("---").unwrap_or(line)
        } else {
            line
        };
        !(line.starts_with('%')
            || line.trim_start().is_empty()
            || line.trim_start().starts_with('#'))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_begin_at_their_marker() {
        for (text, expected) in [
            ("", vec![]),
            ("# only a comment\n---\n\n", vec![]),
            ("a: 1\n", vec![(1, "a: 1\n")]),
            (
                "---\na: 1\n---\nb: 2\n",
                vec![(1, "---\na: 1\n"), (3, "---\nb: 2\n")],
            ),
            (
                "a: 1\n--- {b: 2}\n",
                vec![(1, "a: 1\n"), (2, "--- {b: 2}\n")],
            ),
            (
                "a: 1\n...\n# x\n---\nb: 2",
                vec![(1, "a: 1\n"), (4, "---\nb: 2")],
            ),
            ("a: |\n  ---\n  x\n", vec![(1, "a: |\n  ---\n  x\n")]),
            ("----\n", vec![(1, "----\n")]),
            ("%YAML 1.2\n---\na: 1\n", vec![(2, "---\na: 1\n")]),
            (
                "a: 1\r\n---\r\nb: 2\r\n",
                vec![(1, "a: 1\r\n"), (2, "---\r\nb: 2\r\n")],
            ),
        ] {
            assert_eq!(documents(text), expected, "{text:?}");
        }
    }
}
