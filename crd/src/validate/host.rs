//! Syntax of host names, and which of two covers the other.

use std::net::IpAddr;

/// The outcome of a check: what is wrong.
pub(super) type Check = Result<(), String>;

/// A label of a DNS name, in any case, as Istio allows it.
pub(super) fn is_label(label: &str) -> bool {
    let bytes = label.as_bytes();
    let inner = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'-';
    let edge = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
    bytes.len() <= 63 && edge(bytes.first()) && edge(bytes.last()) && bytes.iter().all(inner)
}

pub(super) fn is_ip(text: &str) -> bool {
    text.parse::<IpAddr>().is_ok()
}

/// A full name; no wildcard.
pub(super) fn fqdn(name: &str) -> Check {
    length(name)?;
    labels(name, name)
}

/// A full name, or one whose first label begins with `*`, or `*` alone.
pub(super) fn wildcard_domain(name: &str) -> Check {
    length(name)?;
    let (first, rest) = match name.split_once('.') {
        Some((first, rest)) => (first, Some(rest)),
        None => (name, None),
    };
    let plain = first
        .strip_prefix("*-")
        .or_else(|| first.strip_prefix('*'))
        .unwrap_or(first);
    if first != "*" && !is_label(plain) {
        return Err(invalid(name, first));
    }
    rest.map_or(Ok(()), |rest| labels(name, rest))
}

/// `*.example.com` and `*`, but not `*foo.example.com`.
pub(super) fn whole_label_wildcard(name: &str) -> Check {
    if name.contains('*') && name != "*" && !name.starts_with("*.") {
        return Err(format!("partial wildcard `{name}` is not allowed"));
    }
    Ok(())
}

/// A host of a Gateway's server or a Sidecar's listener, without its namespace.
pub(super) fn scoped(name: &str, allow_ip: bool) -> Check {
    if allow_ip && is_ip(name) {
        return Ok(());
    }
    if name != "*" && !name.contains('.') {
        return Err(format!(
            "short name `{name}` is not allowed, expected a full name"
        ));
    }
    wildcard_domain(name)?;
    whole_label_wildcard(name)
}

fn length(name: &str) -> Check {
    match name.len() {
        0 => Err("an empty host is not allowed".to_owned()),
        1..=255 => Ok(()),
        _ => Err(format!("host `{name}` is longer than 255 characters")),
    }
}

fn labels(name: &str, labels: &str) -> Check {
    let labels = labels.strip_suffix('.').unwrap_or(labels);
    let last = labels.rsplit('.').next().unwrap_or_default();
    if !last.is_empty() && last.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(format!(
            "host `{name}` is invalid, its last label `{last}` is a number"
        ));
    }
    match labels.split('.').find(|label| !is_label(label)) {
        Some(label) => Err(invalid(name, label)),
        None => Ok(()),
    }
}

fn invalid(name: &str, label: &str) -> String {
    format!("host `{name}` is invalid at `{label}`")
}

/// Whether every name that `inner` stands for is one that `outer` stands for.
pub(super) fn covers(outer: &str, inner: &str) -> bool {
    let (outer, inner) = (outer.to_ascii_lowercase(), inner.to_ascii_lowercase());
    match (outer.strip_prefix('*'), inner.strip_prefix('*')) {
        (Some(outer), Some(inner)) => inner.len() >= outer.len() && inner.ends_with(outer),
        (Some(outer), None) => inner.ends_with(outer),
        (None, Some(_)) => false,
        (None, None) => outer == inner,
    }
}

/// Whether some name is one that both stand for.
pub(super) fn overlap(one: &str, other: &str) -> bool {
    covers(one, other) || covers(other, one)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_told_from_others() {
        for (name, is_fqdn, is_wildcard) in [
            ("a.example", true, true),
            ("A.example.", true, true),
            ("a", true, true),
            ("*", false, true),
            ("*.example", false, true),
            ("*-a.example", false, true),
            ("*a.example", false, true),
            ("a.*.example", false, false),
            ("", false, false),
            ("a..example", false, false),
            ("-a.example", false, false),
            ("a_b.example", false, false),
            ("1.2.3.4", false, false),
            ("http://a.example", false, false),
            ("a.example:80", false, false),
        ] {
            assert_eq!(fqdn(name).is_ok(), is_fqdn, "{name}");
            assert_eq!(wildcard_domain(name).is_ok(), is_wildcard, "{name}");
        }
        assert!(fqdn(&"a".repeat(64)).is_err());
        assert!(fqdn(&"a.".repeat(128)).is_err());
    }

    #[test]
    fn a_wildcard_covers_longer_names_only() {
        for (outer, inner, expected) in [
            ("*.a.example", "b.a.example", true),
            ("*.a.example", "c.b.A.example", true),
            ("*.a.example", "a.example", false),
            ("*.a.example", "*.b.a.example", true),
            ("*.b.a.example", "*.a.example", false),
            ("*", "a.example", true),
            ("a.example", "*", false),
            ("a.example", "a.example", true),
        ] {
            assert_eq!(covers(outer, inner), expected, "{outer} {inner}");
        }
    }
}
