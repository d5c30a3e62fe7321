//! Rules of what is answered without forwarding: redirects and direct responses.

use super::{Findings, Path, scalar};
use crate::common::string_match::StringMatch;
use crate::istio::virtual_service::http::{
    HttpDirectResponse, HttpMatchRequest, HttpRedirect, HttpRoute,
};

pub(super) fn redirect(
    settings: &HttpRedirect,
    route: &HttpRoute,
    at: &Path<'_>,
    findings: &mut Findings,
) {
    let port = settings.port.is_some() || settings.derive_port.is_some();
    let texts = [
        &settings.uri,
        &settings.prefix_rewrite,
        &settings.authority,
        &settings.scheme,
    ];
    if !port && texts.iter().all(|text| text.is_empty()) {
        findings.error(
            at,
            "one of uri, prefixRewrite, authority, scheme and port is required",
        );
    }
    if !settings.uri.is_empty() && !settings.prefix_rewrite.is_empty() {
        findings.error(at, "only one of uri and prefixRewrite may be set");
    }
    let by_prefix =
        |entry: &HttpMatchRequest| matches!(entry.uri, None | Some(StringMatch::Prefix(_)));
    if !settings.prefix_rewrite.is_empty() && !route.matches.iter().all(by_prefix) {
        findings.error(
            &at.key("prefixRewrite"),
            "every match on uri must be by prefix",
        );
    }
    if settings.port.is_some() && settings.derive_port.is_some() {
        findings.error(at, "only one of port and derivePort may be set");
    }
    if let Some(number) = settings.port {
        findings.check(&at.key("port"), scalar::port(number));
    }
    // Those that Envoy can send.
    if !matches!(settings.redirect_code, 0 | 301 | 302 | 303 | 307 | 308) {
        let message = format!(
            "status {} is none of 301, 302, 303, 307 and 308",
            settings.redirect_code
        );
        findings.error(&at.key("redirectCode"), message);
    }
    for (field, text) in [("uri", &settings.uri), ("authority", &settings.authority)] {
        findings.check(&at.key(field), scalar::one_line(text));
    }
    if !matches!(settings.scheme.as_str(), "" | "http" | "https") {
        findings.error(&at.key("scheme"), "the scheme must be http or https");
    }
}

pub(super) fn direct_response(
    settings: &HttpDirectResponse,
    at: &Path<'_>,
    findings: &mut Findings,
) {
    /// What Istio allows at most.
    const LARGEST_BODY_BYTES: usize = 1024 * 1024;
    findings.check(&at.key("status"), status(settings.status));
    let Some(body) = &settings.body else { return };
    let at = at.key("body");
    let size = match (&body.string, &body.bytes) {
        (Some(_), Some(_)) => {
            findings.error(&at, "only one of string and bytes may be set");
            return;
        }
        (Some(text), None) => text.len(),
        (None, Some(bytes)) => bytes.0.len(),
        (None, None) => 0,
    };
    if size > LARGEST_BODY_BYTES {
        findings.error(&at, "the body is larger than 1 MiB");
    }
}

pub(super) fn status(status: u32) -> Result<(), String> {
    if (200..=599).contains(&status) {
        Ok(())
    } else {
        Err(format!("HTTP status {status} is not within 200 and 599"))
    }
}
