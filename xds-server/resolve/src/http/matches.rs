//! Conditions of HTTP routes.

use sluice_crd::{
    common::string_match::StringMatch, istio::virtual_service::http::HttpMatchRequest,
};
use sluice_plan::route::{HeaderMatch, PathMatch, QueryMatch, RouteMatch, ValueMatch};

/// What a match says about the request itself.
pub(super) fn route_match(condition: &HttpMatchRequest) -> RouteMatch {
    let pseudo = [
        (":method", &condition.method),
        (":authority", &condition.authority),
        (":scheme", &condition.scheme),
    ];
    let mut headers: Vec<HeaderMatch> = (condition.headers.iter())
        .map(|(name, value)| header(name, value, false))
        .chain(
            condition
                .without_headers
                .iter()
                .map(|(name, value)| header(name, value, true)),
        )
        .chain(
            pseudo
                .into_iter()
                .filter_map(|(name, value)| Some(header(name, value.as_ref()?, false))),
        )
        .collect();
    headers.sort();
    RouteMatch {
        path: match &condition.uri {
            None | Some(StringMatch::Present) => PathMatch::Prefix("/".to_owned()),
            Some(StringMatch::Exact(path)) => PathMatch::Exact(path.clone()),
            Some(StringMatch::Prefix(path)) => PathMatch::Prefix(path.clone()),
            Some(StringMatch::Regex(path)) if path == "*" => PathMatch::Prefix("/".to_owned()),
            Some(StringMatch::Regex(path)) => PathMatch::Regex(path.clone()),
        },
        ignore_case: condition.ignore_uri_case,
        headers,
        query: (condition.query_params.iter())
            .map(|(name, value_match)| QueryMatch {
                name: name.clone(),
                value: value(value_match),
            })
            .collect(),
    }
}

fn header(name: &str, value_match: &StringMatch, invert: bool) -> HeaderMatch {
    HeaderMatch {
        name: name.to_ascii_lowercase(),
        value: value(value_match),
        invert,
    }
}

/// An empty value and the expression `*` ask for presence only, as in Istio.
fn value(value_match: &StringMatch) -> ValueMatch {
    match value_match {
        StringMatch::Present => ValueMatch::Present,
        StringMatch::Exact(text) if text.is_empty() => ValueMatch::Present,
        StringMatch::Exact(text) => ValueMatch::Exact(text.clone()),
        StringMatch::Prefix(text) => ValueMatch::Prefix(text.clone()),
        StringMatch::Regex(text) if text == "*" => ValueMatch::Present,
        StringMatch::Regex(text) => ValueMatch::Regex(text.clone()),
    }
}
