//! Rules of an HTTP route of a `VirtualService`.

mod answer;
mod fault;
mod headers;

use answer::{direct_response, redirect};
use fault::fault;
use headers::{header_name, headers, is_authority};

use super::virtual_service::{
    destination, gateway_names, optional_port, source_namespace, total_weight,
};
use super::{Findings, re2, scalar};
use crate::common::string_match::StringMatch;
use crate::istio::virtual_service::http::{
    CorsPolicy, HttpMatchRequest, HttpRetry, HttpRewrite, HttpRoute,
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
            if name.starts_with("@request.auth.claims") {
                findings.warning(
                    &at,
                    "claims of tokens are not known yet, the match never holds",
                );
            }
            // Not an expression: Istio's way to ask for presence.
            if *value != StringMatch::Regex("*".to_owned()) {
                findings.check(&at, scalar::string_match(value));
            }
        }
    }
    let query_params = at.key("queryParams");
    for (name, value) in &entry.query_params {
        if name.is_empty() {
            findings.error(&query_params, "a parameter needs a name");
        }
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

fn rewrite(settings: &HttpRewrite, at: &Path<'_>, findings: &mut Findings) {
    let regex = settings.uri_regex_rewrite.as_ref();
    if settings.uri.is_empty() && settings.authority.is_empty() && regex.is_none() {
        findings.error(at, "one of uri, uriRegexRewrite and authority is required");
    }
    findings.check(&at.key("uri"), scalar::one_line(&settings.uri));
    findings.check(&at.key("authority"), scalar::one_line(&settings.authority));
    let Some(regex) = regex else { return };
    let at = at.key("uriRegexRewrite");
    if !settings.uri.is_empty() {
        findings.error(&at, "only one of uri and uriRegexRewrite may be set");
    }
    findings.check(&at.key("match"), scalar::regex(&regex.matches));
    if regex.rewrite.is_empty() {
        findings.error(&at.key("rewrite"), "a replacement is required");
    }
    let replacement = re2::check_replacement(&regex.matches, &regex.rewrite);
    findings.check(&at.key("rewrite"), replacement);
    findings.check(&at.key("rewrite"), scalar::one_line(&regex.rewrite));
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
