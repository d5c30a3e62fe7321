//! One namespace's objects do not change another's routing.

use super::world::{World, examples, get, is_closed, reaches, status, tls};

fn world() -> World {
    examples(&[]).with(
        "
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: private, namespace: shop}
spec:
  hosts: [private.example]
  exportTo: ['.']
  ports: [{number: 80, name: http, protocol: HTTP}, {number: 443, name: tls, protocol: TLS}]
  resolution: DNS
",
    )
}

#[test]
fn an_entry_hidden_by_export_to_is_unreachable() {
    let world = world();
    assert_eq!(
        world.call(&get("private.example")),
        reaches("outbound|80||private.example@shop")
    );
    let other = world.explain("lab/batch", &get("private.example"));
    assert_eq!(status(&other.outcome), Some(502));
    assert!(!other.allowed);
    assert!(is_closed(
        &world
            .explain("lab/batch", &tls("private.example", 443))
            .outcome
    ));
}

#[test]
fn a_sidecar_narrows_what_its_namespace_sees() {
    let world = world().with(
        "
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: second, namespace: shop}
spec:
  hosts: [second.example]
  ports: [{number: 80, name: http, protocol: HTTP}]
  resolution: DNS
---
apiVersion: networking.istio.io/v1
kind: Sidecar
metadata: {name: default, namespace: shop}
spec:
  egress: [{hosts: ['./second.example']}]
",
    );
    assert_eq!(status(&world.call(&get("private.example"))), Some(502));
    assert_eq!(
        world.call(&get("second.example")),
        reaches("outbound|80||second.example@shop")
    );
}

#[test]
fn a_destination_rule_of_another_namespace_does_not_apply() {
    let world = world().with(
        "
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: shared, namespace: istio-system}
spec:
  hosts: [shared.example]
  ports: [{number: 80, name: http, protocol: HTTP}]
  resolution: DNS
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: theirs, namespace: lab}
spec:
  host: shared.example
  trafficPolicy: {tls: {mode: SIMPLE}}
",
    );
    let tls_of = |from: &str| {
        world
            .explain(from, &get("shared.example"))
            .destination
            .unwrap()
            .tls
    };
    assert_eq!(tls_of("shop/checkout"), None);
    assert!(tls_of("lab/batch").is_some());
}

#[test]
fn a_clients_namespace_cannot_use_what_is_the_gateways() {
    for tls in [
        "{mode: MUTUAL, credentialName: client-credential}",
        "{mode: SIMPLE, credentialName: client-credential}",
        "{mode: MUTUAL, clientCertificate: /etc/certs/tls.crt, privateKey: /etc/certs/tls.key}",
        "{mode: SIMPLE, caCertificates: /etc/certs/ca.crt}",
        "{mode: ISTIO_MUTUAL}",
    ] {
        let world = examples(&["egress-gateway-mutual-tls-origination"]).with(&format!(
            "
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {{name: thief, namespace: lab}}
spec:
  hosts: [thief.example]
  exportTo: ['.']
  ports: [{{number: 80, name: http, protocol: HTTP}}]
  resolution: DNS
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {{name: thief, namespace: lab}}
spec:
  host: thief.example
  trafficPolicy: {{tls: {tls}}}
",
        ));
        let theft = world.explain("lab/batch", &get("thief.example"));
        assert!(!theft.allowed, "{tls}: {theft}");
    }
}

#[test]
fn an_account_of_the_fleet_is_no_client() {
    let client = sluice_resolve::Client {
        namespace: "istio-system".to_owned(),
        service_account: "istio-egressgateway".to_owned(),
        labels: std::collections::BTreeMap::new(),
    };
    let world = world();
    assert!(
        sluice_resolve::explain(
            &world.catalog,
            &world.gateway(),
            &client,
            &get("private.example")
        )
        .is_err()
    );
}

#[test]
fn labels_alone_make_no_gateway() {
    let world = world().with(
        "
apiVersion: v1
kind: Pod
metadata: {name: impostor, namespace: lab, labels: {istio: egressgateway}}
spec: {serviceAccountName: batch}
status: {podIP: 10.244.9.9}
",
    );
    let checkout = world.catalog.pod("shop", "checkout-0").unwrap().clone();
    let plan = sluice_resolve::proxy(
        &world.catalog,
        &sluice_resolve::ProxyIdentity::of(&checkout),
    )
    .plan;
    let endpoints = plan
        .endpoints
        .values()
        .flat_map(|found| found.endpoints.clone());
    assert!(
        endpoints
            .into_iter()
            .all(|endpoint| !format!("{endpoint:?}").contains("10.244.9.9"))
    );
    let impostor = world.catalog.pod("lab", "impostor").unwrap().clone();
    let plan = sluice_resolve::proxy(
        &world.catalog,
        &sluice_resolve::ProxyIdentity::of(&impostor),
    )
    .plan;
    assert!(
        plan.listeners.contains_key("virtualOutbound"),
        "it gets a sidecar's plan, no gateway's"
    );
}
