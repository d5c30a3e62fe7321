//! Rules of an HTTP route of a `VirtualService`.

use super::virtual_service::{
    destination, gateway_names, optional_port, source_namespace, total_weight,
};
use super::{Findings, scalar};
use crate::common::string_match::StringMatch;
use crate::istio::virtual_service::fault::HttpFaultInjection;
use crate::istio::virtual_service::http::{
    CorsPolicy, HeaderOperations, Headers, HttpDirectResponse, HttpMatchRequest, HttpRedirect,
    HttpRetry, HttpRewrite, HttpRoute,
};
use crate::tree::path::Path;

pub(super) fn check(route: &HttpRoute, is_delegate: bool, at: &Path<'_>, findings: &mut Findings) {
    action(route, is_delegate, at, findings);
    let matches = at.key("match");
    for (index, entry) in route.matches.iter().enumerate() {
        match_request(entry, &matches.index(index), findings);
    }
    let targets = at.key("route");
    for (index, target) in route.route.iter().enumerate() {
        let at = targets.index(index);
        destination(&target.destination, &at.key("destination"), findings);
        scalar::not_negative(target.weight, &at.key("weight"), findings);
        headers(target.headers.as_ref(), &at.key("headers"), findings);
    }
    total_weight(
        route.route.iter().map(|target| target.weight),
        &targets,
        findings,
    );
    headers(route.headers.as_ref(), &at.key("headers"), findings);
    scalar::optional_duration(
        route.timeout.filter(|timeout| !timeout.0.is_zero()),
        &at.key("timeout"),
        findings,
    );
    if let Some(settings) = &route.redirect {
        redirect(settings, route, &at.key("redirect"), findings);
    }
    if let Some(settings) = &route.direct_response {
        direct_response(settings, &at.key("directResponse"), findings);
    }
    if let Some(settings) = &route.rewrite {
        rewrite(settings, &at.key("rewrite"), findings);
    }
    one_authority(route, at, findings);
    if let Some(settings) = &route.retries {
        retries(settings, &at.key("retries"), findings);
    }
    if let Some(settings) = &route.fault {
        fault(settings, &at.key("fault"), findings);
    }
    if let Some(settings) = &route.cors_policy {
        cors_policy(settings, &at.key("corsPolicy"), findings);
    }
    mirrors(route, at, findings);
}

/// Exactly one of route, redirect, directResponse and delegate, and only what goes with it.
fn action(route: &HttpRoute, is_delegate: bool, at: &Path<'_>, findings: &mut Findings) {
    let actions = [
        ("route", !route.route.is_empty()),
        ("redirect", route.redirect.is_some()),
        ("directResponse", route.direct_response.is_some()),
        ("delegate", route.delegate.is_some()),
    ];
    let set: Vec<&str> = actions
        .into_iter()
        .filter(|(_, is_set)| *is_set)
        .map(|(name, _)| name)
        .collect();
    match set.as_slice() {
        [] => findings.error(
            at,
            "one of route, redirect, directResponse and delegate is required",
        ),
        [_] => {}
        several => {
            findings.error(
                at,
                format_args!("only one of {} may be set", several.join(" and ")),
            );
        }
    }
    if is_delegate && route.delegate.is_some() {
        findings.error(&at.key("delegate"), "a delegate cannot delegate");
    }
    if route.redirect.is_some() || route.direct_response.is_some() {
        for (field, is_set) in [
            ("fault", route.fault.is_some()),
            ("rewrite", route.rewrite.is_some()),
        ] {
            if is_set {
                findings.error(
                    &at.key(field),
                    format_args!("{field} needs a route to forward to"),
                );
            }
        }
    }
}

fn match_request(entry: &HttpMatchRequest, at: &Path<'_>, findings: &mut Findings) {
    // An empty prefix of a path is allowed, and matches every one.
    if let Some(StringMatch::Regex(expression)) = &entry.uri {
        findings.check(&at.key("uri").key("regex"), scalar::regex(expression));
    }
    for (field, value) in [
        ("scheme", &entry.scheme),
        ("method", &entry.method),
        ("authority", &entry.authority),
    ] {
        if let Some(value) = value {
            findings.check(&at.key(field), scalar::string_match(value));
        }
    }
    for (field, headers) in [
        ("headers", &entry.headers),
        ("withoutHeaders", &entry.without_headers),
    ] {
        let at = at.key(field);
        for (name, value) in headers {
            let at = at.key(name);
            findings.check(&at, matched_header_name(name));
            // Not an expression: Istio's way to ask for presence.
            if *value != StringMatch::Regex("*".to_owned()) {
                findings.check(&at, scalar::string_match(value));
            }
        }
    }
    let query_params = at.key("queryParams");
    for (name, value) in &entry.query_params {
        findings.check(&query_params.key(name), scalar::string_match(value));
    }
    optional_port(entry.port, &at.key("port"), findings);
    scalar::labels(&entry.source_labels, &at.key("sourceLabels"), findings);
    source_namespace(
        &entry.source_namespace,
        &at.key("sourceNamespace"),
        findings,
    );
    gateway_names(&entry.gateways, &at.key("gateways"), findings);
}

fn matched_header_name(name: &str) -> Result<(), String> {
    const PSEUDO_HEADERS: [&str; 5] = [":method", ":scheme", ":authority", ":path", ":status"];
    if PSEUDO_HEADERS.contains(&name) || name.starts_with("@request.auth.claims") {
        return Ok(());
    }
    header_name(name)
}

/// A token, as RFC 9110 defines it.
fn header_name(name: &str) -> Result<(), String> {
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    if !name.is_empty() && name.bytes().all(is_token) {
        Ok(())
    } else {
        Err(format!("`{name}` is no header name"))
    }
}

fn is_authority(name: &str) -> bool {
    name.eq_ignore_ascii_case("host") || name.eq_ignore_ascii_case(":authority")
}

fn headers(headers: Option<&Headers>, at: &Path<'_>, findings: &mut Findings) {
    let Some(headers) = headers else { return };
    if let Some(operations) = &headers.request {
        header_operations(operations, true, &at.key("request"), findings);
    }
    if let Some(operations) = &headers.response {
        header_operations(operations, false, &at.key("response"), findings);
    }
}

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
    if value.chars().any(|c| c.is_ascii_control() && c != '\t') {
        return Err("a header value has no control characters".to_owned());
    }
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

fn redirect(settings: &HttpRedirect, route: &HttpRoute, at: &Path<'_>, findings: &mut Findings) {
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
    if !matches!(settings.scheme.as_str(), "" | "http" | "https") {
        findings.error(&at.key("scheme"), "the scheme must be http or https");
    }
}

fn direct_response(settings: &HttpDirectResponse, at: &Path<'_>, findings: &mut Findings) {
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

fn status(status: u32) -> Result<(), String> {
    if (200..=599).contains(&status) {
        Ok(())
    } else {
        Err(format!("HTTP status {status} is not within 200 and 599"))
    }
}

fn rewrite(settings: &HttpRewrite, at: &Path<'_>, findings: &mut Findings) {
    let regex = settings.uri_regex_rewrite.as_ref();
    if settings.uri.is_empty() && settings.authority.is_empty() && regex.is_none() {
        findings.error(at, "one of uri, uriRegexRewrite and authority is required");
    }
    let Some(regex) = regex else { return };
    let at = at.key("uriRegexRewrite");
    if !settings.uri.is_empty() {
        findings.error(&at, "only one of uri and uriRegexRewrite may be set");
    }
    findings.check(&at.key("match"), scalar::regex(&regex.matches));
    if regex.rewrite.is_empty() {
        findings.error(&at.key("rewrite"), "a replacement is required");
    }
}

/// The authority can be rewritten in one place only.
fn one_authority(route: &HttpRoute, at: &Path<'_>, findings: &mut Findings) {
    let by_rewrite = route
        .rewrite
        .as_ref()
        .is_some_and(|rewrite| !rewrite.authority.is_empty());
    let request = route
        .headers
        .as_ref()
        .and_then(|headers| headers.request.as_ref());
    let by_headers = request
        .into_iter()
        .flat_map(|request| request.set.keys().chain(request.add.keys()))
        .filter(|name| is_authority(name))
        .count();
    if usize::from(by_rewrite) + by_headers > 1 {
        findings.error(&at.key("headers"), "the authority is set more than once");
    }
}

fn retries(settings: &HttpRetry, at: &Path<'_>, findings: &mut Findings) {
    scalar::not_negative(settings.attempts, &at.key("attempts"), findings);
    let says_more = settings.per_try_timeout.is_some()
        || !settings.retry_on.is_empty()
        || settings.retry_remote_localities.is_some();
    if settings.attempts == 0 && says_more {
        findings.error(
            &at.key("attempts"),
            "0 attempts turn retries off, the rest has no meaning",
        );
    }
    scalar::optional_duration(settings.per_try_timeout, &at.key("perTryTimeout"), findings);
    scalar::optional_duration(settings.backoff, &at.key("backoff"), findings);
    let conditions = settings
        .retry_on
        .split(',')
        .map(str::trim)
        .filter(|text| !text.is_empty());
    for condition in conditions.filter(|condition| !is_retry_condition(condition)) {
        findings.error(
            &at.key("retryOn"),
            format_args!("`{condition}` is no retry condition"),
        );
    }
}

/// Envoy's conditions, for HTTP and gRPC, and status codes.
fn is_retry_condition(condition: &str) -> bool {
    const CONDITIONS: [&str; 16] = [
        "5xx",
        "cancelled",
        "connect-failure",
        "deadline-exceeded",
        "envoy-ratelimited",
        "gateway-error",
        "http3-post-connect-failure",
        "internal",
        "refused-stream",
        "reset",
        "reset-before-request",
        "resource-exhausted",
        "retriable-4xx",
        "retriable-headers",
        "retriable-status-codes",
        "unavailable",
    ];
    let is_status = condition
        .parse::<u16>()
        .is_ok_and(|status| (100..=599).contains(&status));
    is_status || CONDITIONS.contains(&condition)
}

fn fault(settings: &HttpFaultInjection, at: &Path<'_>, findings: &mut Findings) {
    if settings.delay.is_none() && settings.abort.is_none() {
        findings.error(at, "delay or abort is required");
    }
    if let Some(delay) = &settings.delay {
        let at = at.key("delay");
        scalar::percentage(delay.percent, &at.key("percent"), findings);
        scalar::optional_duration(delay.fixed_delay, &at.key("fixedDelay"), findings);
        if delay.exponential_delay.is_some() {
            findings.error(
                &at.key("exponentialDelay"),
                "exponentialDelay is not supported",
            );
        }
    }
    if let Some(abort) = &settings.abort {
        let at = at.key("abort");
        if abort.http2_error.is_some() {
            findings.error(&at.key("http2Error"), "http2Error is not supported");
        }
        if let Some(number) = abort.http_status {
            findings.check(
                &at.key("httpStatus"),
                status(u32::try_from(number).unwrap_or(0)),
            );
        }
        if let Some(name) = &abort.grpc_status {
            findings.check(&at.key("grpcStatus"), grpc_status(name));
        }
        match (abort.http_status.is_some(), abort.grpc_status.is_some()) {
            (true, true) => findings.error(&at, "only one of httpStatus and grpcStatus may be set"),
            (false, false) => {
                findings.warning(&at, "without httpStatus or grpcStatus nothing is aborted")
            }
            (true, false) | (false, true) => {}
        }
    }
}

fn grpc_status(name: &str) -> Result<(), String> {
    const NAMES: [&str; 17] = [
        "OK",
        "CANCELLED",
        "UNKNOWN",
        "INVALID_ARGUMENT",
        "DEADLINE_EXCEEDED",
        "NOT_FOUND",
        "ALREADY_EXISTS",
        "PERMISSION_DENIED",
        "RESOURCE_EXHAUSTED",
        "FAILED_PRECONDITION",
        "ABORTED",
        "OUT_OF_RANGE",
        "UNIMPLEMENTED",
        "INTERNAL",
        "UNAVAILABLE",
        "DATA_LOSS",
        "UNAUTHENTICATED",
    ];
    if NAMES.contains(&name) {
        Ok(())
    } else {
        Err(format!("`{name}` is no gRPC status"))
    }
}

fn cors_policy(settings: &CorsPolicy, at: &Path<'_>, findings: &mut Findings) {
    let origins = at.key("allowOrigins");
    for (index, origin) in settings.allow_origins.iter().enumerate() {
        findings.check(&origins.index(index), scalar::string_match(origin));
    }
    if !settings.allow_origin.is_empty() {
        findings.warning(
            &at.key("allowOrigin"),
            "allowOrigin is deprecated, use allowOrigins",
        );
    }
    for (field, names) in [
        ("allowHeaders", &settings.allow_headers),
        ("exposeHeaders", &settings.expose_headers),
    ] {
        let at = at.key(field);
        for (index, name) in names.iter().enumerate() {
            findings.check(&at.index(index), header_name(name));
        }
    }
    if let Some(age) = settings.max_age.filter(|age| age.0.subsec_nanos() != 0) {
        findings.error(
            &at.key("maxAge"),
            format_args!("{age} is finer than a second"),
        );
    }
}

fn mirrors(route: &HttpRoute, at: &Path<'_>, findings: &mut Findings) {
    let list = at.key("mirrors");
    if let Some(mirror) = &route.mirror {
        destination(mirror, &at.key("mirror"), findings);
        if !route.mirrors.is_empty() {
            findings.error(&list, "only one of mirror and mirrors may be set");
        }
    }
    for (index, mirror) in route.mirrors.iter().enumerate() {
        destination(
            &mirror.destination,
            &list.index(index).key("destination"),
            findings,
        );
    }
    if let Some(percent) = route.mirror_percent {
        let at = at.key("mirrorPercent");
        findings.warning(&at, "mirrorPercent is deprecated, use mirrorPercentage");
        if percent > 100 {
            findings.error(
                &at,
                format_args!("percentage {percent} is not within 0 and 100"),
            );
        }
    }
}
