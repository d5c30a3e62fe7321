//! The hop carries bytes as a direct connection would.
//!
//! Each scenario runs twice, with the same client code against the same server: from an app whose
//! connections are captured and tunnelled, and from a machine that connects by itself. What both
//! ends lived must be equal.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use sluice_tests::clients::tcp::{self, Pace, Received};
use sluice_tests::clients::{Dial, dial};
use sluice_tests::mesh::{GATEWAY_SOURCE, Mesh, example};
use sluice_tests::net::Machine;
use sluice_tests::servers::tcp::{End, Exchange, Script, TcpServer};
use sluice_tests::servers::{Stream, Transport, pattern};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{sleep, timeout};

const FILE_BYTES: u64 = 20 << 20;
const DIRECT: &str = "203.0.113.50";
const PATIENCE: Duration = Duration::from_secs(60);

struct World {
    mesh: Mesh,
    direct: Machine,
    feeds: Machine,
    address: SocketAddr,
}

/// What the two ends of one connection lived.
#[derive(Debug, PartialEq)]
struct Lived<T> {
    client: T,
    server_received: u64,
    server_saw: Option<End>,
}

impl World {
    fn start() -> Self {
        let files = [("tcp.yaml", &*example("tcp-by-address/ssh.yaml"))];
        let (mesh, feeds) = Mesh::start(&files, |mesh| {
            mesh.external("feeds", "198.51.100.50", &["feeds.partner.example"])
        });
        Self {
            direct: mesh.external("direct", DIRECT, &[]),
            address: (feeds.v4(), 7000).into(),
            feeds,
            mesh,
        }
    }

    fn serve(&self, script: Script) -> TcpServer {
        TcpServer::start(&self.feeds, self.address, Transport::Plain, script)
    }

    /// What a client lives through the hop, and directly.
    fn both_clients<T, F>(&self, client: impl Fn(Dial) -> F) -> [T; 2]
    where
        T: Send + 'static,
        F: Future<Output = T> + Send + 'static,
    {
        [self.mesh.app(), &self.direct].map(|from| from.block_on(client(Dial::to(self.address))))
    }

    /// What both ends live, through the hop and directly.
    fn both<T, F>(&self, script: Script, client: impl Fn(Dial) -> F) -> [Lived<T>; 2]
    where
        T: Send + 'static,
        F: Future<Output = T> + Send + 'static,
    {
        let server = self.serve(script);
        let clients = self.both_clients(client);
        let ended = |exchanges: &[Exchange]| {
            exchanges.len() == 2 && exchanges.iter().all(|exchange| exchange.end.is_some())
        };
        let exchanges = (server.exchanges().wait_until(PATIENCE, ended))
            .unwrap_or_else(|| panic!("not both ended: {:?}", server.exchanges().all()));
        let sources = [0, 1].map(|n: usize| exchanges[n].connection.peer.ip().to_string());
        assert_eq!(sources, [GATEWAY_SOURCE, DIRECT], "one went each way");
        let mut exchanges = exchanges.into_iter();
        clients.map(|client| {
            let exchange = exchanges.next().unwrap();
            Lived {
                client,
                server_received: exchange.received,
                server_saw: exchange.end,
            }
        })
    }
}

/// A reader's outcome without the time that it took.
fn outcome(received: &Received) -> (u64, bool, Option<End>) {
    (received.bytes, received.intact, received.end.clone())
}

/// The first bytes of the pattern.
fn file(bytes: u64) -> Vec<u8> {
    let mut file = vec![0; bytes.try_into().unwrap()];
    pattern::fill(0, &mut file);
    file
}

#[test]
fn twenty_megabytes_and_their_end_reach_a_slow_reader_whole() {
    let world = World::start();
    let [hop, direct] = world.both(Script::Send(FILE_BYTES), |to| async move {
        let pace = Pace::Slow {
            bytes: 64 * 1024,
            pause: Duration::from_millis(8),
        };
        outcome(
            &tcp::receive(&to.receive_buffer_bytes(64 * 1024), pace)
                .await
                .unwrap(),
        )
    });
    assert_eq!(direct.client, (FILE_BYTES, true, Some(End::Fin)));
    assert_eq!(hop, direct);
    world.mesh.assert_no_nack();
}

#[test]
fn a_client_that_ended_gets_its_whole_answer() {
    let world = World::start();
    // Short ones often: whether the end overtakes the making of the tunnel is a race.
    let short = [0, 12, 1500, 40_000].repeat(10);
    for bytes in short.into_iter().chain([FILE_BYTES]) {
        let [hop, direct] = world.both(Script::HalfCloseEcho, move |to| async move {
            let sent = file(bytes);
            tcp::half_close(&to, &sent).await.unwrap() == sent
        });
        assert!(direct.client, "the answer is what was sent");
        assert_eq!(direct.server_received, bytes);
        assert_eq!(direct.server_saw, Some(End::Fin));
        assert_eq!(hop, direct);
    }
    world.mesh.assert_no_nack();
}

#[test]
fn a_server_that_ended_still_gets_what_the_client_sends() {
    let world = World::start();
    let [hop, direct] = world.both(Script::Send(1000), |to| async move {
        let mut stream = dial(&to).await.unwrap().stream;
        let mut heard = Vec::new();
        stream.read_to_end(&mut heard).await.unwrap();
        // Long enough for an end that does not stay half an end to show.
        sleep(Duration::from_millis(500)).await;
        stream.write_all(&file(FILE_BYTES)).await.unwrap();
        stream.shutdown().await.unwrap();
        heard == file(1000)
    });
    assert!(direct.client);
    assert_eq!(direct.server_received, FILE_BYTES);
    assert_eq!(direct.server_saw, Some(End::Fin));
    assert_eq!(hop, direct);
    world.mesh.assert_no_nack();
}

/// A server that sends `bytes`, and resets when the client says that it has them.
async fn reset_when_told(listener: TcpListener, bytes: u64) {
    let file = file(bytes);
    while let Ok((mut stream, _)) = listener.accept().await {
        // With zero linger, closing is resetting.
        stream.set_zero_linger().unwrap();
        stream.write_all(&file).await.unwrap();
        stream.read_u8().await.unwrap();
    }
}

#[test]
fn a_server_s_reset_in_the_middle_of_a_file_is_a_reset_for_the_client() {
    const BYTES: u64 = 10 << 20;
    let world = World::start();
    let address = world.address;
    let listener = world.feeds.block_on(TcpListener::bind(address)).unwrap();
    world
        .feeds
        .spawn_task(async move { reset_when_told(listener, BYTES).await });

    let [hop, direct] = world.both_clients(|to| async move {
        let mut stream = dial(&to).await.unwrap().stream;
        let mut heard = file(BYTES);
        heard.fill(0);
        stream.read_exact(&mut heard).await.unwrap();
        stream.write_all(b"!").await.unwrap();
        let end = timeout(PATIENCE, stream.read_u8()).await.unwrap();
        (heard == file(BYTES), end.map_err(End::from))
    });
    assert_eq!(direct, (true, Err(End::Reset)));
    assert_eq!(hop, direct);
    world.mesh.assert_no_nack();
}

#[test]
fn a_reset_that_overtakes_the_file_is_never_taken_for_its_end() {
    let world = World::start();
    let _server = world.serve(Script::ResetAfter(FILE_BYTES / 2));
    let [hop, direct] =
        world.both_clients(|to| async move { tcp::receive(&to, Pace::Fast).await.unwrap() });
    for received in [&direct, &hop] {
        assert_eq!(received.end, Some(End::Reset));
        assert!(received.intact);
        assert!(received.bytes <= FILE_BYTES / 2);
    }
    world.mesh.assert_no_nack();
}

#[test]
fn a_client_s_reset_is_a_reset_for_the_server() {
    let world = World::start();
    let address = world.address;
    let [hop, direct] = world.both(Script::Echo, move |_| async move {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.set_zero_linger().unwrap();
        stream.write_all(b"half a request").await.unwrap();
        let mut heard = [0; 14];
        stream.read_exact(&mut heard).await.unwrap();
        heard
    });
    assert_eq!(direct.server_saw, Some(End::Reset));
    assert_eq!(hop, direct);
    world.mesh.assert_no_nack();
}

/// A reader that has read a little and then reads no more.
async fn stalled(to: Dial) -> Box<dyn Stream> {
    let to = to.receive_buffer_bytes(64 * 1024);
    let mut stream = dial(&to).await.unwrap().stream;
    stream.read_exact(&mut [0; 1024]).await.unwrap();
    stream
}

/// Waits until the server can write no more to any of its clients.
fn until_held_up(server: &TcpServer) {
    let sent = || {
        let exchanges = server.exchanges().all();
        exchanges.iter().map(|exchange| exchange.sent).sum::<u64>()
    };
    let deadline = Instant::now() + PATIENCE;
    let mut before = sent();
    loop {
        std::thread::sleep(Duration::from_millis(500));
        let now = sent();
        if now == before {
            return;
        }
        assert!(Instant::now() < deadline, "never held up: {now} bytes sent");
        before = now;
    }
}

#[test]
fn five_stalled_readers_hold_no_other_connection_up() {
    const STALLED_BYTES: u64 = 256 << 20;
    let world = World::start();
    let stalling = TcpServer::start(
        &world.feeds,
        (world.feeds.v4(), 7000).into(),
        Transport::Plain,
        Script::Send(STALLED_BYTES),
    );
    let fast = TcpServer::start(
        &world.mesh.external("feeds2", "198.51.100.51", &[]),
        "198.51.100.51:7000".parse().unwrap(),
        Transport::Plain,
        Script::Send(FILE_BYTES),
    );
    let (stalling_address, fast_address) = (stalling.address(), fast.address());

    let [hop, direct] = [world.mesh.app(), &world.direct].map(|from| {
        let read = || {
            let to = Dial::to(fast_address);
            from.block_on(async move { tcp::receive(&to, Pace::Fast).await })
                .unwrap()
        };
        let alone = read();
        let held = from.block_on(async move {
            let mut held = Vec::new();
            for _ in 0..5 {
                held.push(stalled(Dial::to(stalling_address)).await);
            }
            held
        });
        until_held_up(&stalling);
        let beside = read();
        drop(held);
        assert!(
            beside.elapsed < alone.elapsed * 5 + Duration::from_secs(2),
            "from {}: {:?} alone, {:?} beside stalled readers",
            from.name(),
            alone.elapsed,
            beside.elapsed
        );
        [outcome(&alone), outcome(&beside)]
    });
    let whole = (FILE_BYTES, true, Some(End::Fin));
    assert_eq!(direct, [whole.clone(), whole]);
    assert_eq!(hop, direct);

    let exchanges = stalling.exchanges().all();
    assert_eq!(exchanges.len(), 10);
    for exchange in exchanges {
        assert!(
            exchange.sent < STALLED_BYTES / 4,
            "a stalled reader holds its own server up: {} bytes went",
            exchange.sent
        );
    }
    world.mesh.assert_no_nack();
}
