//! Addresses of EgressPolicies: who decides, and what happens when one cannot be used.

use super::{
    egress_policy::{codes, source, world},
    world::{get, status},
};

fn with_address(name: &str, priority: i32, address: &str) -> String {
    format!(
        "
apiVersion: sluice.dev/v1alpha1
kind: EgressPolicy
metadata: {{name: {name}, namespace: shop}}
spec:
  priority: {priority}
  from: [{{}}]
  to: [{{hosts: [one.example], ports: [{{port: 80, protocol: HTTP}}]}}]
  egressIP: {{pool: partners, addresses: [{address}]}}
"
    )
}

#[test]
fn the_higher_priority_gives_the_address_and_equal_ones_are_reported() {
    let call = get("one.example");
    let world = world().with(&with_address("a", 1, "203.0.113.11"));
    let higher = world.with(&with_address("b", 2, "203.0.113.12"));
    assert_eq!(source(&higher, "shop/checkout", &call), "203.0.113.12");
    assert_eq!(codes(&higher), [""; 0]);
    let equal = higher.with(&with_address("b", 1, "203.0.113.12"));
    assert_eq!(source(&equal, "shop/checkout", &call), "203.0.113.11");
    assert_eq!(codes(&equal), ["SLU0108 spec.egressIP"]);
}

#[test]
fn an_address_that_may_not_be_used_closes_the_host_and_is_reported() {
    for (pool, addresses, field) in [
        ("none", "[203.0.113.10]", "spec.egressIP.pool"),
        (
            "partners",
            "[203.0.113.10, 203.0.113.13]",
            "spec.egressIP.addresses[1]",
        ),
        ("partners", "['2001:db8::1']", "spec.egressIP.addresses[0]"),
        ("labs", "[192.0.2.1]", "spec.egressIP.pool"),
        ("nobodys", "[192.0.2.2]", "spec.egressIP.pool"),
        ("elsewhere", "[192.0.2.3]", "spec.egressIP.pool"),
    ] {
        let world = world().with("
apiVersion: v1
kind: Namespace
metadata: {name: lab, labels: {team: lab}}
---
apiVersion: sluice.dev/v1alpha1
kind: EgressIPPool
metadata: {name: labs}
spec: {addresses: [192.0.2.1], namespaceSelector: {matchLabels: {team: lab}}}
---
apiVersion: sluice.dev/v1alpha1
kind: EgressIPPool
metadata: {name: nobodys}
spec: {addresses: [192.0.2.2]}
---
apiVersion: sluice.dev/v1alpha1
kind: EgressIPPool
metadata: {name: elsewhere}
spec: {addresses: [192.0.2.3], namespaceSelector: {}, gatewaySelector: {matchLabels: {istio: other}}}
").with(&format!("
apiVersion: sluice.dev/v1alpha1
kind: EgressPolicy
metadata: {{name: odd, namespace: shop}}
spec:
  from: [{{}}]
  to: [{{hosts: [one.example], ports: [{{port: 80, protocol: HTTP}}]}}]
  egressIP: {{pool: {pool}, addresses: {addresses}}}
"));
        let denied = world.explain("shop/checkout", &get("one.example"));
        assert_eq!(status(&denied.outcome), Some(403), "{pool} {addresses}");
        assert_eq!(denied.steps[0].rule, "EgressPolicy/shop/odd");
        assert_eq!(codes(&world), [format!("SLU0107 {field}")]);
    }
}
