//! What a route does with a request.

use std::time::Duration;

use sluice_plan::route::{
    Action, Forward, HashPolicy, Mirror, PathRewrite, Redirect, Retry, WeightedDestination,
};

use super::headers;
use crate::envoy::{
    any, core, duration, inline, matcher, number, previous_hosts, regex, route, share,
};

pub(super) fn action(action: &Action) -> route::route::Action {
    match action {
        Action::Forward(forward) => route::route::Action::Route(route_action(forward)),
        Action::Redirect(to) => route::route::Action::Redirect(redirect(to)),
        Action::Respond { status, body } => {
            route::route::Action::DirectResponse(route::DirectResponseAction {
                status: (*status).into(),
                body: (!body.is_empty()).then(|| inline(body)).flatten(),
                ..Default::default()
            })
        }
    }
}

fn route_action(forward: &Forward) -> route::RouteAction {
    use route::route_action::{HostRewriteSpecifier, MaxStreamDuration};
    // Zero is no limit, where absent would be Envoy's 15 seconds.
    let timeout = Some(duration(forward.timeout.unwrap_or(Duration::ZERO)));
    let mut action = route::RouteAction {
        cluster_specifier: Some(cluster_specifier(&forward.to)),
        timeout,
        // gRPC clients name their own deadline; the route's bounds it.
        max_stream_duration: Some(MaxStreamDuration {
            grpc_timeout_header_max: timeout,
            ..Default::default()
        }),
        retry_policy: forward.retry.as_ref().map(retry_policy),
        host_rewrite_specifier: forward
            .rewrite_host
            .clone()
            .map(HostRewriteSpecifier::HostRewriteLiteral),
        request_mirror_policies: forward.mirrors.iter().map(mirror).collect(),
        hash_policy: forward.hash.iter().map(hash_policy).collect(),
        ..Default::default()
    };
    match &forward.rewrite_path {
        None => {}
        Some(PathRewrite::Matched(path)) => action.prefix_rewrite.clone_from(path),
        Some(PathRewrite::Regex {
            pattern,
            substitution,
        }) => {
            action.regex_rewrite = Some(matcher::RegexMatchAndSubstitute {
                pattern: Some(regex(pattern)),
                substitution: substitution.clone(),
            });
        }
    }
    action
}

fn cluster_specifier(to: &[WeightedDestination]) -> route::route_action::ClusterSpecifier {
    use route::route_action::ClusterSpecifier;
    if let [only] = to
        && *only
            == (WeightedDestination {
                weight: only.weight,
                ..WeightedDestination::all(only.destination.as_str())
            })
    {
        return ClusterSpecifier::Cluster(only.destination.clone());
    }
    // Envoy wants a sum above zero; with all at zero, all are equal.
    let all_zero = to.iter().all(|destination| destination.weight == 0);
    ClusterSpecifier::WeightedClusters(route::WeightedCluster {
        clusters: to
            .iter()
            .map(|destination| cluster_weight(destination, all_zero))
            .collect(),
        ..Default::default()
    })
}

fn cluster_weight(
    destination: &WeightedDestination,
    all_zero: bool,
) -> route::weighted_cluster::ClusterWeight {
    let request = headers::operations(&destination.request_headers);
    let response = headers::operations(&destination.response_headers);
    route::weighted_cluster::ClusterWeight {
        name: destination.destination.clone(),
        weight: number(if all_zero { 1 } else { destination.weight }),
        request_headers_to_add: request.add,
        request_headers_to_remove: request.remove,
        response_headers_to_add: response.add,
        response_headers_to_remove: response.remove,
        host_rewrite_specifier: destination
            .rewrite_host
            .clone()
            .map(route::weighted_cluster::cluster_weight::HostRewriteSpecifier::HostRewriteLiteral),
        ..Default::default()
    }
}

fn retry_policy(retry: &Retry) -> route::RetryPolicy {
    let previous_hosts = route::retry_policy::RetryHostPredicate {
        name: "envoy.retry_host_predicates.previous_hosts".to_owned(),
        config_type: Some(
            route::retry_policy::retry_host_predicate::ConfigType::TypedConfig(any(
                &previous_hosts::PreviousHostsPredicate {},
            )),
        ),
    };
    route::RetryPolicy {
        retry_on: retry.on.clone(),
        num_retries: number(retry.attempts),
        per_try_timeout: retry.per_try_timeout.map(duration),
        retry_host_predicate: retry
            .avoid_previous_hosts
            .then_some(previous_hosts)
            .into_iter()
            .collect(),
        host_selection_retry_max_attempts: 5,
        retriable_status_codes: retry.status_codes.clone(),
        ..Default::default()
    }
}

fn mirror(mirror: &Mirror) -> route::route_action::RequestMirrorPolicy {
    route::route_action::RequestMirrorPolicy {
        cluster: mirror.destination.clone(),
        runtime_fraction: Some(core::RuntimeFractionalPercent {
            default_value: Some(share(mirror.basis_points)),
            ..Default::default()
        }),
        trace_sampled: crate::envoy::truth(false),
        ..Default::default()
    }
}

fn hash_policy(policy: &HashPolicy) -> route::route_action::HashPolicy {
    use route::route_action::hash_policy::{
        ConnectionProperties, Cookie, Header, PolicySpecifier, QueryParameter,
    };
    let specifier = match policy {
        HashPolicy::Header(name) => PolicySpecifier::Header(Header {
            header_name: name.clone(),
            ..Default::default()
        }),
        HashPolicy::Cookie { name, path, ttl } => PolicySpecifier::Cookie(Cookie {
            name: name.clone(),
            ttl: ttl.map(duration),
            path: path.clone(),
            ..Default::default()
        }),
        HashPolicy::Query(name) => {
            PolicySpecifier::QueryParameter(QueryParameter { name: name.clone() })
        }
        HashPolicy::SourceIp => {
            PolicySpecifier::ConnectionProperties(ConnectionProperties { source_ip: true })
        }
    };
    route::route_action::HashPolicy {
        policy_specifier: Some(specifier),
        ..Default::default()
    }
}

fn redirect(redirect: &Redirect) -> route::RedirectAction {
    use route::redirect_action::{
        PathRewriteSpecifier, RedirectResponseCode, SchemeRewriteSpecifier,
    };
    let code = match redirect.status {
        302 => RedirectResponseCode::Found,
        303 => RedirectResponseCode::SeeOther,
        307 => RedirectResponseCode::TemporaryRedirect,
        308 => RedirectResponseCode::PermanentRedirect,
        _ => RedirectResponseCode::MovedPermanently,
    };
    route::RedirectAction {
        host_redirect: redirect.host.clone().unwrap_or_default(),
        port_redirect: redirect.port.map_or(0, u32::from),
        response_code: code.into(),
        scheme_rewrite_specifier: redirect
            .scheme
            .clone()
            .map(SchemeRewriteSpecifier::SchemeRedirect),
        path_rewrite_specifier: redirect
            .path
            .clone()
            .map(PathRewriteSpecifier::PathRedirect),
        ..Default::default()
    }
}
