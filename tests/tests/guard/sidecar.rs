//! The guard with the real sidecar: every way of connecting arrives with its destination, and
//! without the sidecar nothing does.

use std::net::SocketAddr;
use std::time::Duration;

use sluice_tests::clients::http::Call;
use sluice_tests::clients::{Dial, DialError, dial, tcp};
use sluice_tests::mesh::{Capture, GATEWAY_SOURCE, Mesh, example};
use sluice_tests::servers::http::HttpServer;

/// A mesh whose pod `checkout-0` has the guard, and a server outside that it may reach.
fn guarded() -> (Mesh, HttpServer) {
    let mut mesh = Mesh::control_plane(&[("api.yaml", &*example("egress-gateway-http/api.yaml"))]);
    let api = mesh.external_http("api", "198.51.100.10", &["api.partner.example"]);
    mesh.start_gateway();
    mesh.capture = Capture::Ebpf;
    mesh.start_pod("shop", "checkout", "checkout-0", "10.244.1.10");
    (mesh, api)
}

#[test]
fn the_real_envoy_recovers_every_kind_of_destination() {
    let (mesh, api) = guarded();
    for (path, to, logged) in [
        ("/v4", "198.51.100.10:80", "198.51.100.10:80"),
        ("/mapped", "[::ffff:198.51.100.10]:80", "198.51.100.10:80"),
        ("/v6", "[2001:db8:51::10]:80", "[2001:db8:51::10]:80"),
    ] {
        let mark = mesh.gateway().mark();
        let call = Call::get(&format!("http://api.partner.example{path}"));
        let answer = call.to(to.parse().unwrap()).send(mesh.app()).unwrap();
        assert_eq!(answer.status, 200, "{to}");
        let line = mesh.gateway().access_log_since(mark, path);
        assert!(line.contains(&format!("original_dst={logged}")), "{line}");
        assert!(
            line.contains("peer=spiffe://cluster.local/ns/shop/sa/checkout"),
            "{line}"
        );
    }
    assert_eq!(api.requests().count(), 3);
    for request in api.requests().all() {
        assert_eq!(request.connection.peer.ip().to_string(), GATEWAY_SOURCE);
    }
    mesh.assert_no_nack();
}

#[test]
fn many_connections_at_once_each_keep_their_own_destination() {
    const MANY: u16 = 400;
    let (mesh, _api) = guarded();
    let calls = async {
        let calls = (0..MANY).map(|index| async move {
            // The gateway refuses them, for nobody declared the ports; the sidecar's log tells
            // whereto each was meant.
            let to = SocketAddr::from(([198, 51, 100, 10], 20_000 + index));
            tcp::exchange(&Dial::to(to), b"GET / HTTP/1.1\r\n\r\n", 1).await
        });
        futures::future::join_all(calls).await
    };
    let sidecar = mesh.proxy("checkout-0");
    let mark = sidecar.mark();
    for answer in mesh.app().block_on(calls) {
        assert!(answer.is_err(), "{answer:?}");
    }
    for index in 0..MANY {
        sidecar.access_log_since(mark, &format!(" 198.51.100.10:{} ", 20_000 + index));
    }
    let check = mesh.app().sluice_init("check", &["--output", "json"]);
    let check: serde_json::Value = serde_json::from_slice(&check.stdout).unwrap();
    assert_eq!(check["counters"]["redirected"], MANY);
    assert_eq!(check["counters"]["origin_lost"], 0);
}

#[test]
fn without_its_sidecar_the_pod_is_closed() {
    let (mesh, api) = guarded();
    let address: SocketAddr = "198.51.100.10:80".parse().unwrap();
    let call = || Call::get("http://api.partner.example/").send(mesh.app());
    assert_eq!(call().unwrap().status, 200);
    let before = api.connections().count();

    mesh.proxy("checkout-0").process().kill_group();

    mesh.eventually("the sidecar is gone", Duration::from_secs(5), || {
        let refused = mesh
            .app()
            .block_on(async move { dial(&Dial::to(address)).await.map(drop) });
        matches!(refused, Err(DialError::Connect(error)) if error.kind() == std::io::ErrorKind::ConnectionRefused)
    });
    assert!(call().is_err());
    assert_eq!(api.connections().count(), before);
}
