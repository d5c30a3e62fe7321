//! Istio's egress tasks, as their pages describe them.

use std::time::Duration;

use sluice_tests::clients::http::Call;
use sluice_tests::mesh::{GATEWAY_SOURCE, Mesh, example};
use sluice_tests::net::Machine;
use sluice_tests::pki::Authority;
use sluice_tests::servers::Transport;
use sluice_tests::servers::http::{HttpServer, Reply, Request};
use sluice_tests::tls::{self, ClientCertificates};

const CHECKOUT: &str = "peer=spiffe://cluster.local/ns/shop/sa/checkout";

/// The last request that a server saw, which came from the gateway's fixed address.
#[track_caller]
fn seen(server: &HttpServer) -> Request {
    let request = server.requests().last();
    assert_eq!(request.connection.peer.ip().to_string(), GATEWAY_SOURCE);
    request
}

fn get(url: &str, app: &Machine) -> u16 {
    Call::get(url).send(app).unwrap().status
}

#[test]
fn plain_http_leaves_through_the_gateway_under_the_client_s_identity() {
    let files = [("api.yaml", &*example("egress-gateway-http/api.yaml"))];
    let (mesh, api) = Mesh::start(&files, |mesh| {
        mesh.external_http("api", "198.51.100.10", &["api.partner.example"])
    });
    let mark = mesh.gateway().mark();

    assert_eq!(get("http://api.partner.example/orders", mesh.app()), 200);

    assert_eq!(seen(&api).path, "/orders");
    let line = mesh.gateway().access_log_since(mark, "api.partner.example");
    assert!(line.contains(CHECKOUT), "{line}");
    assert!(line.contains("original_dst=198.51.100.10:80"), "{line}");
    assert!(
        line.contains(&format!("source={GATEWAY_SOURCE}:")),
        "{line}"
    );
    assert!(
        line.contains("rule=VirtualService/shop/api-through-egress-gateway"),
        "{line}"
    );
    mesh.assert_no_nack();
}

#[test]
fn an_undeclared_host_is_denied_with_a_reason_and_nothing_leaves() {
    let files = [("api.yaml", &*example("egress-gateway-http/api.yaml"))];
    let (mesh, api) = Mesh::start(&files, |mesh| {
        mesh.external_http("api", "198.51.100.10", &["api.partner.example"])
    });
    let mark = mesh.gateway().mark();

    let call = Call::get("http://evil.example/").to("198.51.100.10:80".parse().unwrap());
    let denied = call.send(mesh.app()).unwrap();

    assert_eq!(denied.status, 502);
    assert!(denied.text().contains("egress denied"), "{}", denied.text());
    assert_eq!(
        api.connections().count(),
        0,
        "nothing of a denied request leaves"
    );
    let line = mesh.gateway().access_log_since(mark, "evil.example");
    assert!(
        line.contains(CHECKOUT) && line.contains("rule=default-deny"),
        "{line}"
    );
    std::thread::sleep(Duration::from_millis(200));
    assert_eq!(
        mesh.gateway().access_log_lines(mark).len(),
        1,
        "one record for one request"
    );
    mesh.assert_no_nack();
}

#[test]
fn tls_of_the_app_passes_through_unopened_under_the_client_s_identity() {
    let partner = Authority::new("Partner CA");
    let files = [(
        "files.yaml",
        &*example("egress-gateway-https-passthrough/files.yaml"),
    )];
    let (mesh, server) = Mesh::start(&files, |mesh| {
        let hosts = ["files.partner.example"];
        mesh.external_https(
            "files",
            "198.51.100.20",
            &hosts,
            &partner,
            ClientCertificates::Ignored,
        )
    });
    let trusting = tls::client(&[&partner], None, &["http/1.1"]);
    let mark = mesh.gateway().mark();

    let response = Call::get("https://files.partner.example/report")
        .tls(&trusting)
        .send(mesh.app())
        .unwrap();

    assert_eq!(response.status, 200);
    let session = seen(&server).connection.tls.unwrap();
    assert_eq!(session.sni.as_deref(), Some("files.partner.example"));
    let line = mesh
        .gateway()
        .access_log_since(mark, "files.partner.example");
    assert!(line.contains(CHECKOUT), "{line}");
    assert!(
        line.contains("rule=VirtualService/shop/files-through-egress-gateway"),
        "{line}"
    );

    let mark = mesh.gateway().mark();
    let other = Call::get("https://other.partner.example/")
        .tls(&trusting)
        .to("198.51.100.20:443".parse().unwrap());
    other.send(mesh.app()).unwrap_err();
    assert_eq!(
        server.connections().count(),
        1,
        "nothing of a denied connection leaves"
    );
    let line = mesh
        .gateway()
        .access_log_since(mark, "other.partner.example");
    assert!(
        line.contains(CHECKOUT) && line.contains("rule=default-deny"),
        "{line}"
    );
    mesh.assert_no_nack();
}

/// A Secret of the gateway's namespace.
fn secret(name: &str, entries: &[(&str, &str)]) -> String {
    let data = entries.iter().fold(String::new(), |data, (key, text)| {
        let lines: String = text.lines().map(|line| format!("    {line}\n")).collect();
        data + &format!("  {key}: |\n{lines}")
    });
    format!(
        "apiVersion: v1\nkind: Secret\nmetadata: {{name: {name}, namespace: istio-system}}\nstringData:\n{data}"
    )
}

#[test]
fn the_gateway_begins_tls_for_an_app_that_speaks_plain_http() {
    let bank = Authority::new("Bank CA");
    let files = [
        (
            "pay.yaml",
            &*example("egress-gateway-tls-origination/pay.yaml"),
        ),
        (
            "secret.yaml",
            &*secret("bank-ca", &[("ca.crt", bank.cert_pem())]),
        ),
    ];
    let (mesh, server) = Mesh::start(&files, |mesh| {
        mesh.external_https(
            "pay",
            "198.51.100.30",
            &["pay.bank.example"],
            &bank,
            ClientCertificates::Ignored,
        )
    });
    let mark = mesh.gateway().mark();

    assert_eq!(get("http://pay.bank.example/transfer", mesh.app()), 200);

    let request = seen(&server);
    assert_eq!(request.host, "pay.bank.example");
    assert_eq!(
        request.connection.tls.unwrap().sni.as_deref(),
        Some("pay.bank.example")
    );
    let line = mesh.gateway().access_log_since(mark, "pay.bank.example");
    assert!(line.contains(CHECKOUT), "{line}");
    mesh.assert_no_nack();
}

#[test]
fn the_gateway_refuses_a_server_that_the_ca_did_not_certify() {
    let (bank, thief) = (Authority::new("Bank CA"), Authority::new("Bank CA"));
    let files = [
        (
            "pay.yaml",
            &*example("egress-gateway-tls-origination/pay.yaml"),
        ),
        (
            "secret.yaml",
            &*secret("bank-ca", &[("ca.crt", bank.cert_pem())]),
        ),
    ];
    let (mesh, server) = Mesh::start(&files, |mesh| {
        mesh.external_https(
            "pay",
            "198.51.100.30",
            &["pay.bank.example"],
            &thief,
            ClientCertificates::Ignored,
        )
    });
    assert_eq!(get("http://pay.bank.example/transfer", mesh.app()), 503);
    assert_eq!(server.requests().count(), 0);
}

#[test]
fn the_gateway_presents_a_client_certificate_from_a_secret_and_follows_its_rotation() {
    let bank = Authority::new("Bank CA");
    let credential = |name: &str| {
        let client = bank.client(name, &[]);
        secret(
            "client-credential",
            &[
                ("tls.crt", &client.cert_pem),
                ("tls.key", &client.key_pem),
                ("ca.crt", bank.cert_pem()),
            ],
        )
    };
    let files = [
        (
            "ledger.yaml",
            &*example("egress-gateway-mutual-tls-origination/ledger.yaml"),
        ),
        ("secret.yaml", &*credential("shop-1")),
    ];
    let (mesh, server) = Mesh::start(&files, |mesh| {
        let hosts = ["ledger.bank.example"];
        let machine = mesh.external("ledger", "198.51.100.31", &hosts);
        let tls = tls::server(
            &bank.server(&hosts),
            ClientCertificates::Required(&bank),
            &["http/1.1"],
        );
        // A rotated certificate shows on new connections, so none is kept.
        HttpServer::start(
            &machine,
            (machine.v4(), 443).into(),
            Transport::Tls(tls),
            |request| Reply::describing(request).header("connection", "close"),
        )
    });
    let subject = || {
        assert_eq!(get("http://ledger.bank.example/", mesh.app()), 200);
        seen(&server).connection.tls.unwrap().peer.unwrap().subject
    };
    assert!(subject().contains("shop-1"), "{}", subject());

    mesh.config.write("secret.yaml", &credential("shop-2"));
    mesh.eventually(
        "the new certificate is presented",
        Duration::from_secs(10),
        || subject().contains("shop-2"),
    );
    mesh.assert_no_nack();
}

#[test]
fn the_gateway_presents_a_client_certificate_from_files() {
    let bank = Authority::new("Bank CA");
    let folder = std::env::temp_dir().join(format!("sluice-vault-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let (cert, key) = bank.client("shop-files", &[]).write(&folder, "client");
    let ca = folder.join("ca.crt");
    std::fs::write(&ca, bank.cert_pem()).unwrap();
    for path in [&cert, &key] {
        std::os::unix::fs::chown(path, Some(1337), Some(1337)).unwrap();
    }
    let yaml = example("egress-gateway-mutual-tls-origination-files/vault.yaml")
        .replace(
            "/etc/istio/egressgateway-certs/tls.crt",
            cert.to_str().unwrap(),
        )
        .replace(
            "/etc/istio/egressgateway-certs/tls.key",
            key.to_str().unwrap(),
        )
        .replace(
            "/etc/istio/egressgateway-ca-certs/ca.crt",
            ca.to_str().unwrap(),
        );
    let (mesh, server) = Mesh::start(&[("vault.yaml", &yaml)], |mesh| {
        let hosts = ["vault.bank.example"];
        mesh.external_https(
            "vault",
            "198.51.100.32",
            &hosts,
            &bank,
            ClientCertificates::Required(&bank),
        )
    });
    assert_eq!(get("http://vault.bank.example/", mesh.app()), 200);
    let subject = seen(&server).connection.tls.unwrap().peer.unwrap().subject;
    assert!(subject.contains("shop-files"), "{subject}");
    mesh.assert_no_nack();
    std::fs::remove_dir_all(&folder).unwrap();
}
