//! Connections out of the cluster reach the sidecar with their destination; others are left alone.

use std::net::SocketAddr;
use std::time::Duration;

use sluice_tests::clients::{Dial, DialError, dial};
use sluice_tests::servers::Transport;
use sluice_tests::servers::tcp::{Script, TcpServer};
use socket2::SockRef;
use tokio::net::TcpListener;

use crate::world::{OUTSIDE, OUTSIDE_V6, PEER, PEER_V6, POD, World, address};

/// Dials `destination` with a listener in the sidecar's place: the destination that it recovers,
/// and the peer that the client believes to have.
fn recovered(world: &World, destination: SocketAddr) -> (SocketAddr, SocketAddr) {
    world.pod.block_on(async move {
        let listen: SocketAddr = match destination.ip().to_canonical() {
            std::net::IpAddr::V4(_) => "0.0.0.0:15001".parse().unwrap(),
            std::net::IpAddr::V6(_) => "[::]:15001".parse().unwrap(),
        };
        let sidecar = TcpListener::bind(listen).await.unwrap();
        let client = tokio::net::TcpStream::connect(destination);
        let (accepted, client) = tokio::join!(sidecar.accept(), client);
        let (stream, _) = accepted.unwrap();
        let socket = SockRef::from(&stream);
        let original = if listen.is_ipv4() {
            socket.original_dst_v4()
        } else {
            socket.original_dst_v6()
        };
        (
            original.unwrap().as_socket().unwrap(),
            client.unwrap().peer_addr().unwrap(),
        )
    })
}

#[test]
fn the_sidecar_learns_the_destination_and_the_app_sees_it_as_its_peer() {
    let world = World::guarded();
    let v4 = address(OUTSIDE, 443);
    let v6 = address(OUTSIDE_V6, 8443);
    let mapped = address(&format!("::ffff:{OUTSIDE}"), 80);

    assert_eq!(recovered(&world, v4), (v4, v4));
    assert_eq!(recovered(&world, v6), (v6, v6));
    assert_eq!(recovered(&world, mapped), (address(OUTSIDE, 80), mapped));
    assert_eq!(world.counter("redirected"), 3);
    assert_eq!(world.counter("origin_lost"), 0);
}

#[test]
fn without_a_sidecar_connections_are_refused_and_nothing_is_sent() {
    let world = World::guarded();
    let server = TcpServer::start(
        &world.outside,
        address(OUTSIDE, 443),
        Transport::Plain,
        Script::Echo,
    );
    for destination in [address(OUTSIDE, 443), address(OUTSIDE_V6, 443)] {
        let refused = world
            .pod
            .block_on(async move { dial(&Dial::to(destination)).await.map(drop) });
        let is_refused = matches!(&refused, Err(DialError::Connect(error)) if error.kind() == std::io::ErrorKind::ConnectionRefused);
        assert!(is_refused, "{refused:?}");
    }
    assert_eq!(server.connections().count(), 0);
}

#[test]
fn the_cluster_and_the_pod_itself_are_reached_directly() {
    let world = World::guarded();
    for (machine, at) in [
        (&world.peer, address(PEER, 8080)),
        (&world.peer, address(PEER_V6, 8080)),
        (&world.pod, address(POD, 8080)),
        (&world.pod, address("127.0.0.1", 8080)),
        (&world.pod, address("::1", 8080)),
    ] {
        let server = TcpServer::start(machine, at, Transport::Plain, Script::Echo);
        world
            .pod
            .block_on(async move { dial(&Dial::to(at)).await.map(drop) })
            .unwrap();
        let seen = server
            .connections()
            .wait_for_count(1, Duration::from_secs(5));
        assert_eq!(seen[0].local, at);
    }
}

#[test]
fn the_capture_port_refuses_who_dials_it() {
    let world = World::guarded();
    let v4 = TcpServer::start(
        &world.pod,
        address("0.0.0.0", 15001),
        Transport::Plain,
        Script::Echo,
    );
    for from in [
        "127.0.0.1",
        "127.9.9.9",
        "::1",
        "::ffff:127.0.0.1",
        "0.0.0.0",
    ] {
        let at = address(from, 15001);
        let refused = world
            .pod
            .block_on(async move { dial(&Dial::to(at)).await.map(drop) });
        assert!(
            matches!(refused, Err(DialError::Connect(_))),
            "{from}: {refused:?}"
        );
    }
    // Nor from the wire, where another pod would dial it.
    let at = address(POD, 15001);
    let how = Dial::to(at).within(Duration::from_millis(500));
    let dropped = world
        .peer
        .block_on(async move { dial(&how).await.map(drop) });
    assert!(matches!(dropped, Err(DialError::Timeout)), "{dropped:?}");
    assert_eq!(v4.connections().count(), 0);
    let check = world.check();
    assert_eq!(check["counters"]["refused"], 5);
    assert_eq!(check["events"][0]["reason"], "proxy_port");
    assert!(check["counters"]["dropped_inbound"].as_u64().unwrap() >= 1);
}

#[test]
fn without_ipv6_at_the_gateway_connections_by_it_are_unreachable_at_once() {
    let world = World::open();
    let mut arguments = vec!["--refuse-ipv6"];
    for range in &sluice_tests::net::ranges::CLUSTER {
        arguments.extend(["--allow-cidr", range]);
    }
    assert!(
        world
            .pod
            .sluice_init("install", &arguments)
            .status
            .success()
    );
    let at = address(OUTSIDE_V6, 443);
    let refused = world
        .pod
        .block_on(async move { dial(&Dial::to(at)).await.map(drop) });
    let is_unreachable = matches!(&refused, Err(DialError::Connect(error)) if error.kind() == std::io::ErrorKind::NetworkUnreachable);
    assert!(is_unreachable, "{refused:?}");
    let v4 = address(OUTSIDE, 443);
    assert_eq!(recovered(&world, v4), (v4, v4));
}
