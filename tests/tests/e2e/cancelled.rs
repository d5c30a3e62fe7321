//! Connections that one workload gives up leave nothing behind that another could be taken for.
//!
//! Envoy may keep a connection that it opened for a client which went away, and give it to the
//! next; if that next one is another workload, its requests leave under a stranger's identity.

use std::net::SocketAddr;

use sluice_tests::clients::http::Call;
use sluice_tests::clients::{Dial, tcp};
use sluice_tests::mesh::{GATEWAY_SOURCE, Mesh};
use sluice_tests::net::Machine;
use sluice_tests::servers::Transport;
use sluice_tests::servers::http::{HttpServer, Reply};
use sluice_tests::servers::tcp::{Script, TcpServer};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio::task::JoinSet;

const SHARED: &str = "\
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: shared, namespace: istio-system}
spec:
  hosts: [shared.partner.example]
  addresses: [198.51.100.60]
  ports:
  - {number: 80, name: http, protocol: HTTP}
  - {number: 7000, name: tcp, protocol: TCP}
  resolution: STATIC
  endpoints:
  - address: 198.51.100.60
";
const CANCELLED: usize = 1000;
const ROUNDS: usize = 50;
const HALF: &[u8] = b"half of checkout's";
const BATCH: &str = " peer=spiffe://cluster.local/ns/lab/sa/batch ";
const CHECKOUT: &str = " peer=spiffe://cluster.local/ns/shop/sa/checkout ";

/// The path, with the pods `shop/checkout-0` and `lab/batch-0`, and the host that both may reach.
fn mesh() -> (Mesh, Machine) {
    let (mut mesh, shared) = Mesh::start(&[("shared.yaml", SHARED)], |mesh| {
        mesh.external("shared", "198.51.100.60", &["shared.partner.example"])
    });
    mesh.start_pod("lab", "batch", "batch-0", "10.244.1.11");
    (mesh, shared)
}

/// How an application gives a connection up.
#[derive(Clone, Copy)]
enum Cancel {
    AtOnce,
    ByReset,
    AfterHalf,
    ByResetAfterHalf,
}

impl Cancel {
    const ALL: [Self; 4] = [
        Self::AtOnce,
        Self::ByReset,
        Self::AfterHalf,
        Self::ByResetAfterHalf,
    ];

    async fn run(self, to: SocketAddr, half: &'static [u8]) {
        let mut stream = TcpStream::connect(to).await.unwrap();
        if matches!(self, Self::AfterHalf | Self::ByResetAfterHalf) {
            stream.write_all(half).await.unwrap();
        }
        if matches!(self, Self::ByReset | Self::ByResetAfterHalf) {
            stream.set_zero_linger().unwrap();
        }
    }
}

/// One round's share of the connections that are given up, all at once.
fn cancel(from: &Machine, to: SocketAddr, half: &'static [u8]) {
    from.block_on(async move {
        let ways = Cancel::ALL.into_iter().cycle().take(CANCELLED / ROUNDS);
        let all: JoinSet<()> = ways.map(|way| way.run(to, half)).collect();
        all.join_all().await;
    });
}

#[test]
fn no_request_of_one_workload_leaves_under_anothers_identity_after_a_thousand_cancelled() {
    let (mesh, shared) = mesh();
    let address = (shared.v4(), 80).into();
    let server = HttpServer::start(&shared, address, Transport::Plain, Reply::describing);
    let batch = mesh.proxy("batch-0").machine();
    let mark = mesh.gateway().mark();

    for round in 0..ROUNDS {
        cancel(
            mesh.app(),
            address,
            b"GET /checkout HTTP/1.1\r\nHost: shared.partner.example\r\n",
        );
        let call = Call::get(&format!("http://shared.partner.example/batch/{round}"));
        assert_eq!(call.send(batch).unwrap().status, 200);
    }

    let requests = server.requests().all();
    assert_eq!(requests.len(), ROUNDS);
    for request in &requests {
        assert!(request.path.starts_with("/batch/"), "{}", request.path);
        assert_eq!(request.connection.peer.ip().to_string(), GATEWAY_SOURCE);
    }
    for round in 0..ROUNDS {
        let line = (mesh.gateway()).access_log_since(mark, &format!("\"GET /batch/{round} "));
        assert!(line.contains(BATCH), "{line}");
    }
    mesh.assert_no_nack();
}

#[test]
fn no_bytes_of_one_workload_leave_under_anothers_identity_after_a_thousand_cancelled() {
    let (mesh, shared) = mesh();
    let address = (shared.v4(), 7000).into();
    let server = TcpServer::start(&shared, address, Transport::Plain, Script::Echo);
    let batch = mesh.proxy("batch-0").machine();
    let mark = mesh.gateway().mark();

    for round in 0..ROUNDS {
        cancel(mesh.app(), address, HALF);
        let token = format!("batch's {round:02}").into_bytes();
        let sent = token.clone();
        let answer = batch
            .block_on(async move { tcp::exchange(&Dial::to(address), &sent, sent.len()).await });
        assert_eq!(answer.unwrap(), token);
    }

    let exchanges = server.exchanges().all();
    let of_batch: Vec<_> = exchanges
        .iter()
        .filter(|exchange| exchange.first.starts_with(b"batch's "))
        .collect();
    assert_eq!(of_batch.len(), ROUNDS);
    for exchange in of_batch {
        assert_eq!(exchange.received, 10, "nobody else's bytes came with them");
        let source = format!(" source={} ", exchange.connection.peer);
        let line = mesh.gateway().access_log_since(mark, &source);
        assert!(line.contains(BATCH), "{line}");
    }
    // What got as far as the server did so under its own identity.
    let of_checkout: Vec<_> = exchanges
        .iter()
        .filter(|exchange| exchange.first == HALF)
        .collect();
    assert!(!of_checkout.is_empty());
    for exchange in of_checkout {
        let source = format!(" source={} ", exchange.connection.peer);
        let line = mesh.gateway().access_log_since(mark, &source);
        assert!(line.contains(CHECKOUT), "{line}");
    }
    mesh.assert_no_nack();
}
