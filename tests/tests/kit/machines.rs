//! Machines are apart, keep their own addresses, and leave nothing behind.

use std::fs;
use std::io::ErrorKind;
use std::process::Command;

use sluice_tests::clients::{Dial, DialError, dial};
use sluice_tests::net::Lab;
use sluice_tests::servers::Transport;
use sluice_tests::servers::tcp::{Script, TcpServer};

#[test]
fn one_machines_loopback_is_not_anothers() {
    let lab = Lab::new();
    let app = lab.machine("app").address("10.244.1.10/24").start();
    let other = lab.machine("other").address("10.244.1.11/24").start();
    let local = "127.0.0.1:7000".parse().unwrap();
    let _server = TcpServer::start(&app, local, Transport::Plain, Script::Echo);

    let reach = |machine: &sluice_tests::net::Machine| {
        machine.block_on(async move { dial(&Dial::to(local)).await.map(drop) })
    };
    assert!(reach(&app).is_ok());
    let refused = reach(&other);
    assert!(
        matches!(&refused, Err(DialError::Connect(error)) if error.kind() == ErrorKind::ConnectionRefused),
        "{refused:?}"
    );
}

#[test]
fn a_server_sees_the_address_of_the_machine_that_called() {
    let lab = Lab::new();
    let external = lab
        .machine("external")
        .address("198.51.100.1/24")
        .address("2001:db8:51::1/64")
        .start();
    let gateway = lab
        .machine("gateway")
        .address("10.244.2.10/24")
        .address("fd00:10:244:2::10/64")
        .address("203.0.113.10/32")
        .address("2001:db8:113::10/128")
        .start();
    // The callee's address, the one asked for as a source, and the one that it must see.
    for (server, source, expected) in [
        ("198.51.100.1:80", None, "10.244.2.10"),
        ("198.51.100.1:80", Some("203.0.113.10"), "203.0.113.10"),
        (
            "[2001:db8:51::1]:80",
            Some("2001:db8:113::10"),
            "2001:db8:113::10",
        ),
        (
            "[2001:db8:51::1]:80",
            Some("fd00:10:244:2::10"),
            "fd00:10:244:2::10",
        ),
    ] {
        let server = server.parse().unwrap();
        let echo = TcpServer::start(&external, server, Transport::Plain, Script::Echo);
        let mut how = Dial::to(server);
        if let Some(source) = source {
            how = how.from(source.parse().unwrap());
        }
        let local = gateway.block_on(async move { dial(&how).await.unwrap().local });
        let [seen] = echo
            .connections()
            .wait_for_count(1, std::time::Duration::from_secs(5))
            .try_into()
            .unwrap();
        assert_eq!(seen.peer, local);
        assert_eq!(seen.peer.ip().to_string(), expected);
        assert_eq!(seen.local, server);
    }
}

#[test]
fn addresses_come_and_go_while_the_machine_runs() {
    let lab = Lab::new();
    let external = lab.machine("external").address("198.51.100.1/24").start();
    let gateway = lab.machine("gateway").address("10.244.2.10/24").start();
    let server = "198.51.100.1:80".parse().unwrap();
    let _echo = TcpServer::start(&external, server, Transport::Plain, Script::Echo);
    let from_fixed = || {
        let how = Dial::to(server).from("203.0.113.10".parse().unwrap());
        gateway.block_on(async move { dial(&how).await.map(|dialed| dialed.local.ip()) })
    };

    assert!(from_fixed().is_err());
    gateway.add_address("203.0.113.10/32");
    assert_eq!(from_fixed().unwrap().to_string(), "203.0.113.10");
    gateway.remove_address("203.0.113.10/32");
    assert!(from_fixed().is_err());
}

#[test]
fn an_unplugged_machine_is_not_reached() {
    let lab = Lab::new();
    let external = lab.machine("external").address("198.51.100.1/24").start();
    let app = lab.machine("app").address("10.244.1.10/24").start();
    let server = "198.51.100.1:80".parse().unwrap();
    let _echo = TcpServer::start(&external, server, Transport::Plain, Script::Echo);
    let reach = || {
        let how = Dial::to(server).within(std::time::Duration::from_millis(500));
        app.block_on(async move { dial(&how).await.map(drop) })
    };
    assert!(reach().is_ok());
    external.unplug();
    assert!(reach().is_err());
}

#[test]
fn nothing_of_a_lab_shows_on_the_host_or_outlives_it() {
    let links = || {
        let output = Command::new("ip").args(["-o", "link"]).output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    let before = links();
    let lab = Lab::new();
    let app = lab.machine("app").address("10.244.1.10/24").start();
    let namespace = format!("/run/netns/{}", app.namespace());
    assert_eq!(links(), before);
    assert!(fs::exists(&namespace).unwrap());

    let resolver = fs::read_to_string("/etc/resolv.conf").unwrap();
    drop(lab);
    assert!(fs::exists(&namespace).unwrap(), "the machine still runs");
    drop(app);
    assert!(!fs::exists(&namespace).unwrap());
    assert_eq!(fs::read_to_string("/etc/resolv.conf").unwrap(), resolver);
}

#[test]
#[should_panic(expected = "raised on the machine")]
fn a_panic_on_a_machine_fails_the_test() {
    let lab = Lab::new();
    let app = lab.machine("app").address("10.244.1.10/24").start();
    app.block_on(async { panic!("raised on the machine") });
}
