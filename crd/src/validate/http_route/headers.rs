//! Rules of header changes.

use super::{Findings, Path};
use crate::istio::virtual_service::http::{HeaderOperations, Headers};

/// A token, as RFC 9110 defines it.
pub(super) fn header_name(name: &str) -> Result<(), String> {
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    if !name.is_empty() && name.bytes().all(is_token) {
        Ok(())
    } else {
        Err(format!("`{name}` is no header name"))
    }
}

pub(super) fn is_authority(name: &str) -> bool {
    name.eq_ignore_ascii_case("host") || name.eq_ignore_ascii_case(":authority")
}

pub(super) fn headers(headers: Option<&Headers>, at: &Path<'_>, findings: &mut Findings) {
    let Some(headers) = headers else { return };
    if let Some(operations) = &headers.request {
        header_operations(operations, true, &at.key("request"), findings);
    }
    if let Some(operations) = &headers.response {
        header_operations(operations, false, &at.key("response"), findings);
    }
}

/// Envoy takes 1,000 on a route, where those of rule and target, set and added, come together.
const MOST_HEADERS: usize = 250;

fn header_operations(
    operations: &HeaderOperations,
    allows_authority: bool,
    at: &Path<'_>,
    findings: &mut Findings,
) {
    let name_at = |name: &str, at: &Path<'_>, allows_authority: bool, findings: &mut Findings| {
        if is_authority(name) {
            if !allows_authority {
                findings.error(at, format_args!("header `{name}` cannot be changed here"));
            }
        } else {
            findings.check(at, header_name(name));
        }
    };
    for (field, values) in [("set", &operations.set), ("add", &operations.add)] {
        let at = at.key(field);
        if values.len() > MOST_HEADERS {
            findings.error(&at, format_args!("more than {MOST_HEADERS} headers"));
        }
        for (name, value) in values {
            let at = at.key(name);
            name_at(name, &at, allows_authority, findings);
            findings.check(&at, header_value(value));
        }
    }
    let remove = at.key("remove");
    for (index, name) in operations.remove.iter().enumerate() {
        name_at(name, &remove.index(index), false, findings);
    }
}

/// Text without control characters, in which `%` stands twice or in pairs around a variable.
fn header_value(value: &str) -> Result<(), String> {
    super::scalar::one_line(value)?;
    let mut rest = value;
    while let Some((_, after)) = rest.split_once('%') {
        let Some((_, after)) = after.split_once('%') else {
            return Err(format!(
                "header value `{value}` has a single `%`, write `%%`"
            ));
        };
        rest = after;
    }
    Ok(())
}
