//! Who is woken by what, and who is let in.

use sluice_crd::parse::parse;
use sluice_plan::identity::{ClassId, SpiffeId};
use sluice_resolve::Change;

use super::*;

const PODS: &str = "
apiVersion: v1
kind: Pod
metadata: {name: web-0, namespace: shop, labels: {app: web}}
spec: {serviceAccountName: checkout}
---
apiVersion: v1
kind: Pod
metadata: {name: egress-0, namespace: istio-system, labels: {istio: egressgateway}}
spec: {serviceAccountName: istio-egressgateway}
";

const ENTRY: &str = "
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: partner, namespace: shop}
spec:
  hosts: [api.partner.example]
  ports: [{number: 443, name: tls, protocol: TLS}]
  resolution: DNS
";

fn changes(text: &str) -> Update {
    let parsed = parse("test.yaml", text, "default");
    assert_eq!(parsed.diagnostics, []);
    Update {
        changes: parsed.objects.into_iter().map(Change::Upsert).collect(),
        ..Update::default()
    }
}

fn publisher() -> Publisher {
    let publisher = Publisher::new(Arc::default());
    publisher.apply(changes(PODS));
    publisher
}

fn peer(namespace: &str, service_account: &str, pod: &str, class: Option<ClassId>) -> Peer {
    let spiffe = SpiffeId::new("cluster.local", namespace, service_account).unwrap();
    let names = sluice_identity::WorkloadNames::new(spiffe, class, Some(pod), None).unwrap();
    Peer {
        uri_sans: vec![names.uri()],
        dns_sans: names.dns_names(),
        ..Peer::default()
    }
}

fn web() -> Peer {
    let class = ClassId::of("shop", "checkout", []);
    peer("shop", "checkout", "web-0", Some(class))
}

fn egress() -> Peer {
    peer("istio-system", "istio-egressgateway", "egress-0", None)
}

fn node(role: &str, namespace: &str, pod: &str) -> Node {
    Node {
        id: format!("{role}~10.0.0.7~{pod}.{namespace}~{namespace}.svc.cluster.local"),
        ..Node::default()
    }
}

fn web_node() -> Node {
    node("sidecar", "shop", "web-0")
}

fn egress_node() -> Node {
    node("router", "istio-system", "egress-0")
}

fn refusal(publisher: &Publisher, peer: &Peer, node: &Node) -> (tonic::Code, String) {
    let status = publisher.subscribe(peer, node).unwrap_err();
    (status.code(), status.message().to_owned())
}

#[test]
fn a_proxy_is_not_woken_when_its_plan_is_the_same() {
    let publisher = publisher();
    let mut gateway = publisher.subscribe(&egress(), &egress_node()).unwrap();

    publisher.apply(changes(
        "apiVersion: v1\nkind: Namespace\nmetadata: {name: other}\n",
    ));
    assert!(!gateway.updates.has_changed().unwrap());

    publisher.apply(changes(ENTRY));
    assert!(gateway.updates.has_changed().unwrap());
    gateway.updates.borrow_and_update();

    publisher.apply(changes(ENTRY));
    assert!(!gateway.updates.has_changed().unwrap());
}

#[test]
fn proxies_with_equal_inputs_share_one_set() {
    let publisher = publisher();
    publisher.apply(changes(&PODS.replace("web-0", "web-1")));
    let class = ClassId::of("shop", "checkout", []);
    let second = peer("shop", "checkout", "web-1", Some(class));

    let one = publisher.subscribe(&web(), &web_node()).unwrap();
    let other = publisher
        .subscribe(&second, &node("sidecar", "shop", "web-1"))
        .unwrap();

    assert!(Arc::ptr_eq(&one.updates.borrow(), &other.updates.borrow()));
}

#[test]
fn a_label_that_is_no_identity_label_does_not_part_proxies() {
    let publisher = publisher();
    let sidecar = publisher.subscribe(&web(), &web_node()).unwrap();

    publisher.apply(changes(&PODS.replace("app: web", "app: other")));

    assert!(!sidecar.updates.has_changed().unwrap());
}

#[test]
fn a_fleet_with_equal_plans_is_rendered_once() {
    let publisher = publisher();
    publisher.apply(changes(&PODS.replace("egress-0", "egress-1")));
    let second = peer("istio-system", "istio-egressgateway", "egress-1", None);
    let second_node = node("router", "istio-system", "egress-1");
    let one = publisher.subscribe(&egress(), &egress_node()).unwrap();
    let other = publisher.subscribe(&second, &second_node).unwrap();
    assert!(Arc::ptr_eq(&one.updates.borrow(), &other.updates.borrow()));

    publisher.apply(changes(ENTRY));

    assert!(one.updates.has_changed().unwrap());
    assert!(Arc::ptr_eq(&one.updates.borrow(), &other.updates.borrow()));
}

#[test]
fn what_is_equal_in_the_next_set_is_shared_with_the_last() {
    let publisher = publisher();
    publisher.apply(changes(ENTRY));
    let mut gateway = publisher.subscribe(&egress(), &egress_node()).unwrap();
    let before = gateway.updates.borrow_and_update().clone();

    publisher.apply(changes(&ENTRY.replace("partner", "other")));
    let after = gateway.updates.borrow_and_update().clone();

    let kept = |kind| {
        before
            .iter(kind)
            .filter(|old| {
                after
                    .get(kind, &old.name)
                    .is_some_and(|new| Arc::ptr_eq(old, new))
            })
            .count()
    };
    assert!(!Arc::ptr_eq(&before, &after));
    assert!(kept(sluice_ads::TypeUrl::Cluster) > 0);
}

#[test]
fn nobody_is_admitted_before_the_configuration_is_read() {
    let publisher = Publisher::new(Arc::default());

    let (code, _) = refusal(&publisher, &web(), &web_node());

    assert_eq!(code, tonic::Code::Unavailable);
    assert!(!publisher.is_ready());
}

#[test]
fn a_proxy_without_a_certificate_is_refused() {
    let (code, message) = refusal(&publisher(), &Peer::default(), &web_node());

    assert_eq!(code, tonic::Code::Unauthenticated);
    assert!(message.contains("CreateCertificate"), "{message}");
}

#[test]
fn a_proxy_may_not_ask_for_the_configuration_of_another_pod() {
    let (code, message) = refusal(&publisher(), &web(), &egress_node());

    assert_eq!(code, tonic::Code::PermissionDenied);
    assert_eq!(
        message,
        "node id is of pod istio-system/egress-0, the certificate is of pod shop/web-0"
    );
}

#[test]
fn a_workload_is_no_gateway_because_it_says_so() {
    let (code, message) = refusal(&publisher(), &web(), &node("router", "shop", "web-0"));

    assert_eq!(code, tonic::Code::PermissionDenied);
    assert!(message.contains("is a sidecar"), "{message}");
}

#[test]
fn a_pod_that_is_not_known_is_refused() {
    let gone = peer("shop", "checkout", "gone", None);

    let (code, message) = refusal(&publisher(), &gone, &node("sidecar", "shop", "gone"));

    assert_eq!(code, tonic::Code::NotFound);
    assert_eq!(message, "pod shop/gone is not known");
}

#[test]
fn a_certificate_of_another_service_account_or_mesh_is_refused() {
    let publisher = publisher();
    let other_account = peer("shop", "admin", "web-0", None);
    let mut other_mesh = web();
    other_mesh.uri_sans = vec!["spiffe://evil.example/ns/shop/sa/checkout".to_owned()];

    for peer in [other_account, other_mesh] {
        let (code, _) = refusal(&publisher, &peer, &web_node());
        assert_eq!(code, tonic::Code::PermissionDenied);
    }
}

#[test]
fn a_change_of_class_ends_the_stream_and_demands_a_new_certificate() {
    let publisher = publisher();
    let sidecar = publisher.subscribe(&web(), &web_node()).unwrap();

    let mut update = Update::default();
    let mut mesh = MeshConfig::default();
    mesh.sluice.identity_labels = vec!["app".to_owned()];
    update.mesh = Some(mesh);
    publisher.apply(update);

    assert!(sidecar.updates.has_changed().is_err(), "the sender is gone");
    let (code, message) = refusal(&publisher, &web(), &web_node());
    assert_eq!(code, tonic::Code::PermissionDenied);
    assert!(message.ends_with("get a new certificate"), "{message}");

    let class = ClassId::of("shop", "checkout", [("app", "web")]);
    let renewed = peer("shop", "checkout", "web-0", Some(class));
    assert!(publisher.subscribe(&renewed, &web_node()).is_ok());
}

#[test]
fn a_pod_that_goes_ends_its_stream_and_no_other() {
    let publisher = publisher();
    let sidecar = publisher.subscribe(&web(), &web_node()).unwrap();
    let gateway = publisher.subscribe(&egress(), &egress_node()).unwrap();
    let pod = publisher
        .catalog()
        .pod("shop", "web-0")
        .unwrap()
        .reference();

    publisher.apply(Update {
        changes: vec![Change::Delete(pod)],
        ..Update::default()
    });

    assert!(sidecar.updates.has_changed().is_err());
    assert!(gateway.updates.has_changed().is_ok());
    assert_eq!(publisher.connected(), [egress_node().id]);
}

#[test]
fn proxies_that_left_are_forgotten() {
    let publisher = publisher();
    let sidecar = publisher.subscribe(&web(), &web_node()).unwrap();
    assert_eq!(publisher.connected().len(), 1);

    drop(sidecar);

    assert_eq!(publisher.connected(), [""; 0]);
}
