//! Which requests a route takes.

use sluice_plan::route::{HeaderMatch, PathMatch, QueryMatch, RouteMatch, ValueMatch};

use crate::envoy::{matcher, regex, route, truth};

pub(super) fn route_match(matches: &RouteMatch) -> route::RouteMatch {
    use route::route_match::PathSpecifier;
    let path = match &matches.path {
        PathMatch::Exact(path) => PathSpecifier::Path(path.clone()),
        PathMatch::Prefix(prefix) => PathSpecifier::Prefix(prefix.clone()),
        PathMatch::Regex(pattern) => PathSpecifier::SafeRegex(regex(pattern)),
    };
    route::RouteMatch {
        path_specifier: Some(path),
        case_sensitive: truth(!matches.ignore_case),
        headers: matches.headers.iter().map(header).collect(),
        query_parameters: matches.query.iter().map(query).collect(),
        ..Default::default()
    }
}

fn header(header: &HeaderMatch) -> route::HeaderMatcher {
    use route::header_matcher::HeaderMatchSpecifier;
    let value = string(&header.value);
    route::HeaderMatcher {
        name: header.name.clone(),
        invert_match: header.invert,
        // A header that is not there has none of the values that `withoutHeaders` forbids.
        treat_missing_header_as_empty: header.invert && value.is_some(),
        header_match_specifier: Some(match value {
            Some(value) => HeaderMatchSpecifier::StringMatch(value),
            None => HeaderMatchSpecifier::PresentMatch(true),
        }),
    }
}

fn query(query: &QueryMatch) -> route::QueryParameterMatcher {
    use route::query_parameter_matcher::QueryParameterMatchSpecifier;
    route::QueryParameterMatcher {
        name: query.name.clone(),
        query_parameter_match_specifier: Some(match string(&query.value) {
            Some(value) => QueryParameterMatchSpecifier::StringMatch(value),
            None => QueryParameterMatchSpecifier::PresentMatch(true),
        }),
    }
}

/// How the value matches; `None` where any will do.
fn string(value: &ValueMatch) -> Option<matcher::StringMatcher> {
    use matcher::string_matcher::MatchPattern;
    let pattern = match value {
        ValueMatch::Present => return None,
        // Envoy takes no empty prefix; every text begins with it.
        ValueMatch::Prefix(prefix) if prefix.is_empty() => return None,
        ValueMatch::Prefix(prefix) => MatchPattern::Prefix(prefix.clone()),
        ValueMatch::Exact(text) => MatchPattern::Exact(text.clone()),
        ValueMatch::Regex(pattern) => MatchPattern::SafeRegex(regex(pattern)),
    };
    Some(matcher::StringMatcher {
        match_pattern: Some(pattern),
        ..Default::default()
    })
}
