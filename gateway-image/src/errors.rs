//! Errors on one line.

use std::error::Error;

/// An error with what caused it. A cause that the text before contains already is left out:
/// some libraries print their sources, some do not.
pub(crate) fn with_causes(error: &dyn Error) -> String {
    let mut line = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let text = error.to_string();
        // tonic's Status prints itself as `code: ..., message: "...", ...`.
        if !line.contains(&text) && !text.starts_with("code: ") {
            line.push_str(": ");
            line.push_str(&text);
        }
        cause = error.source();
    }
    line
}
