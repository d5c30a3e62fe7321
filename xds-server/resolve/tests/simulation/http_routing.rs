//! HTTP routes: matches, actions and their order.

use std::time::Duration;

use sluice_plan::route::{Action, Forward, PathRewrite, Route};
use sluice_resolve::proxy;

use super::world::{World, examples, http, reaches, status};

fn world() -> World {
    examples(&["http-routing"])
}

fn routes(world: &World) -> Vec<Route> {
    let plan = proxy(&world.catalog, &world.gateway()).plan;
    let tables = plan
        .routes
        .values()
        .filter(|table| format!("{table:?}").contains("shop/checkout"));
    tables
        .flat_map(|table| table.virtual_hosts.clone())
        .find(|host| host.name == "catalog.partner.example:80")
        .unwrap()
        .routes
}

fn forward(route: &Route) -> &Forward {
    match &route.action {
        Action::Forward(forward) => forward,
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_first_route_that_matches_decides() {
    let world = world();
    let host = "catalog.partner.example";
    let v1 = [("x-tier", "gold")];
    assert_eq!(
        status(&world.call(&http("DELETE", host, "/x", &[]))),
        Some(403)
    );
    assert_eq!(
        status(&world.call(&http("GET", host, "/old", &[]))),
        Some(308)
    );
    assert_eq!(
        world.call(&http("GET", host, "/v1/items?lang=en", &v1)),
        reaches("outbound|80||catalog-v2.partner.example@shop")
    );
    assert_eq!(
        world.call(&http("GET", host, "/v1/items?lang=de", &v1)),
        reaches("outbound|80||catalog.partner.example@shop")
    );
    assert_eq!(
        world.call(&http(
            "GET",
            host,
            "/v1/items?lang=en",
            &[("x-tier", "goldish")]
        )),
        reaches("outbound|80||catalog.partner.example@shop")
    );
}

#[test]
fn timeouts_retries_rewrites_and_headers_reach_the_plan() {
    let routes = routes(&world());
    let versioned = routes
        .iter()
        .find(|route| route.name == "versioned")
        .unwrap();
    let action = forward(versioned);
    assert_eq!(action.timeout, Some(Duration::from_secs(2)));
    let retry = action.retry.as_ref().unwrap();
    assert_eq!(
        (retry.attempts, retry.per_try_timeout),
        (3, Some(Duration::from_millis(500)))
    );
    assert_eq!(
        action.rewrite_path,
        Some(PathRewrite::Matched("/api/".to_owned()))
    );
    assert_eq!(
        action.rewrite_host.as_deref(),
        Some("catalog-v2.partner.example")
    );
    // The header operations of a single destination belong to the route.
    assert_eq!(
        versioned.request_headers.set,
        [("x-from".to_owned(), "sluice".to_owned())]
    );
    assert_eq!(versioned.request_headers.remove, ["x-secret"]);
    assert_eq!(
        versioned.response_headers.add,
        [("x-through".to_owned(), "egress".to_owned())]
    );
}

#[test]
fn weights_and_mirrors_reach_the_plan() {
    let routes = routes(&world());
    let split = forward(routes.iter().find(|route| route.name == "split").unwrap());
    let shares: Vec<_> = split
        .to
        .iter()
        .map(|share| (share.destination.as_str(), share.weight))
        .collect();
    assert_eq!(
        shares,
        [
            ("outbound|80||catalog.partner.example@shop", 75),
            ("outbound|80||catalog-v2.partner.example@shop", 25)
        ]
    );
    assert_eq!(split.mirrors[0].basis_points, 10_000);
    assert_eq!(split.timeout, None, "no timeout is Istio's default");
    assert_eq!(
        split.retry.as_ref().unwrap().attempts,
        2,
        "two retries are Istio's default"
    );
}

#[test]
fn what_follows_a_catch_all_is_reported() {
    let world = world().with(
        "
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: shadowed, namespace: shop}
spec:
  hosts: [shadow.partner.example]
  http:
  - route: [{destination: {host: shadow.partner.example}}]
  - match: [{uri: {prefix: /never}}]
    directResponse: {status: 200}
",
    );
    let diagnostics = sluice_resolve::analyze(&world.catalog);
    let found = diagnostics
        .iter()
        .find(|found| found.code == "IST0130")
        .expect("IST0130");
    assert_eq!(found.field, "spec.http[1]");
    assert_eq!(
        found.location.as_ref().map(|location| location.line),
        Some(9)
    );
}

#[test]
fn a_route_to_an_unknown_host_answers_503_and_is_reported() {
    let world = world().with(
        "
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: lost, namespace: shop}
spec:
  hosts: [shadow.partner.example]
  http:
  - route: [{destination: {host: nobody.example}}]
",
    );
    assert_eq!(
        status(&world.call(&http("GET", "shadow.partner.example", "/", &[]))),
        Some(503)
    );
    let diagnostics = sluice_resolve::analyze(&world.catalog);
    assert!(
        diagnostics
            .iter()
            .any(|found| found.code == "IST0101" && found.message.contains("nobody.example"))
    );
}
