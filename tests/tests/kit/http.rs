//! HTTP servers record what they saw, over both versions, plain and over TLS.

use std::net::SocketAddr;
use std::sync::Arc;

use rustls::ClientConfig;
use sluice_tests::clients::http::{Call, CallError};
use sluice_tests::net::{Lab, Machine};
use sluice_tests::pki::Authority;
use sluice_tests::servers::Transport;
use sluice_tests::servers::http::{HttpServer, Reply};
use sluice_tests::tls::{self, ClientCertificates};

fn machines() -> (Machine, Machine) {
    let lab = Lab::new();
    (
        lab.machine("app").address("10.244.1.10/24").start(),
        lab.machine("external").address("198.51.100.1/24").start(),
    )
}

fn address(port: u16) -> SocketAddr {
    ([198, 51, 100, 1], port).into()
}

#[test]
fn a_plain_request_is_recorded_as_it_was_sent() {
    let (app, external) = machines();
    let server = HttpServer::start(&external, address(80), Transport::Plain, |request| {
        Reply::describing(request).header("x-served-by", "external")
    });
    let call = Call::new("POST", "http://api.partner.example/orders?id=7")
        .to(server.address())
        .header("x-tenant", "shop")
        .body("two apples");
    let response = call.send(&app).unwrap();

    assert_eq!(response.status, 200);
    assert_eq!(response.header("x-served-by"), Some("external"));
    assert_eq!(
        response.text(),
        "POST api.partner.example/orders?id=7 HTTP/1.1 from 10.244.1.10\n"
    );
    let seen = server.requests().last();
    assert_eq!(seen.connection.peer, response.local);
    assert_eq!(seen.host, "api.partner.example");
    assert_eq!(seen.path, "/orders?id=7");
    assert_eq!(seen.header("x-tenant"), Some("shop"));
    assert_eq!(&seen.body[..], b"two apples");
    assert_eq!(seen.connection.tls, None);
}

#[test]
fn http2_is_spoken_with_prior_knowledge_and_by_alpn() {
    let (app, external) = machines();
    let plain = HttpServer::start(&external, address(80), Transport::Plain, |_| Reply::ok(""));
    Call::get("http://api.partner.example/")
        .http2()
        .to(plain.address())
        .send(&app)
        .unwrap();
    assert_eq!(plain.requests().last().version, "HTTP/2.0");

    let authority = Authority::new("partner");
    let identity = authority.server(&["api.partner.example"]);
    let config = tls::server(&identity, ClientCertificates::Ignored, &["h2", "http/1.1"]);
    let secure = HttpServer::start(&external, address(443), Transport::Tls(config), |_| {
        Reply::ok("")
    });
    let response = Call::get("https://api.partner.example/")
        .http2()
        .tls(&tls::client(&[&authority], None, &["h2"]))
        .to(secure.address())
        .send(&app)
        .unwrap();
    assert_eq!(response.version, "HTTP/2.0");
    let seen = secure.requests().last();
    assert_eq!(seen.version, "HTTP/2.0");
    assert_eq!(seen.host, "api.partner.example");
    let session = seen.connection.tls.unwrap();
    assert_eq!(session.sni.as_deref(), Some("api.partner.example"));
    assert_eq!(session.alpn.as_deref(), Some("h2"));
    assert_eq!(session.peer, None);
}

#[test]
fn a_client_certificate_is_recorded_with_its_names() {
    let (server, call) = mutual();
    let partner_ca = &server.partner_ca;
    let identity = server
        .client_ca
        .client("checkout", &["spiffe://td/ns/shop/sa/checkout"]);
    let response = call(&tls::client(&[partner_ca], Some(&identity), &["http/1.1"])).unwrap();
    assert_eq!(
        response.tls.unwrap().peer.unwrap().dns,
        ["api.partner.example"]
    );

    let peer = server.http.requests().last().connection.tls.unwrap().peer;
    let peer = peer.unwrap();
    assert_eq!(peer.subject, "CN=checkout");
    assert_eq!(peer.uris, ["spiffe://td/ns/shop/sa/checkout"]);
}

#[test]
fn a_handshake_without_the_required_certificate_fails_and_is_recorded() {
    let (server, call) = mutual();
    let partner_ca = &server.partner_ca;
    let foreign = Authority::new("foreign").client("checkout", &[]);
    for identity in [None, Some(&foreign)] {
        assert!(call(&tls::client(&[partner_ca], identity, &[])).is_err());
    }
    let connections =
        server
            .http
            .connections()
            .wait_until(std::time::Duration::from_secs(5), |connections| {
                connections
                    .iter()
                    .all(|connection| connection.failure.is_some())
            });
    assert_eq!(connections.map(|connections| connections.len()), Some(2));
    assert_eq!(server.http.requests().count(), 0);
}

#[test]
fn a_certificate_for_another_name_or_of_another_authority_is_refused() {
    let (app, external) = machines();
    let authority = Authority::new("partner");
    let identity = authority.server(&["api.partner.example"]);
    let config = tls::server(&identity, ClientCertificates::Ignored, &[]);
    let server = HttpServer::start(&external, address(443), Transport::Tls(config), |_| {
        Reply::ok("")
    });
    let call = |url: &str, trusted: &Authority| {
        Call::get(url)
            .to(server.address())
            .tls(&tls::client(&[trusted], None, &[]))
            .send(&app)
    };
    assert!(call("https://api.partner.example/", &authority).is_ok());
    assert!(call("https://other.example/", &authority).is_err());
    let stranger = Authority::new("stranger");
    assert!(call("https://api.partner.example/", &stranger).is_err());
}

struct Mutual {
    http: HttpServer,
    partner_ca: Authority,
    client_ca: Authority,
}

type Result = std::result::Result<sluice_tests::clients::http::Response, CallError>;

fn mutual() -> (Mutual, impl Fn(&Arc<ClientConfig>) -> Result) {
    let (app, external) = machines();
    let partner_ca = Authority::new("partner");
    let client_ca = Authority::new("clients");
    let config = tls::server(
        &partner_ca.server(&["api.partner.example"]),
        ClientCertificates::Required(&client_ca),
        &["http/1.1"],
    );
    let http = HttpServer::start(&external, address(443), Transport::Tls(config), |_| {
        Reply::ok("")
    });
    let call = move |tls: &Arc<ClientConfig>| {
        Call::get("https://api.partner.example/")
            .to(address(443))
            .tls(tls)
            .send(&app)
    };
    let mutual = Mutual {
        http,
        partner_ca,
        client_ca,
    };
    (mutual, call)
}
