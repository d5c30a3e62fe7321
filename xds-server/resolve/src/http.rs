//! HTTP routes of a VirtualService, for either half.

mod action;
mod matches;

use std::sync::Arc;

use sluice_crd::{
    diagnostic::Severity,
    istio::virtual_service::{
        VirtualService,
        http::{HttpMatchRequest, HttpRoute},
    },
    object::Resource,
};
use sluice_plan::route::{
    Action, Authorized, Fault, Forward, HeaderOperations, Route, RouteMatch, VirtualHost,
    WeightedDestination,
};

use crate::{
    builder::{Builder, Half},
    source_match::{Source, applies},
};

pub(crate) use action::default_retry;

/// Where requests enter: what the parts of a match that are not about the request compare with.
pub(crate) struct Entrance<'a> {
    pub(crate) half: Half<'a>,
    /// `mesh`, or the Gateways (`NAMESPACE/NAME`) of the server.
    pub(crate) gateways: Vec<String>,
    /// The port that `match.port` is compared with, and that a destination without port takes.
    pub(crate) port: u16,
}

/// `VirtualService/shop/partner`, as logs and `explain` show it.
pub(crate) fn rule_name(service: &Resource<VirtualService>) -> String {
    format!(
        "VirtualService/{}/{}",
        service.meta.namespace, service.meta.name
    )
}

impl Builder<'_, '_> {
    /// The routes of a VirtualService for requests that enter at `entrance`, up to the first
    /// that takes every request: what follows cannot be reached.
    pub(crate) fn http_routes(
        &mut self,
        entrance: &Entrance<'_>,
        service: &Arc<Resource<VirtualService>>,
    ) -> Vec<Route> {
        let mut routes = Vec::new();
        for (index, http) in service.spec.http.iter().enumerate() {
            let matches: Vec<(String, RouteMatch)> = if http.matches.is_empty() {
                vec![(String::new(), RouteMatch::any())]
            } else {
                (http.matches.iter())
                    .filter(|condition| {
                        applies(
                            &Source::of_http(&service.meta.namespace, condition),
                            entrance,
                        )
                    })
                    .filter(|condition| !asks_for_claims(condition))
                    .map(|condition| (condition.name.clone(), matches::route_match(condition)))
                    .collect()
            };
            for (name, route_match) in matches {
                let ends = route_match.is_any();
                if let Some(route) =
                    self.http_route(entrance, service, index, http, &name, route_match)
                {
                    routes.push(route);
                    if ends {
                        self.report_unreachable(entrance, service, index);
                        return routes;
                    }
                }
            }
        }
        routes
    }

    fn http_route(
        &mut self,
        entrance: &Entrance<'_>,
        service: &Arc<Resource<VirtualService>>,
        index: usize,
        http: &HttpRoute,
        match_name: &str,
        matches: RouteMatch,
    ) -> Option<Route> {
        if http.delegate.is_some() {
            return None; // reported as not in effect; as in Istio, a delegate that is missing drops its route
        }
        let action = if let Some(redirect) = &http.redirect {
            Action::Redirect(action::redirect(redirect, entrance.port))
        } else if let Some(response) = &http.direct_response {
            action::respond(response)
        } else {
            Action::Forward(self.forward(entrance, service, index, http))
        };
        let mut route = Route {
            name: match (http.name.as_str(), match_name) {
                (name, "") => name.to_owned(),
                ("", name) => name.to_owned(),
                (name, of_match) => format!("{name}.{of_match}"),
            },
            matches,
            action,
            request_headers: action::operations(
                http.headers
                    .as_ref()
                    .and_then(|headers| headers.request.as_ref()),
            ),
            response_headers: action::operations(
                http.headers
                    .as_ref()
                    .and_then(|headers| headers.response.as_ref()),
            ),
            fault: http.fault.as_ref().map(action::fault).filter(|fault| {
                *fault
                    != Fault {
                        delay: None,
                        abort: None,
                    }
            }),
            rule: rule_name(service),
            authorization: Authorized::Here,
        };
        action::lift_host_and_single_destination(&mut route);
        Some(route)
    }

    fn report_unreachable(
        &mut self,
        entrance: &Entrance<'_>,
        service: &Arc<Resource<VirtualService>>,
        index: usize,
    ) {
        let later = service
            .spec
            .http
            .iter()
            .enumerate()
            .skip(index + 1)
            .find(|(_, http)| {
                http.matches.is_empty()
                    || http.matches.iter().any(|condition| {
                        applies(
                            &Source::of_http(&service.meta.namespace, condition),
                            entrance,
                        )
                    })
            });
        if let Some((later, _)) = later {
            self.report(
                Severity::Warning,
                "IST0130",
                service,
                format_args!("spec.http[{later}]"),
                format!("never reached: spec.http[{index}] takes every request"),
            );
        }
    }
}

/// Whether a match asks for claims of a JWT, written as headers. Nothing checks tokens yet, so it
/// never holds, not even turned round; a header of that name from the client must not count.
fn asks_for_claims(condition: &HttpMatchRequest) -> bool {
    (condition.headers.keys())
        .chain(condition.without_headers.keys())
        .any(|name| name.starts_with("@request.auth.claims"))
}

/// The virtual host that refuses what no other takes, with the reason in the answer.
pub(crate) fn block_all(status: u16, rule: &str, reason: &str) -> VirtualHost {
    VirtualHost {
        name: "block_all".to_owned(),
        domains: vec!["*".to_owned()],
        require_tls: false,
        routes: vec![Route {
            name: "block_all".to_owned(),
            matches: RouteMatch::any(),
            action: Action::Respond {
                status,
                body: format!("{reason}\n"),
            },
            request_headers: HeaderOperations::default(),
            response_headers: HeaderOperations::default(),
            fault: None,
            rule: rule.to_owned(),
            authorization: Authorized::Here,
        }],
    }
}

/// The route that Istio makes for a host without VirtualService.
pub(crate) fn default_route(forward: Forward, rule: String) -> Route {
    Route {
        name: "default".to_owned(),
        matches: RouteMatch::any(),
        action: Action::Forward(forward),
        request_headers: HeaderOperations::default(),
        response_headers: HeaderOperations::default(),
        fault: None,
        rule,
        authorization: Authorized::Here,
    }
}

/// Forwarding everything to one destination, with Istio's defaults.
pub(crate) fn plain_forward(
    destination: String,
    retry: Option<sluice_plan::route::Retry>,
) -> Forward {
    Forward {
        to: vec![WeightedDestination::all(destination)],
        timeout: None,
        retry,
        rewrite_path: None,
        rewrite_host: None,
        mirrors: Vec::new(),
        hash: Vec::new(),
    }
}
