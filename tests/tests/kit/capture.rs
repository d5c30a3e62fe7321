//! Capture takes what leaves the cluster, keeps its destination, and leaves the rest alone.

use std::net::SocketAddr;
use std::os::unix::process::CommandExt as _;
use std::process::Command;
use std::time::Duration;

use sluice_tests::clients::{Dial, dial};
use sluice_tests::net::{Lab, Machine, ranges};
use sluice_tests::servers::Transport;
use sluice_tests::servers::tcp::{Script, TcpServer};
use socket2::SockRef;
use tokio::net::TcpListener;

fn app(lab: &Lab) -> Machine {
    let app = lab
        .machine("app")
        .address("10.244.1.10/24")
        .address("fd00:10:244:1::10/64")
        .start();
    app.capture(&ranges::capture());
    app
}

#[test]
fn what_leaves_the_cluster_reaches_the_sidecar_with_its_destination() {
    let lab = Lab::new();
    let app = app(&lab);
    for (listen, destination) in [
        ("127.0.0.1:15001", "198.51.100.1:443"),
        ("[::1]:15001", "[2001:db8:51::1]:443"),
    ] {
        let listen: SocketAddr = listen.parse().unwrap();
        let destination: SocketAddr = destination.parse().unwrap();
        let original = app.block_on(async move {
            let sidecar = TcpListener::bind(listen).await.unwrap();
            let how = Dial::to(destination);
            let (accepted, dialed) = tokio::join!(sidecar.accept(), dial(&how));
            dialed.unwrap();
            let (stream, _) = accepted.unwrap();
            let socket = SockRef::from(&stream);
            let original = if destination.is_ipv4() {
                socket.original_dst_v4()
            } else {
                socket.original_dst_v6()
            };
            original.unwrap().as_socket()
        });
        assert_eq!(original, Some(destination));
    }
}

#[test]
fn without_a_sidecar_the_connection_is_refused_and_never_leaks() {
    let lab = Lab::new();
    let external = lab.machine("external").address("198.51.100.1/24").start();
    let address = "198.51.100.1:443".parse().unwrap();
    let server = TcpServer::start(&external, address, Transport::Plain, Script::Echo);
    let app = app(&lab);
    let refused = app.block_on(async move { dial(&Dial::to(address)).await.map(drop) });
    assert!(refused.is_err());
    assert_eq!(server.connections().count(), 0);
}

#[test]
fn cluster_addresses_and_the_machines_own_are_left_alone() {
    let lab = Lab::new();
    let app = app(&lab);
    let peer = lab
        .machine("peer")
        .address("10.244.2.10/24")
        .address("10.96.0.10/12")
        .address("fd00:10:244:2::10/64")
        .start();
    for (machine, address) in [
        (&peer, "10.244.2.10:8080"),
        (&peer, "10.96.0.10:8080"),
        (&peer, "[fd00:10:244:2::10]:8080"),
        (&app, "10.244.1.10:8080"),
        (&app, "127.0.0.1:8080"),
    ] {
        let address = address.parse().unwrap();
        let server = TcpServer::start(machine, address, Transport::Plain, Script::Echo);
        app.block_on(async move { dial(&Dial::to(address)).await.map(drop) })
            .unwrap();
        let seen = server
            .connections()
            .wait_for_count(1, Duration::from_secs(5));
        assert_eq!(seen[0].local, address);
    }
}

#[test]
fn the_sidecars_user_is_exempt_and_no_other() {
    let lab = Lab::new();
    let external = lab.machine("external").address("198.51.100.1/24").start();
    let address = "198.51.100.1:443".parse().unwrap();
    let server = TcpServer::start(&external, address, Transport::Plain, Script::Echo);
    let app = app(&lab);
    let connects_as = |uid| {
        let mut bash = Command::new("bash");
        bash.args(["-c", "exec 3<>/dev/tcp/198.51.100.1/443"])
            .uid(uid);
        app.run(bash).status.success()
    };
    assert!(!connects_as(1000));
    assert_eq!(server.connections().count(), 0);
    assert!(connects_as(1337));
    server
        .connections()
        .wait_for_count(1, Duration::from_secs(5));
}

#[test]
fn capturing_twice_is_capturing_once() {
    let lab = Lab::new();
    let app = app(&lab);
    let listed = || {
        let mut nft = Command::new("nft");
        nft.args(["list", "ruleset"]);
        app.check(nft)
    };
    let once = listed();
    app.capture(&ranges::capture());
    assert_eq!(listed(), once);
    assert_eq!(once.matches("redirect to").count(), 1);
}
