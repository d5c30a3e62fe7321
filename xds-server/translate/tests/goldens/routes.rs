//! Routes that do all that a route can.

use super::*;

pub(crate) fn forwards() -> ProxyPlan {
    let full = Route {
        matches: RouteMatch {
            path: PathMatch::Prefix("/v1".to_owned()),
            ignore_case: true,
            headers: vec![
                header(":method", ValueMatch::Exact("GET".to_owned()), false),
                header("x-user", ValueMatch::Present, false),
                header("x-old", ValueMatch::Present, true),
                header("x-kind", ValueMatch::Regex("a|b".to_owned()), true),
                header("x-any", ValueMatch::Prefix(String::new()), false),
            ],
            query: vec![
                QueryMatch {
                    name: "q".to_owned(),
                    value: ValueMatch::Prefix("x".to_owned()),
                },
                QueryMatch {
                    name: "debug".to_owned(),
                    value: ValueMatch::Present,
                },
            ],
        },
        action: Action::Forward(Forward {
            to: vec![
                WeightedDestination {
                    weight: 75,
                    request_headers: operations(),
                    ..WeightedDestination::all("a")
                },
                WeightedDestination {
                    weight: 25,
                    response_headers: operations(),
                    ..WeightedDestination::all("b")
                },
            ],
            timeout: Some(Duration::from_millis(2500)),
            retry: Some(Retry {
                attempts: 2,
                per_try_timeout: Some(Duration::from_secs(1)),
                on: "connect-failure,refused-stream,unavailable,cancelled,retriable-status-codes"
                    .to_owned(),
                status_codes: vec![503],
                avoid_previous_hosts: true,
            }),
            rewrite_path: Some(PathRewrite::Matched("/v2".to_owned())),
            rewrite_host: Some("api.example".to_owned()),
            mirrors: vec![Mirror {
                destination: "b".to_owned(),
                basis_points: 1250,
            }],
            hash: vec![
                HashPolicy::Header("x-user".to_owned()),
                HashPolicy::Cookie {
                    name: "session".to_owned(),
                    path: "/".to_owned(),
                    ttl: Some(Duration::from_secs(60)),
                },
                HashPolicy::Query("user".to_owned()),
                HashPolicy::SourceIp,
            ],
        }),
        request_headers: operations(),
        response_headers: operations(),
        ..route(forward_to("a"))
    };
    let regex = Route {
        matches: RouteMatch {
            path: PathMatch::Regex("/users/[0-9]+".to_owned()),
            ..RouteMatch::any()
        },
        action: Action::Forward(Forward {
            rewrite_path: Some(PathRewrite::Regex {
                pattern: "^/users/([0-9]+)$".to_owned(),
                substitution: r"/u/\1".to_owned(),
            }),
            ..forward("a")
        }),
        ..route(forward_to("a"))
    };
    let zero = WeightedDestination {
        weight: 0,
        ..WeightedDestination::all("a")
    };
    let all_zero = Action::Forward(Forward {
        to: vec![
            zero.clone(),
            WeightedDestination {
                destination: "b".to_owned(),
                ..zero
            },
        ],
        ..forward("a")
    });
    let exact = Route {
        matches: RouteMatch {
            path: PathMatch::Exact("/health".to_owned()),
            ..RouteMatch::any()
        },
        ..route(all_zero)
    };
    let mut plan = routes_only(vec![full, regex, exact, route(forward_to("a"))]);
    plan.add_destination(dns("a", "a.example", 80));
    plan.add_destination(dns("b", "b.example", 80));
    plan
}

pub(crate) fn answers() -> ProxyPlan {
    let redirect = Action::Redirect(Redirect {
        scheme: Some("https".to_owned()),
        host: Some("new.example".to_owned()),
        port: Some(8443),
        path: Some("/new".to_owned()),
        status: 308,
    });
    let faulty = Route {
        fault: Some(Fault {
            delay: Some(FaultDelay {
                duration: Duration::from_secs(5),
                basis_points: 10,
            }),
            abort: Some(FaultAbort {
                status: AbortStatus::Http(503),
                basis_points: 10_000,
            }),
        }),
        ..route(forward_to("a"))
    };
    let grpc = Route {
        fault: Some(Fault {
            delay: None,
            abort: Some(FaultAbort {
                status: AbortStatus::Grpc(14),
                basis_points: 5000,
            }),
        }),
        ..route(forward_to("a"))
    };
    let respond = |status, body: &str| {
        route(Action::Respond {
            status,
            body: body.to_owned(),
        })
    };
    let mut plan = routes_only(vec![
        route(redirect),
        faulty,
        grpc,
        respond(418, "I am a teapot"),
        respond(502, ""),
    ]);
    plan.add_destination(dns("a", "a.example", 80));
    let mut table = RouteTable::clone(&plan.routes["http.8080"]);
    table.virtual_hosts[0].require_tls = true;
    plan.add_routes(table);
    plan
}
