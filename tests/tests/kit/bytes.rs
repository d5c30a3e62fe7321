//! Bytes and ends of connections are told apart: whole or cut, FIN or RST, fast or stalled.

use std::net::SocketAddr;
use std::time::Duration;

use sluice_tests::clients::Dial;
use sluice_tests::clients::tcp::{self, Pace};
use sluice_tests::net::{Lab, Machine};
use sluice_tests::pki::Authority;
use sluice_tests::servers::Transport;
use sluice_tests::servers::tcp::{End, Script, TcpServer};
use sluice_tests::tls::{self, ClientCertificates};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpListener;

const PATIENCE: Duration = Duration::from_secs(10);

struct World {
    _lab: Lab,
    app: Machine,
    external: Machine,
    address: SocketAddr,
}

fn world() -> World {
    let lab = Lab::new();
    World {
        app: lab.machine("app").address("10.244.1.10/24").start(),
        external: lab.machine("external").address("198.51.100.1/24").start(),
        address: "198.51.100.1:9000".parse().unwrap(),
        _lab: lab,
    }
}

impl World {
    fn serve(&self, script: Script) -> TcpServer {
        TcpServer::start(&self.external, self.address, Transport::Plain, script)
    }

    fn receive(&self, how: Dial, pace: Pace) -> tcp::Received {
        self.app
            .block_on(async move { tcp::receive(&how, pace).await })
            .unwrap()
    }
}

#[test]
fn twenty_megabytes_arrive_whole_and_end_with_fin() {
    let world = world();
    let server = world.serve(Script::Send(20 << 20));
    let received = world.receive(Dial::to(world.address), Pace::Fast);
    assert_eq!(received.bytes, 20 << 20);
    assert!(received.intact);
    assert_eq!(received.end, Some(End::Fin));
    assert_eq!(server.exchanges().last().sent, 20 << 20);
}

#[test]
fn a_reset_is_seen_as_a_reset_after_all_bytes_before_it() {
    let world = world();
    let _server = world.serve(Script::ResetAfter(1 << 20));
    let received = world.receive(Dial::to(world.address), Pace::Fast);
    assert_eq!(received.end, Some(End::Reset));
    assert_eq!(received.bytes, 1 << 20);
    assert!(received.intact);
}

#[test]
fn over_tls_an_end_without_close_notify_is_no_fin() {
    let world = world();
    let authority = Authority::new("partner");
    let config = tls::server(
        &authority.server(&["api.partner.example"]),
        ClientCertificates::Ignored,
        &[],
    );
    let transport = Transport::Tls(config);
    let _server = TcpServer::start(
        &world.external,
        world.address,
        transport,
        Script::ResetAfter(100_000),
    );
    let client = tls::client(&[&authority], None, &[]);
    let how = Dial::to(world.address).tls(&client, "api.partner.example");
    let received = world.receive(how, Pace::Fast);
    assert_eq!(received.bytes, 100_000);
    assert_eq!(received.end, Some(End::Reset));
}

#[test]
fn bytes_that_are_not_the_pattern_are_not_intact() {
    let world = world();
    let address = world.address;
    let listener = world.external.block_on(TcpListener::bind(address)).unwrap();
    world.external.spawn_task(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        stream.write_all(b"0123456789").await.unwrap();
    });
    let received = world.receive(Dial::to(address), Pace::Fast);
    assert_eq!((received.bytes, received.intact), (10, false));
}

#[test]
fn a_half_closed_connection_still_gets_its_answer() {
    let world = world();
    let _server = world.serve(Script::HalfCloseEcho);
    let how = Dial::to(world.address);
    let answer = world
        .app
        .block_on(async move { tcp::half_close(&how, b"after the end").await })
        .unwrap();
    assert_eq!(answer, b"after the end");
}

#[test]
fn a_dropped_server_frees_its_address_at_once() {
    let world = world();
    for _ in 0..50 {
        drop(world.serve(Script::Echo));
    }
}

#[test]
fn a_slow_reader_is_slow_and_gets_everything() {
    let world = world();
    let _server = world.serve(Script::Send(1 << 20));
    let pace = Pace::Slow {
        bytes: 64 * 1024,
        pause: Duration::from_millis(20),
    };
    let how = Dial::to(world.address).receive_buffer_bytes(64 * 1024);
    let received = world.receive(how, pace);
    assert_eq!(received.bytes, 1 << 20);
    assert!(received.intact);
    assert_eq!(received.end, Some(End::Fin));
    assert!(received.elapsed >= Duration::from_millis(300));
}

#[test]
fn a_server_that_speaks_first_is_heard_before_anything_is_said() {
    let world = world();
    let _server = world.serve(Script::Banner("220 ready\r\n".into()));
    let how = Dial::to(world.address);
    let banner = world
        .app
        .block_on(async move { tcp::exchange(&how, b"", 11).await })
        .unwrap();
    assert_eq!(banner, b"220 ready\r\n");
}

#[test]
fn the_server_tells_a_clients_abort_from_its_orderly_end() {
    let world = world();
    let server = world.serve(Script::Sink);
    let how = Dial::to(world.address);
    world
        .app
        .block_on(async move { tcp::abort(&how, b"half a request").await })
        .unwrap();
    let how = Dial::to(world.address);
    let answer = world
        .app
        .block_on(async move { tcp::half_close(&how, b"a whole one").await })
        .unwrap();
    assert_eq!(answer, b"");

    let ended = server.exchanges().wait_until(PATIENCE, |exchanges| {
        exchanges.len() == 2 && exchanges.iter().all(|exchange| exchange.end.is_some())
    });
    let ended = ended.expect("both connections end");
    assert_eq!(ended[0].end, Some(End::Reset));
    assert_eq!(ended[0].first, b"half a request");
    assert_eq!(ended[1].end, Some(End::Fin));
    assert_eq!(ended[1].first, b"a whole one");
}

#[test]
fn a_stalled_server_holds_a_sender_up() {
    let world = world();
    let _server = world.serve(Script::Stall);
    let how = Dial::to(world.address);
    let payload = vec![7; 64 << 20];
    let sent = world.app.block_on(async move {
        tokio::time::timeout(Duration::from_secs(1), tcp::half_close(&how, &payload)).await
    });
    assert!(sent.is_err(), "nobody read, and yet it was done: {sent:?}");
}
