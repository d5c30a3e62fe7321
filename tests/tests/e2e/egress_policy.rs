//! EgressPolicies on real Envoys: the external servers see who leaves from which address.

use std::time::Duration;

use sluice_tests::clients::Dial;
use sluice_tests::clients::http::{Call, Response};
use sluice_tests::clients::tcp::{self, Pace};
use sluice_tests::mesh::{Mesh, example};
use sluice_tests::net::Machine;
use sluice_tests::pki::Authority;
use sluice_tests::servers::Transport;
use sluice_tests::servers::http::{HttpServer, Reply};
use sluice_tests::servers::tcp::{Script, TcpServer};
use sluice_tests::tls::{self, ClientCertificates};

const SOON: Duration = Duration::from_secs(10);

/// Another address of the gateway, beside its first.
const SECOND: &str = "203.0.113.11";

/// The objects of the example, and what `more` says.
fn start<T>(more: &str, outside: impl FnOnce(&Mesh) -> T) -> (Mesh, T) {
    let files = [
        ("policies.yaml", &*example("egress-policy/policies.yaml")),
        ("more.yaml", more),
    ];
    let (mesh, outside) = Mesh::start(&files, outside);
    (mesh.gateway().machine()).add_address(&format!("{SECOND}/24"));
    (mesh, outside)
}

fn get(url: &str, app: &Machine) -> Response {
    Call::get(url).send(app).unwrap()
}

/// The address that a server saw last.
fn source(server: &HttpServer) -> String {
    server.requests().last().connection.peer.ip().to_string()
}

fn orders(mesh: &Mesh) -> HttpServer {
    mesh.external_http("orders", "198.51.100.60", &["orders.partner.example"])
}

const BATCH: &str = "\
apiVersion: sluice.dev/v1alpha1
kind: EgressPolicy
metadata: {name: batch, namespace: lab}
spec:
  from: [{serviceAccounts: [batch]}]
  to: [{hosts: [orders.partner.example], ports: [{port: 80, protocol: HTTP}]}]
  egressIP: {pool: partners, addresses: [203.0.113.11]}
---
apiVersion: v1
kind: Pod
metadata: {name: reports-0, namespace: shop}
spec: {serviceAccountName: reports}
status: {podIP: 10.244.1.12}
";

#[test]
fn two_workloads_leave_from_two_addresses_one_of_them_from_both_and_a_third_not_at_all() {
    let (mut mesh, (orders, stock)) = start(BATCH, |mesh| {
        let stock = mesh.external_http("stock", "198.51.100.61", &["stock.partner.example"]);
        (orders(mesh), stock)
    });
    mesh.start_pod("lab", "batch", "batch-0", "10.244.1.11");
    mesh.start_pod("shop", "reports", "reports-0", "10.244.1.12");
    let batch = mesh.proxy("batch-0").machine().clone();
    let reports = mesh.proxy("reports-0").machine().clone();
    let mark = mesh.gateway().mark();

    assert_eq!(
        get("http://orders.partner.example/1", mesh.app()).status,
        200
    );
    assert_eq!(source(&orders), "203.0.113.10");
    assert_eq!(
        get("http://stock.partner.example/2", mesh.app()).status,
        200
    );
    assert_eq!(source(&stock), SECOND);
    assert_eq!(get("http://orders.partner.example/3", &batch).status, 200);
    assert_eq!(source(&orders), SECOND);
    // And back: no connection of the other address is taken again.
    assert_eq!(
        get("http://orders.partner.example/4", mesh.app()).status,
        200
    );
    assert_eq!(source(&orders), "203.0.113.10");
    let served = orders.requests().count();

    let denied = get("http://orders.partner.example/5", &reports);
    assert_eq!(denied.status, 502);
    assert!(denied.text().contains("shop/reports"), "{}", denied.text());
    assert_eq!(orders.requests().count(), served, "nothing of it leaves");

    let line = mesh.gateway().access_log_since(mark, "/3 ");
    for part in [
        "peer=spiffe://cluster.local/ns/lab/sa/batch",
        "source=203.0.113.11:",
        "rule=EgressPolicy/lab/batch",
    ] {
        assert!(line.contains(part), "no {part} in {line}");
    }
    mesh.assert_no_nack();
}

#[test]
fn tls_and_ranges_leave_from_the_address_and_exceptions_stay_closed() {
    let partner = Authority::new("Partner CA");
    let (mesh, (https, feed, secret)) = start("", |mesh| {
        let hosts = ["orders.partner.example"];
        let ignored = ClientCertificates::Ignored;
        let https = mesh.external_https("orders", "198.51.100.60", &hosts, &partner, ignored);
        let [feed, secret] = [("feed", "198.51.100.65"), ("secret", "198.51.100.70")];
        let serve = |(name, ip): (&str, &str)| {
            let machine = mesh.external(name, ip, &[]);
            let address = (machine.v4(), 2222).into();
            TcpServer::start(&machine, address, Transport::Plain, Script::Send(1000))
        };
        (https, serve(feed), serve(secret))
    });
    let trusting = tls::client(&[&partner], None, &["http/1.1"]);
    let call = Call::get("https://orders.partner.example/").tls(&trusting);
    assert_eq!(call.send(mesh.app()).unwrap().status, 200);
    assert_eq!(source(&https), "203.0.113.10");

    let to = Dial::to(feed.address());
    let received = mesh
        .app()
        .block_on(async move { tcp::receive(&to, Pace::Fast).await });
    let received = received.unwrap();
    assert!(received.bytes == 1000 && received.intact, "{received:?}");
    let peer = feed.connections().last().peer;
    assert_eq!(peer.ip().to_string(), "203.0.113.10");

    let mark = mesh.gateway().mark();
    let to = Dial::to(secret.address());
    let received = mesh
        .app()
        .block_on(async move { tcp::receive(&to, Pace::Fast).await });
    assert!(received.is_err() || received.unwrap().bytes == 0);
    assert_eq!(
        secret.connections().count(),
        0,
        "an exception is not dialled"
    );
    let line = mesh.gateway().access_log_since(mark, "198.51.100.70:2222");
    assert!(line.contains("rule=default-deny"), "{line}");
    mesh.assert_no_nack();
}

const CASINO: &str = "\
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: casino, namespace: shop}
spec:
  hosts: [www.casino.example]
  ports:
  - {number: 80, name: http, protocol: HTTP}
  - {number: 443, name: tls, protocol: TLS}
  resolution: DNS
";

#[test]
fn a_deny_wins_over_a_service_entry_and_the_gateway_does_not_even_ask_for_the_name() {
    let (mesh, casino) = start(CASINO, |mesh| {
        mesh.external_http("casino", "198.51.100.66", &["www.casino.example"])
    });
    let mark = mesh.gateway().mark();

    let denied = get("http://www.casino.example/", mesh.app());
    assert_eq!(denied.status, 403);
    let reason = "egress denied: ClusterEgressPolicy/no-gambling denies it";
    assert!(denied.text().contains(reason), "{}", denied.text());
    let line = mesh.gateway().access_log_since(mark, "www.casino.example");
    assert!(
        line.contains("rule=ClusterEgressPolicy/no-gambling"),
        "{line}"
    );

    let mark = mesh.gateway().mark();
    let trusting = tls::client(&[&Authority::new("Any CA")], None, &["http/1.1"]);
    let call = Call::get("https://www.casino.example/").tls(&trusting);
    call.send(mesh.app()).unwrap_err();
    let line = mesh.gateway().access_log_since(mark, "www.casino.example");
    assert!(
        line.contains("rule=ClusterEgressPolicy/no-gambling"),
        "{line}"
    );

    assert_eq!(casino.connections().count(), 0);
    let gateway = mesh.gateway().machine().addresses().to_vec();
    let asked: Vec<_> = (mesh.dns.queries().all().into_iter())
        .filter(|query| query.name.ends_with("casino.example"))
        .filter(|query| gateway.contains(&query.peer.ip()))
        .collect();
    assert!(asked.is_empty(), "{asked:?}");
    mesh.assert_no_nack();
}

const ABSENT: &str = "\
apiVersion: sluice.dev/v1alpha1
kind: EgressPolicy
metadata: {name: absent, namespace: shop}
spec:
  from: [{serviceAccounts: [checkout]}]
  to:
  - {hosts: [absent.partner.example], ports: [{port: 80, protocol: HTTP}]}
  - {cidrs: [198.51.100.81/32], ports: [{port: 2222, protocol: TCP}]}
  egressIP: {pool: partners, addresses: [203.0.113.12]}
";

#[test]
fn an_address_that_the_gateway_does_not_hold_is_a_closed_door_until_it_does() {
    const URL: &str = "http://absent.partner.example/";
    let (mesh, (server, feed)) = start(ABSENT, |mesh| {
        let server = mesh.external_http("absent", "198.51.100.67", &["absent.partner.example"]);
        let machine = mesh.external("feed", "198.51.100.81", &[]);
        let feed = TcpServer::start(
            &machine,
            (machine.v4(), 2222).into(),
            Transport::Plain,
            Script::Send(10),
        );
        (server, feed)
    });
    let mark = mesh.gateway().mark();

    assert_eq!(get(URL, mesh.app()).status, 503);
    let line = mesh
        .gateway()
        .access_log_since(mark, "absent.partner.example");
    for part in [
        "failed_to_bind_to_203.0.113.12",
        "rule=EgressPolicy/shop/absent",
    ] {
        assert!(line.contains(part), "no {part} in {line}");
    }

    let mark = mesh.gateway().mark();
    let to = Dial::to(feed.address());
    let received = (mesh.app()).block_on(async move { tcp::receive(&to, Pace::Fast).await });
    assert!(received.is_err() || received.unwrap().bytes == 0);
    let line = mesh.gateway().access_log_since(mark, "198.51.100.81:2222");
    for part in [
        "failed_to_bind_to_203.0.113.12",
        "rule=EgressPolicy/shop/absent",
    ] {
        assert!(line.contains(part), "no {part} in {line}");
    }
    // Envoy connects although it could not bind, and closes at once: a bare handshake may be seen
    // until the kernel refuses it, but nothing that the client said.
    assert_eq!(server.requests().count(), 0);
    let heard: u64 = feed
        .exchanges()
        .all()
        .iter()
        .map(|heard| heard.received)
        .sum();
    assert_eq!(heard, 0);

    mesh.gateway().machine().add_address("203.0.113.12/24");
    assert_eq!(get(URL, mesh.app()).status, 200);
    assert_eq!(source(&server), "203.0.113.12");
    mesh.assert_no_nack();
}

const SIX: &str = "\
apiVersion: sluice.dev/v1alpha1
kind: EgressIPPool
metadata: {name: six}
spec:
  addresses: ['2001:db8:113::10/124']
  namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: shop}}
---
apiVersion: sluice.dev/v1alpha1
kind: EgressPolicy
metadata: {name: six, namespace: shop}
spec:
  from: [{}]
  to: [{hosts: [six.partner.example], ports: [{port: 80, protocol: HTTP}]}]
  egressIP: {pool: six, addresses: ['2001:db8:113::10']}
";

#[test]
fn a_host_is_reached_from_an_ipv6_address_by_its_ipv6_address() {
    let (mesh, server) = start(SIX, |mesh| {
        mesh.dns
            .zone()
            .set("six.partner.example", &["198.51.100.68", "2001:db8:51::68"]);
        let machine = (mesh.lab.machine("six"))
            .address("198.51.100.68/24")
            .address("2001:db8:51::68/32")
            .start();
        let address = (machine.v6(), 80).into();
        HttpServer::start(&machine, address, Transport::Plain, Reply::describing)
    });
    // The gateway knows the way only now: until then it could not leave.
    mesh.gateway().machine().add_address("2001:db8:113::10/32");

    let call = Call::get("http://six.partner.example/").to("198.51.100.68:80".parse().unwrap());
    mesh.eventually("it answers", SOON, || {
        call.send(mesh.app()).unwrap().status == 200
    });
    assert_eq!(source(&server), "2001:db8:113::10");
    mesh.assert_no_nack();
}
