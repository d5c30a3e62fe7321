//! Which virtual host and route take a request, and what is left of it after a rewrite.

use regex::Regex;

use super::Request;
use crate::{
    host::Host,
    route::{
        Forward, HeaderMatch, PathMatch, PathRewrite, Redirect, Route, RouteMatch, ValueMatch,
        VirtualHost,
    },
};

/// Exact domains before suffixes, longer before shorter, `*` last, as Envoy searches.
pub(super) fn virtual_host<'p>(hosts: &'p [VirtualHost], host: &str) -> Option<&'p VirtualHost> {
    let domains = hosts.iter().flat_map(|entry| {
        entry
            .domains
            .iter()
            .map(move |domain| (Host::new(domain), entry))
    });
    domains
        .filter(|(domain, _)| domain.matches(host))
        .min_by(|a, b| a.0.cmp(&b.0))
        .map(|(_, entry)| entry)
}

pub(super) fn matches(wanted: &RouteMatch, request: &Request) -> bool {
    let (path, query) = request.path.split_once('?').unwrap_or((&request.path, ""));
    let fold = |text: &str| {
        if wanted.ignore_case {
            text.to_ascii_lowercase()
        } else {
            text.to_owned()
        }
    };
    let path_matches = match &wanted.path {
        PathMatch::Exact(exact) => fold(path) == fold(exact),
        PathMatch::Prefix(prefix) => fold(path).starts_with(&fold(prefix)),
        PathMatch::Regex(pattern) => whole(pattern, path),
    };
    path_matches
        && wanted
            .headers
            .iter()
            .all(|header| header_matches(header, request))
        && wanted.query.iter().all(|parameter| {
            query
                .split('&')
                .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
                .find(|(name, _)| *name == parameter.name)
                .is_some_and(|(_, value)| value_matches(&parameter.value, value))
        })
}

fn header_matches(wanted: &HeaderMatch, request: &Request) -> bool {
    let value = match wanted.name.as_str() {
        ":method" => Some(request.method.as_str()),
        ":authority" => Some(request.host.as_str()),
        ":scheme" => Some("http"),
        name => request.headers.get(name).map(String::as_str),
    };
    match (wanted.invert, &wanted.value) {
        (true, ValueMatch::Present) => value.is_none(),
        // An absent header counts as empty when the match is turned round.
        (true, wanted) => !value_matches(wanted, value.unwrap_or_default()),
        (false, wanted) => value.is_some_and(|value| value_matches(wanted, value)),
    }
}

fn value_matches(wanted: &ValueMatch, value: &str) -> bool {
    match wanted {
        ValueMatch::Present => true,
        ValueMatch::Exact(exact) => value == exact,
        ValueMatch::Prefix(prefix) => value.starts_with(prefix),
        ValueMatch::Regex(pattern) => whole(pattern, value),
    }
}

/// RE2's full match; an expression that is none matches nothing, as it was refused when read.
fn whole(pattern: &str, text: &str) -> bool {
    Regex::new(&format!("^(?:{pattern})$")).is_ok_and(|regex| regex.is_match(text))
}

/// Applies what a route does to the request before it goes on.
pub(super) fn rewrite(route: &Route, forward: &Forward, request: &mut Request) {
    let (path, query) = request
        .path
        .split_once('?')
        .map_or((request.path.as_str(), None), |(p, q)| (p, Some(q)));
    let path = match (&forward.rewrite_path, &route.matches.path) {
        (None, _) => path.to_owned(),
        (Some(PathRewrite::Matched(new)), PathMatch::Prefix(prefix)) => {
            format!("{new}{}", path.get(prefix.len()..).unwrap_or_default())
        }
        (Some(PathRewrite::Matched(new)), PathMatch::Exact(_) | PathMatch::Regex(_)) => new.clone(),
        (
            Some(PathRewrite::Regex {
                pattern,
                substitution,
            }),
            _,
        ) => match Regex::new(pattern) {
            Ok(regex) => regex
                .replace_all(path, groups(substitution).as_str())
                .into_owned(),
            Err(_) => path.to_owned(),
        },
    };
    request.path = match query {
        Some(query) => format!("{path}?{query}"),
        None => path,
    };
    if let Some(host) = &forward.rewrite_host {
        host.clone_into(&mut request.host);
    }
    for name in &route.request_headers.remove {
        request.headers.remove(name);
    }
    for (name, value) in route
        .request_headers
        .set
        .iter()
        .chain(&route.request_headers.add)
    {
        request.headers.insert(name.clone(), value.clone());
    }
}

/// RE2 writes groups as `\1`, the regex crate as `${1}`.
fn groups(substitution: &str) -> String {
    let mut out = String::new();
    let mut characters = substitution.chars();
    while let Some(character) = characters.next() {
        match (character, characters.clone().next()) {
            ('\\', Some(digit)) if digit.is_ascii_digit() => {
                out.push_str(&format!("${{{digit}}}"));
                characters.next();
            }
            ('$', _) => out.push_str("$$"),
            (other, _) => out.push(other),
        }
    }
    out
}

pub(super) fn redirected(redirect: &Redirect, request: &Request) -> String {
    let scheme = redirect.scheme.as_deref().unwrap_or("http");
    let host = redirect.host.as_deref().unwrap_or(&request.host);
    let port = redirect
        .port
        .map(|port| format!(":{port}"))
        .unwrap_or_default();
    let path = redirect.path.as_deref().unwrap_or(&request.path);
    format!("{scheme}://{host}{port}{path}")
}
