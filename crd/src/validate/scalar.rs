//! Rules that several kinds share: ports, addresses, durations, labels, expressions, exportTo.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time;

use super::Findings;
use super::host::{Check, fqdn, is_label};
use crate::common::duration::Duration;
use crate::common::protocol::Protocol;
use crate::common::string_match::StringMatch;
use crate::tree::path::Path;

pub(super) fn port(number: u32) -> Check {
    if (1..=65535).contains(&number) {
        Ok(())
    } else {
        Err(format!("port {number} is not within 1 and 65535"))
    }
}

pub(super) fn port_name(name: &str) -> Check {
    match name {
        "" => Err("a port name is required".to_owned()),
        name if is_label(name) => Ok(()),
        name => Err(format!(
            "port name `{name}` is invalid, expected letters, digits and dashes"
        )),
    }
}

/// A known protocol; empty means that it is sniffed.
pub(super) fn protocol(name: &str) -> Check {
    if name.is_empty() || Protocol::parse(name).is_some() {
        Ok(())
    } else {
        Err(format!(
            "unknown protocol `{name}`, expected HTTP, HTTPS, HTTP2, GRPC, GRPC-WEB, TLS, TCP, \
             MONGO, MYSQL, REDIS or UDP"
        ))
    }
}

pub(super) fn is_http(protocol: &str) -> bool {
    Protocol::parse(protocol).is_some_and(Protocol::is_http)
}

pub(super) fn is_tls(protocol: &str) -> bool {
    Protocol::parse(protocol).is_some_and(Protocol::is_tls)
}

pub(super) fn ip(text: &str) -> Check {
    match text.parse::<IpAddr>() {
        Ok(_) => Ok(()),
        Err(_) => Err(format!("`{text}` is no IP address")),
    }
}

/// An address, or a range in CIDR notation.
pub(super) fn subnet(text: &str) -> Check {
    let Some((address, length)) = text.split_once('/') else {
        return ip(text);
    };
    let bits = match address.parse::<IpAddr>() {
        Ok(IpAddr::V4(_)) => 32,
        Ok(IpAddr::V6(_)) => 128,
        Err(_) => return Err(format!("`{text}` is no address range")),
    };
    let is_plain = length.bytes().all(|byte| byte.is_ascii_digit()) && !has_leading_zero(length);
    match length.parse::<u8>() {
        Ok(length) if is_plain && length <= bits => Ok(()),
        _ => Err(format!(
            "`{text}` is no address range, expected a length of 0 to {bits}"
        )),
    }
}

fn has_leading_zero(number: &str) -> bool {
    number.len() > 1 && number.starts_with('0')
}

/// The path after `unix://`.
pub(super) fn unix_path(path: &str) -> Check {
    if path.starts_with('@') || (path.starts_with('/') && !path.ends_with('/')) {
        Ok(())
    } else {
        Err(format!("`{path}` is no absolute path of a socket"))
    }
}

/// At least a millisecond, and whole ones: Envoy counts in them.
pub(super) fn duration(duration: Duration) -> Check {
    let millisecond = time::Duration::from_millis(1);
    if duration.0 < millisecond {
        return Err(format!("duration {duration} is shorter than 1ms"));
    }
    if !duration.0.subsec_nanos().is_multiple_of(1_000_000) {
        return Err(format!("duration {duration} is finer than a millisecond"));
    }
    Ok(())
}

/// [`duration`], if there is one.
pub(super) fn optional_duration(value: Option<Duration>, at: &Path<'_>, findings: &mut Findings) {
    if let Some(value) = value {
        findings.check(at, duration(value));
    }
}

pub(super) fn not_negative(number: i32, at: &Path<'_>, findings: &mut Findings) {
    if number < 0 {
        findings.error(at, format_args!("{number} is negative"));
    }
}

pub(super) fn percentage(number: i32, at: &Path<'_>, findings: &mut Findings) {
    if !(0..=100).contains(&number) {
        findings.error(
            at,
            format_args!("percentage {number} is not within 0 and 100"),
        );
    }
}

/// Text that Envoy takes as (part of) a header's value: a line end would make it refuse the whole
/// configuration.
pub(super) fn one_line(text: &str) -> Check {
    /// Envoy's bound for a header's value is twice that; `%` may have to be doubled.
    const LONGEST: usize = 8192;
    if text.chars().any(|c| c.is_ascii_control() && c != '\t') {
        return Err("control characters are not allowed".to_owned());
    }
    if text.len() > LONGEST {
        return Err(format!("longer than {LONGEST} bytes"));
    }
    Ok(())
}

/// An expression that Envoy's RE2 takes.
pub(super) fn regex(expression: &str) -> Check {
    super::re2::check(expression)
}

/// A comparison whose prefix may not be empty.
pub(super) fn string_match(string_match: &StringMatch) -> Check {
    match string_match {
        StringMatch::Prefix(prefix) if prefix.is_empty() => {
            Err("an empty prefix is not allowed".to_owned())
        }
        StringMatch::Regex(expression) => regex(expression),
        StringMatch::Exact(_) | StringMatch::Prefix(_) | StringMatch::Present => Ok(()),
    }
}

/// Labels of objects, as selectors and endpoints have them.
pub(super) fn labels(labels: &BTreeMap<String, String>, at: &Path<'_>, findings: &mut Findings) {
    for (key, value) in labels {
        if !is_label_key(key) {
            findings.error(&at.key(key), format_args!("label key `{key}` is invalid"));
        }
        if !value.is_empty() && !is_label_text(value) {
            findings.error(
                &at.key(key),
                format_args!("label value `{value}` is invalid"),
            );
        }
    }
}

/// `name` or `prefix/name`.
pub(super) fn is_label_key(key: &str) -> bool {
    match key.split_once('/') {
        Some((prefix, name)) => fqdn(prefix).is_ok() && is_label_text(name),
        None => is_label_text(key),
    }
}

fn is_label_text(text: &str) -> bool {
    let inner = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    let edge = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
    let bytes = text.as_bytes();
    bytes.len() <= 63 && edge(bytes.first()) && edge(bytes.last()) && bytes.iter().all(inner)
}

/// Labels of a selector: no wildcards, and none at all is probably a mistake.
pub(super) fn selector(labels: &BTreeMap<String, String>, at: &Path<'_>, findings: &mut Findings) {
    if labels.is_empty() {
        findings.warning(
            at,
            "a selector without labels applies to the whole namespace",
        );
    }
    for (key, value) in labels {
        if key.is_empty() {
            findings.error(at, "an empty label key is not allowed");
        }
        if key.contains('*') || value.contains('*') {
            findings.error(&at.key(key), "wildcards are not allowed in selectors");
        }
    }
}

/// `exportTo`: namespaces, `.`, `*`, and `~` for a ServiceEntry.
pub(super) fn export_to(
    namespace: &str,
    export_to: &[String],
    allows_none: bool,
    at: &Path<'_>,
    findings: &mut Findings,
) {
    let mut seen = BTreeSet::new();
    for (index, entry) in export_to.iter().enumerate() {
        let at = at.index(index);
        let key = if entry == "." {
            namespace
        } else {
            entry.as_str()
        };
        if !seen.insert(key) {
            findings.error(&at, format_args!("`{entry}` is there twice"));
        }
        match key {
            "*" | "~" if export_to.len() > 1 => {
                findings.error(&at, format_args!("`{entry}` must stand alone"));
            }
            "~" if !allows_none => {
                findings.error(&at, "only a ServiceEntry can be hidden with `~`")
            }
            "*" | "~" | "." => {}
            key if !is_label(key) => {
                findings.error(
                    &at,
                    format_args!("`{entry}` is no namespace, `.`, `*` or `~`"),
                );
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subnets_are_addresses_or_ranges() {
        for text in [
            "10.0.0.1",
            "10.0.0.0/8",
            "2001:db8::/32",
            "::1",
            "0.0.0.0/0",
        ] {
            assert_eq!(subnet(text), Ok(()), "{text}");
        }
        for text in [
            "",
            "a",
            "10.0.0",
            "10.0.0.0/33",
            "10.0.0.0/",
            "10.0.0.0/08",
            "10.0.0.0/+8",
            "::/129",
            "10.0.0.0/8/8",
        ] {
            assert!(subnet(text).is_err(), "{text}");
        }
    }
}
