//! Istio's egress tasks: both halves are walked, and nothing else gets out.

use sluice_plan::{
    destination::Resolution,
    secret::{CertificateSource, TrustSource},
    tls::Sni,
};
use sluice_resolve::proxy;

use super::world::{examples, get, is_closed, reaches, status, tcp, tls};

#[test]
fn http_goes_through_both_halves_to_the_host() {
    let world = examples(&["egress-gateway-http"]);
    let explanation = world.explain("shop/checkout", &get("api.partner.example"));
    assert_eq!(
        explanation.outcome,
        reaches("outbound|80||api.partner.example")
    );
    let rules: Vec<_> = explanation
        .steps
        .iter()
        .map(|step| step.rule.as_str())
        .collect();
    assert_eq!(rules, ["VirtualService/shop/api-through-egress-gateway"; 2]);
    assert!(
        explanation.steps[1].listener.starts_with("server|8080@"),
        "{:?}",
        explanation.steps
    );
}

#[test]
fn tls_is_passed_through_both_halves_by_server_name() {
    let world = examples(&["egress-gateway-https-passthrough"]);
    assert_eq!(
        world.call(&tls("files.partner.example", 443)),
        reaches("outbound|443||files.partner.example")
    );
    assert!(is_closed(&world.call(&tls("other.partner.example", 443))));
}

#[test]
fn the_gateway_begins_tls_with_the_ca_of_a_secret() {
    let world = examples(&["egress-gateway-tls-origination"]);
    assert_eq!(
        world.call(&get("pay.bank.example")),
        reaches("outbound|443||pay.bank.example")
    );
    let plan = proxy(&world.catalog, &world.gateway()).plan;
    let tls = plan.destinations["outbound|443||pay.bank.example"]
        .tls
        .clone()
        .unwrap();
    assert_eq!(tls.sni, Sni::Fixed("pay.bank.example".to_owned()));
    assert_eq!(
        tls.trust,
        Some(TrustSource::Credential("bank-ca".to_owned()))
    );
    assert_eq!(tls.certificate, None);
    assert_eq!(
        plan.secrets.keys().collect::<Vec<_>>(),
        ["kubernetes://bank-ca-cacert"]
    );
}

#[test]
fn the_gateway_presents_the_certificate_of_a_secret() {
    let world = examples(&["egress-gateway-mutual-tls-origination"]);
    assert_eq!(
        world.call(&get("ledger.bank.example")),
        reaches("outbound|443||ledger.bank.example")
    );
    let plan = proxy(&world.catalog, &world.gateway()).plan;
    let tls = plan.destinations["outbound|443||ledger.bank.example"]
        .tls
        .clone()
        .unwrap();
    assert_eq!(
        tls.certificate,
        Some(CertificateSource::Credential(
            "client-credential".to_owned()
        ))
    );
    let secrets: Vec<_> = plan.secrets.keys().map(String::as_str).collect();
    assert_eq!(
        secrets,
        [
            "kubernetes://client-credential",
            "kubernetes://client-credential-cacert"
        ]
    );
}

#[test]
fn a_missing_secret_closes_its_own_host_only_and_is_reported() {
    let world = examples(&["egress-gateway-http", "egress-gateway-tls-origination"]).with(
        "
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: broken, namespace: istio-system, creationTimestamp: '2020-01-01T00:00:00Z'}
spec:
  host: api.partner.example
  trafficPolicy:
    tls: {mode: SIMPLE, credentialName: nowhere}
",
    );
    assert_eq!(status(&world.call(&get("api.partner.example"))), Some(503));
    assert_eq!(
        world.call(&get("pay.bank.example")),
        reaches("outbound|443||pay.bank.example")
    );
    let diagnostics = sluice_resolve::analyze(&world.catalog);
    let found = diagnostics
        .iter()
        .find(|found| found.message.contains("nowhere"))
        .expect("a diagnostic");
    assert_eq!(found.field, "spec.http[1].route[0].destination.host");
    assert_eq!(found.code, "IST0101");
}

#[test]
fn files_of_the_gateway_pod_are_named_as_istio_names_them() {
    let world = examples(&["egress-gateway-mutual-tls-origination-files"]);
    let plan = proxy(&world.catalog, &world.gateway()).plan;
    let tls = plan.destinations["outbound|443||vault.bank.example"]
        .tls
        .clone()
        .unwrap();
    assert_eq!(
        tls.certificate.unwrap().sds_name(),
        "file-cert:/etc/istio/egressgateway-certs/tls.crt~/etc/istio/egressgateway-certs/tls.key"
    );
    assert_eq!(
        tls.trust.unwrap().sds_name(),
        "file-root:/etc/istio/egressgateway-ca-certs/ca.crt"
    );
}

#[test]
fn bytes_go_by_address_and_port() {
    let world = examples(&["tcp-by-address"]);
    assert_eq!(
        world.call(&tcp("198.51.100.40", 22)),
        reaches("outbound|22||sftp.partner.example@shop")
    );
    assert!(is_closed(&world.call(&tcp("198.51.100.41", 22))));
    assert!(is_closed(&world.call(&tcp("198.51.100.40", 23))));
    assert_eq!(
        world.call(&tcp("198.51.100.50", 7000)),
        reaches("outbound|7000||feeds.partner.example@shop")
    );
    assert!(is_closed(&world.call(&tcp("198.51.100.64", 7000))));
    let plan = proxy(&world.catalog, &world.gateway()).plan;
    let feeds = &plan.destinations["outbound|7000||feeds.partner.example@shop"];
    assert_eq!(feeds.resolution, Resolution::Original { port: Some(7000) });
}

#[test]
fn what_no_object_declares_is_denied() {
    let world = examples(&[
        "egress-gateway-http",
        "egress-gateway-https-passthrough",
        "tcp-by-address",
    ]);
    assert_eq!(status(&world.call(&get("evil.example"))), Some(502));
    assert!(is_closed(&world.call(&tls("evil.example", 443))));
    assert!(is_closed(&world.call(&tls("api.partner.example", 80))));
    assert!(is_closed(&world.call(&tcp("192.0.2.1", 4444))));
}

#[test]
fn a_host_without_virtual_service_leaves_directly() {
    let world = examples(&[]).with(
        "
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: direct, namespace: shop}
spec:
  hosts: [direct.example]
  ports: [{number: 80, name: http, protocol: HTTP}, {number: 443, name: tls, protocol: TLS}]
  resolution: DNS
",
    );
    assert_eq!(
        world.call(&get("direct.example")),
        reaches("outbound|80||direct.example@shop")
    );
    assert_eq!(
        world.call(&tls("direct.example", 443)),
        reaches("outbound|443||direct.example@shop")
    );
}

#[test]
fn the_sidecar_gets_the_same_however_many_objects_exist() {
    let checkout = |world: &super::world::World| {
        let pod = world.catalog.pod("shop", "checkout-0").unwrap().clone();
        proxy(&world.catalog, &sluice_resolve::ProxyIdentity::of(&pod)).plan
    };
    let few = examples(&[]);
    let many = (0..10_000).fold(String::new(), |yaml, number| {
        yaml + &format!(
            "---\napiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {{name: e{number}, namespace: shop}}\nspec: {{hosts: [h{number}.example], ports: [{{number: 443, name: tls, protocol: TLS}}], resolution: DNS}}\n"
        )
    });
    let many = examples(&[]).with(&many);
    assert_eq!(checkout(&few), checkout(&many));
    assert_eq!(
        many.call(&tls("h9999.example", 443)),
        reaches("outbound|443||h9999.example@shop")
    );
}

#[test]
fn any_order_of_arrival_gives_the_same_plan() {
    let names = [
        "egress-gateway-http",
        "egress-gateway-https-passthrough",
        "http-routing",
        "tcp-by-address",
    ];
    let mut backwards = names;
    backwards.reverse();
    let (a, b) = (examples(&names), examples(&backwards));
    assert_eq!(
        proxy(&a.catalog, &a.gateway()).plan,
        proxy(&b.catalog, &b.gateway()).plan
    );
}
