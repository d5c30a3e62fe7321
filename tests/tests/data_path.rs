//! The shapes of `sluice-translate` on real Envoys, without control plane: plans made by hand
//! become two static bootstraps, sidecar and gateway, and real connections go through.
//!
//! Whether Envoy accepts a shape is held by translate's goldens; here, whether it does what it is for.

#![expect(
    clippy::unwrap_used,
    reason = "a panic is the report of a test's helpers too"
)]

#[path = "data_path/plans.rs"]
mod plans;
#[path = "data_path/world.rs"]
mod world;

use std::time::{Duration, Instant};

use sluice_tests::{
    clients::{Dial, http::Call, tcp},
    servers::{
        Transport,
        http::{HttpServer, Reply},
        tcp::{Script, TcpServer},
    },
    tls,
};
use world::{Client, PARTNER, PARTNER_V6, World, field};

const SOON: Duration = Duration::from_secs(10);

#[test]
fn request_leaves_from_the_fixed_address_and_is_logged_once_with_who_asked() {
    let world = World::start();
    let api = HttpServer::start(
        &world.partner,
        (PARTNER, 80).into(),
        Transport::Plain,
        Reply::describing,
    );

    let response = Call::get("http://api.partner.example/orders")
        .to((PARTNER, 80).into())
        .send(&world.app(Client::Checkout))
        .unwrap();

    assert_eq!(response.status, 200);
    assert_eq!(
        api.requests().last().connection.peer.ip().to_string(),
        "203.0.113.10"
    );
    let line = world.only_line("/orders");
    assert_eq!(
        field(&line, "peer"),
        "spiffe://cluster.local/ns/shop/sa/checkout"
    );
    assert_eq!(field(&line, "pod"), "checkout-0.shop");
    assert_eq!(field(&line, "class"), plans::class("checkout").to_string());
    assert_eq!(field(&line, "host"), "api.partner.example");
    assert_eq!(field(&line, "original_dst"), "198.51.100.1:80");
    assert!(
        field(&line, "source").starts_with("203.0.113.10:"),
        "{line}"
    );
    assert_eq!(field(&line, "rule"), "VirtualService/shop/partner");
}

#[test]
fn request_that_hops_to_a_gateway_servers_half_keeps_its_facts_and_is_logged_once() {
    let world = World::start();
    let _api = HttpServer::start(
        &world.partner,
        (PARTNER, 80).into(),
        Transport::Plain,
        Reply::describing,
    );

    let response = Call::get("http://api.partner.example/hop/orders")
        .to((PARTNER, 80).into())
        .send(&world.app(Client::Checkout))
        .unwrap();

    assert_eq!(response.status, 200);
    let line = world.only_line("/hop/orders");
    assert_eq!(
        field(&line, "peer"),
        "spiffe://cluster.local/ns/shop/sa/checkout"
    );
    assert_eq!(field(&line, "pod"), "checkout-0.shop");
    assert_eq!(field(&line, "original_dst"), "198.51.100.1:80");
    assert_eq!(field(&line, "rule"), "VirtualService/shop/gateway-half");
}

#[test]
fn tls_is_chosen_by_server_name_and_passes_through_a_hop() {
    let world = World::start();
    let server = tls::server(
        &world.authority.server(&["api.partner.example"]),
        tls::ClientCertificates::Ignored,
        &[],
    );
    let api = HttpServer::start(
        &world.partner,
        (PARTNER, 443).into(),
        Transport::Tls(server),
        Reply::describing,
    );
    let client = tls::client(&[&world.authority], None, &[]);

    let response = Call::get("https://api.partner.example/")
        .to((PARTNER, 443).into())
        .tls(&client)
        .send(&world.app(Client::Checkout))
        .unwrap();

    assert_eq!(response.status, 200);
    assert_eq!(
        api.requests().last().connection.peer.ip().to_string(),
        "203.0.113.11"
    );
    let line = world.only_line("host=api.partner.example");
    assert_eq!(field(&line, "host"), "api.partner.example");
    assert_eq!(
        field(&line, "peer"),
        "spiffe://cluster.local/ns/shop/sa/checkout"
    );
    assert_eq!(field(&line, "original_dst"), "198.51.100.1:443");
}

#[test]
fn server_that_speaks_first_is_heard_at_once_at_the_address_that_was_dialled() {
    let world = World::start();
    let banner = || Script::Banner("SSH-2.0-test\r\n".into());
    let v4 = TcpServer::start(
        &world.partner,
        (PARTNER, 2222).into(),
        Transport::Plain,
        banner(),
    );
    let v6 = TcpServer::start(
        &world.partner,
        (PARTNER_V6, 2222).into(),
        Transport::Plain,
        banner(),
    );

    for server in [&v4, &v6] {
        let dial = Dial::to(server.address());
        let begun = Instant::now();
        let bytes = world
            .app(Client::Checkout)
            .block_on(async move { tcp::exchange(&dial, b"", 14).await })
            .unwrap();
        assert_eq!(bytes, b"SSH-2.0-test\r\n");
        // Far below the five seconds that a TLS inspector would wait for the client.
        assert!(
            begun.elapsed() < Duration::from_secs(2),
            "{:?}",
            begun.elapsed()
        );
    }
}

#[test]
fn refused_connection_is_closed_at_once_and_the_log_says_why() {
    let world = World::start();
    let client = tls::client(&[&world.authority], None, &[]);

    let begun = Instant::now();
    let result = Call::get("https://evil.example/")
        .to((PARTNER, 443).into())
        .tls(&client)
        .send(&world.app(Client::Checkout));

    assert!(result.is_err());
    assert!(
        begun.elapsed() < Duration::from_secs(2),
        "{:?}",
        begun.elapsed()
    );
    let line = world.only_line("host=evil.example");
    assert_eq!(field(&line, "rule"), "default-deny");
    assert!(
        line.ends_with("reason=\"nothing lets shop/checkout reach it\""),
        "{line}"
    );
    assert_eq!(
        field(&line, "peer"),
        "spiffe://cluster.local/ns/shop/sa/checkout"
    );
}

#[test]
fn client_of_unknown_class_or_without_one_gets_nowhere() {
    let world = World::start();
    let api = HttpServer::start(
        &world.partner,
        (PARTNER, 80).into(),
        Transport::Plain,
        Reply::describing,
    );

    for (client, peer) in [
        (Client::Stranger, "sa/stranger"),
        (Client::Classless, "sa/classless"),
    ] {
        let result = Call::get("http://api.partner.example/")
            .to((PARTNER, 80).into())
            .send(&world.app(client));

        assert!(result.is_err(), "{result:?}");
        let line = world.only_line(peer);
        assert!(
            line.ends_with("reason=\"unknown class of client\""),
            "{line}"
        );
    }
    assert_eq!(api.requests().count(), 0);
}

#[test]
fn upstream_connections_are_shared_within_a_class_and_never_between_classes() {
    let world = World::start();
    let api = HttpServer::start(
        &world.partner,
        (PARTNER, 80).into(),
        Transport::Plain,
        Reply::describing,
    );
    let call = |client| {
        let response = Call::get("http://api.partner.example/")
            .to((PARTNER, 80).into())
            .send(&world.app(client))
            .unwrap();
        assert_eq!(response.status, 200);
    };

    call(Client::Checkout);
    call(Client::CheckoutToo);
    assert_eq!(api.connections().count(), 1, "two pods of one class");
    call(Client::Reports);
    assert_eq!(api.connections().count(), 2, "another class");
    let lines: Vec<String> = world
        .lines()
        .into_iter()
        .filter(|line| line.contains("rule=Virtual"))
        .collect();
    let peers: Vec<&str> = lines.iter().map(|line| field(line, "pod")).collect();
    assert_eq!(
        peers,
        ["checkout-0.shop", "checkout-1.shop", "reports-0.shop"]
    );
}

#[test]
fn originated_tls_reaches_only_servers_with_the_right_name() {
    let world = World::start();
    let server = tls::server(
        &world.authority.server(&["api.partner.example"]),
        tls::ClientCertificates::Ignored,
        &[],
    );
    let api = HttpServer::start(
        &world.partner,
        (PARTNER, 8443).into(),
        Transport::Tls(server),
        Reply::describing,
    );
    let status = |url: &str| {
        Call::get(url)
            .to((PARTNER, 80).into())
            .send(&world.app(Client::Checkout))
            .unwrap()
            .status
    };

    assert_eq!(status("http://api.partner.example/tls/fixed"), 200);
    assert_eq!(status("http://api.partner.example/tls/from-host"), 200);
    assert_eq!(status("http://api.partner.example/tls/san"), 200);
    assert_eq!(status("http://api.partner.example/tls/insecure"), 200);
    let sni = |index: usize| {
        api.requests().all()[index]
            .connection
            .tls
            .clone()
            .unwrap()
            .sni
    };
    assert_eq!(sni(0).as_deref(), Some("api.partner.example"));
    assert_eq!(sni(1).as_deref(), Some("api.partner.example"));

    let accepted = api.requests().count();
    assert_eq!(status("http://api.partner.example/tls/fixed-other"), 503);
    assert_eq!(status("http://other.example/tls/from-host"), 503);
    assert_eq!(status("http://api.partner.example/tls/san-other"), 503);
    assert_eq!(status("http://api.partner.example/tls/untrusted"), 503);
    assert_eq!(api.requests().count(), accepted);
}

#[test]
fn request_takes_the_first_matching_route_and_its_changes() {
    let world = World::start();
    let api = HttpServer::start(
        &world.partner,
        (PARTNER, 80).into(),
        Transport::Plain,
        Reply::describing,
    );
    let get = |path: &str| {
        Call::get(&format!("http://api.partner.example{path}"))
            .to((PARTNER, 80).into())
            .send(&world.app(Client::Checkout))
            .unwrap()
    };

    assert_eq!(get("/rewrite/x").status, 200);
    let seen = api.requests().last();
    assert_eq!(seen.path, "/new/x");
    assert_eq!(seen.host, "rewritten.example");
    assert_eq!(seen.header("x-share"), Some("100%"));
    assert_eq!(get("/fault").status, 418);
    assert_eq!(get("/answer").text(), "hello");
    assert_eq!(
        get("/moved").header("location"),
        Some("https://new.example/moved")
    );
    // The route's own log field also stands where no upstream was called.
    assert_eq!(
        field(&world.only_line("/answer"), "rule"),
        "VirtualService/shop/answer"
    );
    // Nothing tells the partner who the client is inside the cluster.
    assert_eq!(seen.header("x-forwarded-client-cert"), None);
}

#[test]
fn sidecar_writes_istios_line_for_each_connection() {
    let world = World::start();
    let _api = HttpServer::start(
        &world.partner,
        (PARTNER, 80).into(),
        Transport::Plain,
        Reply::describing,
    );

    Call::get("http://api.partner.example/")
        .to((PARTNER, 80).into())
        .send(&world.app(Client::Checkout))
        .unwrap();

    let line = world
        .sidecar(Client::Checkout)
        .wait_for(" 198.51.100.1:80 ", SOON);
    assert!(line.contains("\"- - -\" 0 - - - \"-\""), "{line}");
    assert!(line.ends_with(" - -"), "{line}");
    assert!(!line.contains("peer="), "{line}");
}
