//! AuthorizationPolicies on the gateway: who may pass, and what is closed without a dial.

use sluice_plan::{
    authorization::Decision,
    listener::{Chain, Filter, Role},
    simulate::{Call, Outcome},
};
use sluice_resolve::{analyze, proxy};

use super::world::{World, examples, get, http, is_closed, reaches, status, tcp, tls};

const API: &str = "outbound|80||api.partner.example";
const FILES: &str = "outbound|443||files.partner.example";

/// The examples' HTTP and TLS hosts, for clients of `shop` and `lab`, with these policies, each as
/// `NAME: SPEC` in the gateway's namespace.
fn world(policies: &[(&str, &str)]) -> World {
    let mut world = examples(&["egress-gateway-http", "egress-gateway-https-passthrough"]);
    for (name, spec) in policies {
        world = world.with(&policy("istio-system", name, spec));
    }
    world
}

fn policy(namespace: &str, name: &str, spec: &str) -> String {
    format!(
        "{{apiVersion: security.istio.io/v1, kind: AuthorizationPolicy, \
         metadata: {{name: {name}, namespace: {namespace}}}, spec: {spec}}}"
    )
}

fn may_get(world: &World) -> bool {
    let outcome = world.call(&get("api.partner.example"));
    match status(&outcome) {
        Some(403) => false,
        _ => {
            assert_eq!(outcome, reaches(API));
            true
        }
    }
}

fn may_tls(world: &World) -> bool {
    let outcome = world.call(&tls("files.partner.example", 443));
    if !is_closed(&outcome) {
        assert_eq!(outcome, reaches(FILES));
    }
    !is_closed(&outcome)
}

/// Each spec of one policy, and whether `shop/checkout` may GET, and speak TLS.
#[test]
fn rules_say_who_may_pass() {
    let of = |source: &str| format!("{{rules: [{{from: [{{source: {{{source}}}}}]}}]}}");
    let to = |operation: &str| format!("{{rules: [{{to: [{{operation: {{{operation}}}}}]}}]}}");
    let when = |condition: &str| format!("{{rules: [{{when: [{{{condition}}}]}}]}}");
    let deny = |spec: String| spec.replacen('{', "{action: DENY, ", 1);
    let cases = [
        // What no rule allows is refused, if there is any ALLOW.
        ("{}".to_owned(), false, false),
        ("{rules: [{}]}".to_owned(), true, true),
        ("{action: DENY}".to_owned(), true, true),
        ("{action: DENY, rules: [{}]}".to_owned(), false, false),
        ("{action: AUDIT, rules: [{}]}".to_owned(), true, true),
        // Sources.
        (
            of("principals: [cluster.local/ns/shop/sa/checkout]"),
            true,
            true,
        ),
        (of("principals: ['*/sa/checkout']"), true, true),
        (of("principals: ['cluster.local/ns/sho*']"), true, true),
        (of("principals: ['*']"), true, true),
        (
            of("principals: [cluster.local/ns/lab/sa/batch]"),
            false,
            false,
        ),
        (
            of("notPrincipals: [cluster.local/ns/lab/sa/batch]"),
            true,
            true,
        ),
        (
            of("notPrincipals: [cluster.local/ns/shop/sa/checkout]"),
            false,
            false,
        ),
        (of("namespaces: [lab, shop]"), true, true),
        (of("namespaces: [sho]"), false, false),
        (of("notNamespaces: ['sh*']"), false, false),
        (of("serviceAccounts: [shop/checkout]"), true, true),
        (of("serviceAccounts: [checkout]"), false, false),
        (of("notServiceAccounts: [checkout]"), true, true),
        (of("trustDomains: [cluster.local]"), true, true),
        (of("requestPrincipals: ['*']"), false, false),
        (deny(of("requestPrincipals: ['*']")), false, false),
        (deny(of("namespaces: [shop]")), false, false),
        (deny(of("namespaces: [lab]")), true, true),
        (
            deny(of("namespaces: [shop], notPrincipals: ['*/sa/checkout']")),
            true,
            true,
        ),
        // Operations. For bytes an ALLOW with HTTP's fields is no rule, a DENY forgets them.
        (to("methods: [GET]"), true, false),
        (to("methods: [POST]"), false, false),
        (to("notMethods: [POST]"), true, false),
        (to("paths: ['/*']"), true, false),
        (to("paths: ['/v1/*']"), false, false),
        (to("paths: ['/v1/{*}']"), false, false),
        (to("notPaths: ['/v1/*']"), true, false),
        (to("hosts: ['API.partner.example']"), true, false),
        (to("hosts: ['*.partner.example']"), true, false),
        (to("notHosts: ['*.partner.example']"), false, false),
        (deny(to("methods: [POST]")), true, false),
        (deny(to("methods: [GET]")), false, false),
        // As on Istio, the port is the one that the gateway listens on.
        (to("ports: ['8080']"), true, false),
        (to("ports: ['8443']"), false, true),
        (to("notPorts: ['8443']"), true, false),
        // Conditions.
        (when("key: source.namespace, values: [shop]"), true, true),
        (
            when("key: source.principal, notValues: ['cluster.local/ns/shop/*']"),
            false,
            false,
        ),
        (
            when("key: source.serviceAccount, values: [shop/checkout]"),
            true,
            true,
        ),
        (when("key: destination.port, values: ['8443']"), false, true),
        (
            when("key: connection.sni, values: [files.partner.example]"),
            false,
            true,
        ),
        (
            when("key: connection.sni, values: ['*.partner.example']"),
            false,
            true,
        ),
        (
            when("key: connection.sni, notValues: ['files.partner.example']"),
            true,
            false,
        ),
        (
            when("key: 'request.headers[X-Team]', values: [a]"),
            false,
            false,
        ),
        (
            when("key: 'request.headers[X-Team]', notValues: [a]"),
            true,
            false,
        ),
        (
            when("key: 'request.auth.claims[a]', values: [a]"),
            false,
            false,
        ),
        (
            deny(when("key: 'request.auth.claims[a]', values: [a]")),
            false,
            false,
        ),
        (
            when("key: destination.ip, values: [0.0.0.0/0]"),
            false,
            false,
        ),
    ];
    for (spec, http, tls) in cases {
        let world = world(&[("one", &spec)]);
        assert_eq!(may_get(&world), http, "HTTP: {spec}");
        assert_eq!(may_tls(&world), tls, "TLS: {spec}");
    }
}

#[test]
fn deny_wins_over_allow() {
    let allow = ("allow", "{rules: [{}]}");
    let deny = "{action: DENY, rules: [{to: [{operation: {paths: [/secret]}}]}]}";
    let both = world(&[allow, ("deny", deny)]);
    assert!(may_get(&both));
    let secret = http("GET", "api.partner.example", "/secret?x", &[]);
    let explained = both.explain("shop/checkout", &secret);
    assert_eq!(status(&explained.outcome), Some(403));
    assert!(!explained.allowed);
    let last = explained.steps.last().unwrap();
    assert_eq!(last.rule, "AuthorizationPolicy/istio-system/deny");
    assert!(last.destinations.is_empty());
}

#[test]
fn a_policy_on_trial_refuses_nothing() {
    let world = examples(&["egress-gateway-http"]).with(
        "{apiVersion: security.istio.io/v1, kind: AuthorizationPolicy, metadata: {name: trial, \
         namespace: istio-system, annotations: {istio.io/dry-run: 'true'}}, spec: {}}",
    );
    assert!(may_get(&world));
    let plan = proxy(&world.catalog, &world.gateway()).plan;
    let server = &plan.listeners["0.0.0.0_8080"];
    let stages = &server.chains[0].authorization.stages;
    assert!(stages[0].enforced.is_none() && stages[0].dry_run.is_some());
}

#[test]
fn only_policies_of_the_gateway_and_the_mesh_hold() {
    let nothing = "{}";
    for (namespace, spec, expected) in [
        ("istio-system", nothing, false),
        // A client's namespace has no say about the gateway.
        ("shop", nothing, true),
        (
            "istio-system",
            "{selector: {matchLabels: {istio: egressgateway}}}",
            false,
        ),
        (
            "istio-system",
            "{selector: {matchLabels: {istio: ingressgateway}}}",
            true,
        ),
    ] {
        let world = world(&[]).with(&policy(namespace, "one", spec));
        assert_eq!(may_get(&world), expected, "{namespace} {spec}");
    }
}

#[test]
fn each_class_has_its_own_verdict() {
    let shared = "
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: shared, namespace: istio-system}
spec:
  hosts: [shared.example]
  addresses: [192.0.2.9]
  ports: [{number: 80, name: http, protocol: HTTP}, {number: 443, name: tls, protocol: TLS}, {number: 22, name: tcp, protocol: TCP}]
  resolution: DNS
";
    // These leave from the mesh half, without a Gateway server.
    let world = world(&[(
        "shop",
        "{rules: [{from: [{source: {namespaces: [shop]}}], to: [{operation: {ports: ['22', '443', '80']}}]}]}",
    )])
    .with(shared);
    let outcome = |from: &str, call: &Call| world.explain(from, call).outcome;
    for call in [tls("shared.example", 443), tcp("192.0.2.9", 22)] {
        assert!(!is_closed(&outcome("shop/checkout", &call)), "{call:?}");
        assert!(is_closed(&outcome("lab/batch", &call)), "{call:?}");
    }
    let call = get("shared.example");
    assert_eq!(status(&outcome("shop/checkout", &call)), None);
    assert_eq!(status(&outcome("lab/batch", &call)), Some(403));
    // What nothing lets out keeps its own reason.
    assert_eq!(
        status(&outcome("lab/batch", &get("evil.example"))),
        Some(502)
    );
}

/// A chain that a class may not use is none that dials, so nothing waits for first bytes either.
#[test]
fn what_identity_decides_is_decided_before_a_connection() {
    let policy = (
        "shop",
        "{rules: [{from: [{source: {namespaces: [shop]}}]}]}",
    );
    let world = world(&[policy]);
    let plan = proxy(&world.catalog, &world.gateway()).plan;
    let of_classes = plan
        .listeners
        .values()
        .filter(|listener| match listener.role {
            Role::Class(_) | Role::Hop(_) => true,
            Role::Server { .. }
            | Role::Capture { .. }
            | Role::TunnelClient { .. }
            | Role::TunnelServer { .. } => false,
        });
    for chain in of_classes.flat_map(|listener| &listener.chains) {
        if let Filter::Tcp(_) = chain.filter {
            assert!(!chain.authorization.may_deny(), "{}", chain.name);
        }
    }
}

#[test]
fn on_bare_ports_only_the_mesh_s_tls_proves_who_it_is() {
    let mutual = "
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: mutual, namespace: shop}
spec:
  selector: {istio: egressgateway}
  servers:
  - port: {number: 443, name: mtls, protocol: HTTPS}
    hosts: [mutual.partner.example]
    tls: {mode: ISTIO_MUTUAL}
";
    let decision = |spec: &str| {
        let world = world(&[("one", spec)]).with(mutual);
        let plan = proxy(&world.catalog, &world.gateway()).plan;
        let said = |chain: &Chain| match chain.authorization.decide(|_| None, |_| None) {
            Decision::Allowed => "allowed",
            Decision::Denied { .. } => "denied",
            Decision::Depends { .. } => "depends",
        };
        let plain = said(&plan.listeners["0.0.0.0_8080"].chains[0]);
        let of_8443 = &plan.listeners["0.0.0.0_8443"].chains;
        let mutual = of_8443.iter().find(|chain| chain.tls.is_some()).unwrap();
        (plain, said(mutual))
    };
    let of = |source: &str| format!("{{rules: [{{from: [{{source: {{{source}}}}}]}}]}}");
    assert_eq!(decision("{rules: [{}]}"), ("allowed", "allowed"));
    assert_eq!(decision(&of("namespaces: [shop]")), ("denied", "depends"));
    assert_eq!(
        decision(&of("notNamespaces: [shop]")),
        ("denied", "depends")
    );
    assert_eq!(
        decision(&of("ipBlocks: [10.0.0.0/8]")),
        ("depends", "depends")
    );
    let deny = |source: &str| of(source).replacen('{', "{action: DENY, ", 1);
    assert_eq!(
        decision(&deny("namespaces: [shop]")),
        ("allowed", "depends")
    );
    assert_eq!(
        decision(&deny("notNamespaces: [shop]")),
        ("denied", "depends")
    );
}

#[test]
fn what_is_not_judged_is_reported() {
    let world = world(&[(
        "jwt",
        "{rules: [{when: [{key: 'request.auth.claims[a]', values: [a]}, {key: destination.ip, values: [192.0.2.1]}]}]}",
    )]);
    let found: Vec<_> = analyze(&world.catalog)
        .into_iter()
        .filter(|found| found.code == "SLU0010")
        .map(|found| (found.field, found.message))
        .collect();
    assert_eq!(found.len(), 2, "{found:?}");
    assert_eq!(found[0].0, "spec.rules[0].when[0].key");
    assert!(found[0].1.contains("never matches"), "{found:?}");
}

/// What an EgressPolicy opens, an AuthorizationPolicy still closes, also on the copies of
/// listeners that leave from another address.
#[test]
fn an_authorization_policy_closes_what_an_egress_policy_opens() {
    let calls = [
        get("api.partner.example"),
        get("orders.partner.example"),
        get("stock.partner.example"),
    ];
    let opened = examples(&["egress-policy", "egress-gateway-http"]);
    let shop = "{action: DENY, rules: [{from: [{source: {namespaces: [shop]}}]}]}";
    let closed = examples(&["egress-policy", "egress-gateway-http"]).with(&policy(
        "istio-system",
        "not-the-shop",
        shop,
    ));
    for call in calls {
        let before = opened.call(&call);
        assert!(
            matches!(before, Outcome::Reaches(_)),
            "{call:?}: {before:?}"
        );
        assert_eq!(status(&closed.call(&call)), Some(403), "{call:?}");
    }
    let range = tcp("198.51.100.65", 2222);
    for call in [tls("orders.partner.example", 443), range] {
        assert!(!is_closed(&opened.call(&call)), "{call:?}");
        let refused = closed.explain("shop/checkout", &call);
        assert!(is_closed(&refused.outcome), "{call:?}");
        let rule = &refused.steps.last().unwrap().rule;
        assert_eq!(rule, "AuthorizationPolicy/istio-system/not-the-shop");
    }
}
