//! Which resources a rejection is about.
//!
//! Envoy's `error_detail` is text for people ("Error adding/updating cluster(s) NAME: reason"),
//! but it mostly names the culprits, and only those need to wait for other content.

use std::{cmp::Reverse, sync::Arc};

/// Those of `names` that `message` names. A name inside a longer one does not count.
pub(super) fn named<'a>(
    message: &str,
    names: impl IntoIterator<Item = &'a Arc<str>>,
) -> Vec<Arc<str>> {
    let mut candidates: Vec<_> = names
        .into_iter()
        .filter(|name| !name.is_empty() && message.contains(&***name))
        .collect();
    // Longest first, each taking its place in the text, so that `a` is not found in `a|b`.
    candidates.sort_by_key(|name| Reverse(name.len()));
    let mut taken: Vec<(usize, usize)> = Vec::new();
    let mut found = Vec::new();
    for name in candidates {
        let places = message
            .match_indices(&**name)
            .map(|(start, _)| (start, start + name.len()));
        let free: Vec<_> = places
            .filter(|&(start, end)| stands_alone(message, start, end))
            .filter(|&(start, end)| taken.iter().all(|&(from, to)| end <= from || to <= start))
            .collect();
        if !free.is_empty() {
            taken.extend(free);
            found.push(name.clone());
        }
    }
    found.sort();
    found
}

fn stands_alone(message: &str, start: usize, end: usize) -> bool {
    let before = message[..start].chars().next_back();
    let mut after = message[end..].chars();
    let next = after.next();
    // A full stop or colon ends a name unless it goes on behind it.
    let goes_on = match next {
        Some('.' | ':') => after.next().is_some_and(char::is_alphanumeric),
        Some(c) => continues_name(c),
        None => false,
    };
    !goes_on && !before.is_some_and(|c| continues_name(c) || matches!(c, '.' | ':'))
}

fn continues_name(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '_' | '-' | '|' | '/' | '~')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named_in(message: &str, names: &[&str]) -> Vec<String> {
        let names: Vec<Arc<str>> = names.iter().map(|name| Arc::from(*name)).collect();
        named(message, &names)
            .iter()
            .map(ToString::to_string)
            .collect()
    }

    #[test]
    fn names_in_envoys_words_are_found() {
        let message = "Error adding/updating cluster(s) outbound|443||api.example.com: maglev: table \
                       size 4 is no prime, outbound|80||b.example.com: no";
        let names = [
            "outbound|443||api.example.com",
            "outbound|80||b.example.com",
            "outbound|80||c.example.com",
        ];
        assert_eq!(named_in(message, &names), names[..2]);
    }

    #[test]
    fn name_inside_a_longer_name_is_not_blamed() {
        let names = ["http", "http.8080", "a|b", "b", "example.com"];
        assert_eq!(
            named_in("Error adding/updating listener(s) http.8080: bad", &names),
            ["http.8080"]
        );
        assert_eq!(named_in("cluster a|b is bad.", &names), ["a|b"]);
        assert_eq!(named_in("host api.example.com.", &names), [""; 0]);
    }

    #[test]
    fn name_at_either_end_and_before_a_full_stop_counts() {
        assert_eq!(named_in("x", &["x"]), ["x"]);
        assert_eq!(named_in("no such route config x.", &["x"]), ["x"]);
        assert_eq!(named_in("'x'", &["x"]), ["x"]);
    }

    #[test]
    fn message_without_a_name_blames_nobody() {
        assert_eq!(
            named_in("Proto constraint validation failed", &["a", ""]),
            [""; 0]
        );
    }
}
