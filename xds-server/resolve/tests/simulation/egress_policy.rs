//! EgressPolicies: which workload may go where, from which address; a Deny wins.

use sluice_plan::{destination::Resolution, simulate::Outcome};
use sluice_resolve::{analyze, proxy};

use super::world::{World, examples, get, is_closed, reaches, status, tcp, tls};

pub(super) fn world() -> World {
    examples(&["egress-policy"])
}

/// The addresses that a call of `from` leaves from.
#[track_caller]
pub(super) fn source(world: &World, from: &str, call: &sluice_plan::simulate::Call) -> String {
    let explanation = world.explain(from, call);
    let exit = explanation.destination;
    exit.unwrap_or_else(|| panic!("{:?}", explanation.outcome))
        .source_address
}

pub(super) fn codes(world: &World) -> Vec<String> {
    let found = analyze(&world.catalog);
    found
        .iter()
        .map(|found| format!("{} {}", found.code, found.field))
        .collect()
}

#[test]
fn a_policy_alone_opens_a_host_for_its_workload_only() {
    let world = world();
    assert_eq!(
        world.call(&get("orders.partner.example")),
        reaches("outbound|80||orders.partner.example@shop;203.0.113.10")
    );
    assert_eq!(
        world.call(&tls("orders.partner.example", 443)),
        reaches("outbound|443||orders.partner.example@shop;203.0.113.10")
    );
    for from in ["shop/other", "lab/batch"] {
        let denied = world.explain(from, &get("orders.partner.example"));
        assert_eq!(status(&denied.outcome), Some(502), "{from}");
        let denied = world.explain(from, &tls("orders.partner.example", 443));
        assert!(is_closed(&denied.outcome), "{from}");
    }
}

#[test]
fn one_workload_leaves_for_two_hosts_from_two_addresses() {
    let world = world();
    let source = |host| source(&world, "shop/checkout", &get(host));
    assert_eq!(source("orders.partner.example"), "203.0.113.10");
    assert_eq!(source("stock.partner.example"), "203.0.113.11");
}

#[test]
fn explain_names_the_policy_and_the_statistics_stay_istio_s() {
    let world = world();
    let explanation = world.explain("shop/checkout", &get("orders.partner.example"));
    assert_eq!(explanation.steps[0].rule, "EgressPolicy/shop/checkout");
    assert_eq!(
        explanation.destination.unwrap().objects,
        ["EgressPolicy/shop/checkout"]
    );
    let plan = proxy(&world.catalog, &world.gateway()).plan;
    let name = "outbound|80||orders.partner.example@shop;203.0.113.10";
    let stat_name = plan.destinations[name].stat_name.as_deref();
    assert_eq!(stat_name, Some("outbound|80||orders.partner.example"));
}

#[test]
fn a_range_is_open_to_those_who_dial_it_less_its_exceptions() {
    let world = world();
    let to = |address| world.call(&tcp(address, 2222));
    assert_eq!(
        to("198.51.100.65"),
        reaches("PassthroughCluster;203.0.113.10")
    );
    assert!(is_closed(&to("198.51.100.70")), "excepted");
    assert!(is_closed(&to("198.51.100.80")), "outside");
    assert!(is_closed(&world.call(&tcp("198.51.100.65", 22))), "port");
    let other = world.explain("lab/batch", &tcp("198.51.100.65", 2222));
    assert!(is_closed(&other.outcome));
    let plan = proxy(&world.catalog, &world.gateway()).plan;
    assert_eq!(
        plan.destinations["PassthroughCluster;203.0.113.10"].resolution,
        Resolution::Original { port: None }
    );
}

const CASINO: &str = "
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: casino, namespace: shop}
spec:
  hosts: [a.casino.example, '*.b.casino.example', fair.example]
  ports: [{number: 80, name: http, protocol: HTTP}, {number: 443, name: tls, protocol: TLS}]
  resolution: STATIC
  endpoints: [{address: 198.51.100.90}]
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: bytes, namespace: shop}
spec:
  hosts: [bytes.example]
  ports: [{number: 22, name: tcp, protocol: TCP}]
  addresses: [198.51.100.90]
  resolution: STATIC
  endpoints: [{address: 198.51.100.90}]
";

#[test]
fn a_deny_wins_over_a_service_entry_and_names_itself() {
    let world = world().with(CASINO);
    for host in [
        "a.casino.example",
        "x.b.casino.example",
        "new.casino.example",
    ] {
        let denied = world.explain("shop/checkout", &get(host));
        assert_eq!(
            denied.outcome,
            Outcome::Answers {
                status: 403,
                detail: "egress denied: ClusterEgressPolicy/no-gambling denies it".to_owned()
            },
            "{host}"
        );
        assert_eq!(denied.steps[0].rule, "ClusterEgressPolicy/no-gambling");
        let denied = world.explain("shop/checkout", &tls(host, 443));
        assert!(is_closed(&denied.outcome), "{host}");
    }
    let denied = world.explain("shop/checkout", &tls("a.casino.example", 443));
    assert_eq!(denied.steps[0].rule, "ClusterEgressPolicy/no-gambling");
    assert!(world.explain("shop/checkout", &get("fair.example")).allowed);
    let plan = proxy(&world.catalog, &world.gateway()).plan;
    let left: Vec<_> = plan
        .destinations
        .keys()
        .filter(|name| name.contains("casino"))
        .collect();
    assert!(left.is_empty(), "no cluster would resolve it: {left:?}");
}

#[test]
fn a_deny_within_a_wildcard_closes_that_name_alone() {
    let world = world().with("
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: wide, namespace: shop}
spec:
  hosts: ['*.wide.example']
  ports: [{number: 80, name: http, protocol: HTTP}, {number: 443, name: tls, protocol: TLS}]
  resolution: STATIC
  endpoints: [{address: 198.51.100.91}]
---
apiVersion: sluice.dev/v1alpha1
kind: EgressPolicy
metadata: {name: not-this, namespace: shop}
spec:
  action: Deny
  from: [{}]
  to: [{hosts: [evil.wide.example]}]
---
apiVersion: sluice.dev/v1alpha1
kind: EgressPolicy
metadata: {name: some, namespace: shop}
spec:
  from: [{}]
  to: [{hosts: ['*.eu.wide.example'], ports: [{port: 80, protocol: HTTP}, {port: 443, protocol: TLS}]}]
  egressIP: {pool: partners, addresses: [203.0.113.12]}
");
    for call in [get("ok.wide.example"), tls("ok.wide.example", 443)] {
        assert_eq!(source(&world, "shop/checkout", &call), "the gateway's own");
    }
    for call in [get("a.eu.wide.example"), tls("a.eu.wide.example", 443)] {
        assert_eq!(source(&world, "shop/checkout", &call), "203.0.113.12");
    }
    assert_eq!(status(&world.call(&get("evil.wide.example"))), Some(403));
    let closed = world.explain("shop/checkout", &tls("evil.wide.example", 443));
    assert!(is_closed(&closed.outcome));
    assert_eq!(closed.steps[0].rule, "EgressPolicy/shop/not-this");
}

const THROUGH: &str = "
apiVersion: sluice.dev/v1alpha1
kind: EgressPolicy
metadata: {name: through, namespace: shop}
spec:
  from: [{serviceAccounts: [checkout]}]
  to:
  - {hosts: [api.partner.example, pay.bank.example], ports: [{port: 80, protocol: HTTP}]}
  - {hosts: [files.partner.example], ports: [{port: 443, protocol: TLS}]}
  egressIP: {pool: partners, addresses: [203.0.113.12]}
";

#[test]
fn the_address_goes_through_the_gateway_s_half_and_others_keep_theirs() {
    let all = [
        "egress-policy",
        "egress-gateway-http",
        "egress-gateway-https-passthrough",
        "egress-gateway-tls-origination",
    ];
    let world = examples(&all).with(THROUGH);
    for (call, cluster) in [
        (
            get("api.partner.example"),
            "outbound|80||api.partner.example",
        ),
        (
            tls("files.partner.example", 443),
            "outbound|443||files.partner.example",
        ),
        (get("pay.bank.example"), "outbound|443||pay.bank.example"),
    ] {
        let explanation = world.explain("shop/checkout", &call);
        assert_eq!(
            explanation.outcome,
            reaches(&format!("{cluster};203.0.113.12"))
        );
        assert!(explanation.steps[1].listener.ends_with(";203.0.113.12"));
        assert_eq!(explanation.steps[1].rule, explanation.steps[0].rule);
        // Another workload of the namespace goes the same way from the gateway's own address.
        let other = world.explain("shop/other", &call);
        assert_eq!(other.outcome, reaches(cluster));
    }
    let plan = proxy(&world.catalog, &world.gateway()).plan;
    let tls = plan.destinations["outbound|443||pay.bank.example;203.0.113.12"]
        .tls
        .as_ref();
    assert!(tls.is_some(), "TLS is begun as the DestinationRule says");
    let plain = proxy(&examples(&all).catalog, &world.gateway()).plan;
    for (name, table) in plain
        .routes
        .iter()
        .filter(|(name, _)| name.starts_with("http"))
    {
        assert_eq!(plan.routes.get(name), Some(table), "{name} stays as it was");
    }
}

#[test]
fn a_route_of_a_tenant_does_not_lead_round_a_deny() {
    let world = examples(&["egress-gateway-http"]).with(
        "
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: open, namespace: shop}
spec:
  hosts: [open.example]
  ports: [{number: 80, name: http, protocol: HTTP}]
  resolution: DNS
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: round, namespace: shop}
spec:
  hosts: [open.example]
  http: [{route: [{destination: {host: api.partner.example, port: {number: 80}}}]}]
---
apiVersion: sluice.dev/v1alpha1
kind: ClusterEgressPolicy
metadata: {name: not-api}
spec:
  action: Deny
  from: [{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: shop}}}]
  to: [{hosts: [api.partner.example]}]
",
    );
    assert_eq!(status(&world.call(&get("api.partner.example"))), Some(403));
    let round = world.explain("shop/checkout", &get("open.example"));
    assert_eq!(status(&round.outcome), Some(403));
    assert_eq!(round.steps[0].rule, "ClusterEgressPolicy/not-api");
}

#[test]
fn a_denied_range_closes_the_hosts_that_are_dialled_in_it_and_an_allowed_one_keeps_them() {
    let world = world().with(CASINO).with(
        "
apiVersion: sluice.dev/v1alpha1
kind: EgressPolicy
metadata: {name: ranges, namespace: shop}
spec:
  from: [{}]
  to: [{cidrs: [198.51.100.0/24], ports: [{port: 443, protocol: TLS}]}]
---
apiVersion: sluice.dev/v1alpha1
kind: EgressPolicy
metadata: {name: not-there, namespace: shop}
spec:
  action: Deny
  from: [{}]
  to: [{cidrs: [198.51.100.88/29]}]
",
    );
    let at = |address: &str, sni: &str| sluice_plan::simulate::Call {
        address: Some(address.parse().unwrap()),
        ..tls(sni, 443)
    };
    let rule = |call| world.explain("shop/checkout", &call).steps[0].rule.clone();
    assert_eq!(
        rule(at("198.51.100.1", "fair.example")),
        "ServiceEntry/shop/casino"
    );
    assert_eq!(
        rule(at("198.51.100.1", "a.casino.example")),
        "ClusterEgressPolicy/no-gambling"
    );
    assert_eq!(
        rule(at("198.51.100.1", "other.example")),
        "EgressPolicy/shop/ranges"
    );
    assert_eq!(
        rule(at("198.51.100.90", "fair.example")),
        "EgressPolicy/shop/not-there"
    );
    assert_eq!(
        rule(tcp("198.51.100.90", 22)),
        "EgressPolicy/shop/not-there"
    );
}

#[test]
fn labels_that_are_no_identity_select_nobody_and_do_not_narrow_a_deny() {
    let by_label = |action: &str| {
        world().with(CASINO).with(&format!(
            "
apiVersion: sluice.dev/v1alpha1
kind: EgressPolicy
metadata: {{name: by-label, namespace: shop}}
spec:
  action: {action}
  from: [{{podSelector: {{matchLabels: {{tier: web}}}}}}]
  to: [{{hosts: [fair.example, two.example], ports: [{{port: 80, protocol: HTTP}}]}}]
"
        ))
    };
    let allow = by_label("Allow");
    assert_eq!(status(&allow.call(&get("two.example"))), Some(502));
    assert_eq!(
        codes(&allow),
        ["SLU0101 spec.from[0].podSelector.matchLabels.tier"]
    );
    let deny = by_label("Deny");
    assert_eq!(status(&deny.call(&get("fair.example"))), Some(403));
    assert_eq!(
        codes(&deny),
        ["SLU0101 spec.from[0].podSelector.matchLabels.tier"]
    );
}

#[test]
fn what_is_not_in_effect_yet_is_told() {
    let world = world().with(
        "
apiVersion: sluice.dev/v1alpha1
kind: EgressPolicy
metadata: {name: later, namespace: shop}
spec:
  from: [{}]
  to:
  - {hosts: ['*.later.example'], ports: [{port: 443, protocol: TLS}]}
  - {cidrs: [192.0.2.0/24], ports: [{port: 80, protocol: HTTP}]}
",
    );
    assert_eq!(
        codes(&world),
        [
            "SLU0010 spec.to[0].hosts[0]",
            "SLU0010 spec.to[1].ports[0].protocol"
        ]
    );
    assert!(is_closed(&world.call(&tls("a.later.example", 443))));
}

#[test]
fn a_policy_opens_neither_the_cluster_nor_the_gateway_itself() {
    let world = world().with(
        "
apiVersion: sluice.dev/v1alpha1
kind: EgressPolicy
metadata: {name: inward, namespace: shop}
spec:
  from: [{}]
  to:
  - hosts: [localhost, api.bank.svc.cluster.local, istio-egressgateway.istio-system.svc.cluster.local]
    ports: [{port: 80, protocol: HTTP}]
  - {cidrs: [0.0.0.0/0], ports: [{port: 2222, protocol: TCP}]}
",
    );
    for host in [
        "localhost",
        "api.bank.svc.cluster.local",
        "istio-egressgateway.istio-system.svc.cluster.local",
    ] {
        assert_eq!(status(&world.call(&get(host))), Some(502), "{host}");
    }
    for address in ["127.0.0.1", "169.254.169.254", "0.0.0.0"] {
        assert!(is_closed(&world.call(&tcp(address, 2222))), "{address}");
    }
    assert!(!is_closed(&world.call(&tcp("192.0.2.1", 2222))));
    assert_eq!(
        codes(&world),
        ["IST0101 spec.to", "SLU0109 spec.to", "SLU0109 spec.to"]
    );
}
