//! Names resolve by the lab's own server, for the kit's clients and for any program.

use std::process::Command;

use sluice_tests::clients::http::{Call, CallError};
use sluice_tests::dns::{Code, DnsServer, Kind, lookup};
use sluice_tests::net::Lab;
use sluice_tests::servers::Transport;
use sluice_tests::servers::http::{HttpServer, Reply};

#[test]
fn a_name_leads_to_its_server_and_follows_the_zone() {
    let lab = Lab::new();
    let cluster = lab.machine("dns").address("10.96.0.10/12").start();
    let dns = DnsServer::start(&cluster, cluster.v4().into());
    let external = lab
        .machine("external")
        .address("198.51.100.1/24")
        .address("198.51.100.2/24")
        .start();
    let app = lab
        .machine("app")
        .address("10.244.1.10/24")
        .dns("10.96.0.10")
        .start();
    let serve = |address: &str, name: &'static str| {
        HttpServer::start(
            &external,
            address.parse().unwrap(),
            Transport::Plain,
            move |_| Reply::ok(name),
        )
    };
    let _one = serve("198.51.100.1:80", "one");
    let _two = serve("198.51.100.2:80", "two");
    let call = || Call::get("http://api.partner.example/").send(&app);

    let unknown = call().unwrap_err();
    assert!(matches!(unknown, CallError::Resolve(_)), "{unknown}");
    dns.zone().set("api.partner.example", &["198.51.100.1"]);
    assert_eq!(call().unwrap().text(), "one");
    dns.zone().alias("api.partner.example", "www.edge.example");
    dns.zone().set("*.edge.example", &["198.51.100.2"]);
    assert_eq!(call().unwrap().text(), "two");

    let queries = dns.queries().all();
    assert!(
        queries
            .iter()
            .all(|query| query.name == "api.partner.example")
    );
    assert!(
        queries
            .iter()
            .all(|query| query.peer.ip().to_string() == "10.244.1.10")
    );
}

#[test]
fn any_program_on_a_machine_asks_that_machines_resolver() {
    let lab = Lab::new();
    let cluster = lab.machine("dns").address("10.96.0.10/12").start();
    let dns = DnsServer::start(&cluster, cluster.v4().into());
    dns.zone().set("api.partner.example", &["198.51.100.1"]);
    let app = lab
        .machine("app")
        .address("10.244.1.10/24")
        .dns("10.96.0.10")
        .start();
    let mut getent = Command::new("getent");
    getent.args(["ahostsv4", "api.partner.example"]);
    let output = app.check(getent);
    assert!(output.starts_with("198.51.100.1"), "{output}");
    assert!(dns.queries().count() > 0);
}

#[test]
fn a_name_without_the_family_asked_for_is_not_a_missing_name() {
    let lab = Lab::new();
    let cluster = lab.machine("dns").address("10.96.0.10/12").start();
    let dns = DnsServer::start(&cluster, cluster.v4().into());
    dns.zone().set("v4.example", &["198.51.100.1"]);
    dns.zone().ttl_seconds(30);
    let ask = |name: &'static str, kind| {
        let server = (cluster.v4(), 53).into();
        cluster
            .block_on(async move { lookup(server, name, kind).await })
            .unwrap()
    };
    assert_eq!(ask("v4.example", Kind::A).ttl_seconds, Some(30));
    let other = ask("v4.example", Kind::Aaaa);
    assert_eq!((other.code, other.addresses.len()), (Code::NoError, 0));
    assert_eq!(ask("none.example", Kind::A).code, Code::NoSuchName);
}
