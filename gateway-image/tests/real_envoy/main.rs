//! `sluice-proxy` as a pod runs it: the real program, the real Envoy, a small control plane.
#![expect(clippy::unwrap_used, reason = "a panic is the report of a test")]

mod control_plane;
mod files;
mod proxy;
mod resources;

use std::{
    fs,
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::atomic::Ordering::SeqCst,
    thread,
    time::{Duration, Instant},
};

use nix::{sys::signal::Signal, unistd::Pid};

use crate::{
    control_plane::ControlPlane,
    proxy::{Proxy, free_port, get, is_alive},
    resources::{cluster, listener},
};

/// A server that sends back what it hears.
fn echo() -> SocketAddr {
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = server.local_addr().unwrap();
    thread::spawn(move || {
        for stream in server.incoming().map_while(Result::ok) {
            thread::spawn(move || std::io::copy(&mut stream.try_clone().unwrap(), &mut &stream));
        }
    });
    address
}

fn echoes(stream: &mut TcpStream, word: &str) -> bool {
    let mut back = vec![0; word.len()];
    stream
        .set_read_timeout(Some(Duration::from_secs(10)))
        .unwrap();
    stream
        .write_all(word.as_bytes())
        .and_then(|()| stream.read_exact(&mut back))
        .is_ok()
        && back == word.as_bytes()
}

/// Envoy opens a listener a moment after it has accepted it.
fn connect(port: u16) -> TcpStream {
    let started = Instant::now();
    loop {
        match TcpStream::connect(("127.0.0.1", port)) {
            Ok(stream) => return stream,
            Err(error) => assert!(
                started.elapsed() < Duration::from_secs(10),
                "port {port}: {error}"
            ),
        }
        thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn ready_only_after_the_first_config_and_then_carries_traffic() {
    let control_plane = ControlPlane::start();
    control_plane.state.open.store(false, SeqCst);
    let port = free_port();
    control_plane.publish([cluster("echo", echo()), listener("in", port, "echo", None)]);
    let proxy = Proxy::start(&control_plane);
    proxy.wait_until("waiting for clusters", || {
        proxy
            .readiness()
            .is_some_and(|answer| answer.contains("503") && answer.contains("PRE_INITIALIZING"))
    });

    control_plane.state.open.store(true, SeqCst);
    proxy.wait_until_ready();

    assert!(echoes(&mut connect(port), "hello"));
    let streams = control_plane.state.streams.lock().unwrap().clone();
    let node = "sidecar~127.0.0.1~checkout-0.shop~shop.svc.cluster.local".to_owned();
    assert_eq!(
        streams,
        [(
            node,
            "spiffe://cluster.local/ns/shop/sa/checkout".to_owned()
        )]
    );
    control_plane.assert_nothing_rejected();
}

#[test]
fn control_plane_is_found_by_name() {
    let control_plane = ControlPlane::start();
    let address = format!("--control-plane=localhost:{}", control_plane.address.port());
    let proxy = Proxy::start_with(&control_plane, &[&address]);
    proxy.wait_until_ready();
}

#[test]
fn metrics_port_shows_statistics_and_nothing_else_of_the_admin_interface() {
    let control_plane = ControlPlane::start();
    let proxy = Proxy::start(&control_plane);
    proxy.wait_until_ready();
    let answer = |path| get(connect(proxy.metrics_port), path).unwrap();
    assert!(answer("/stats/prometheus").contains("envoy_server_live{} 1"));
    for other in [
        "/",
        "/config_dump",
        "/quitquitquit",
        "/stats/prometheus/../../config_dump",
        "/stats",
    ] {
        assert!(answer(other).starts_with("HTTP/1.1 404"), "{other}");
    }
}

#[test]
fn crashed_envoy_is_started_again_and_gets_ready_again() {
    let control_plane = ControlPlane::start();
    let proxy = Proxy::start(&control_plane);
    proxy.wait_until_ready();
    let first = proxy.envoy().unwrap();

    nix::sys::signal::kill(Pid::from_raw(first), Signal::SIGKILL).unwrap();
    proxy.wait_until("not ready", || !proxy.is_ready());
    proxy.wait_until_ready();

    assert_ne!(proxy.envoy(), Some(first));
    assert!(proxy.log().contains("envoy ended unexpectedly"));
}

#[test]
fn envoy_dies_with_a_proxy_that_is_killed() {
    let control_plane = ControlPlane::start();
    let mut proxy = Proxy::start(&control_plane);
    proxy.wait_until_ready();
    let envoy = proxy.envoy().unwrap();

    proxy.signal(Signal::SIGKILL);
    proxy.wait();

    proxy.wait_until("without an Envoy", || !is_alive(envoy));
}

#[test]
fn open_connection_is_finished_before_the_end() {
    let control_plane = ControlPlane::start();
    let port = free_port();
    control_plane.publish([cluster("echo", echo()), listener("in", port, "echo", None)]);
    let mut proxy = Proxy::start(&control_plane);
    proxy.wait_until_ready();
    let mut connection = connect(port);
    assert!(echoes(&mut connection, "before"));

    proxy.signal(Signal::SIGTERM);
    proxy.wait_until("draining", || {
        proxy
            .readiness()
            .is_some_and(|answer| answer.contains("draining"))
    });
    thread::sleep(Duration::from_secs(1));
    assert!(echoes(&mut connection, "during"));
    drop(connection);

    assert!(proxy.wait().success(), "{}", proxy.log());
    assert!(!proxy.log().contains("open connections"), "{}", proxy.log());
}

#[test]
fn drain_ends_at_its_deadline_and_a_second_signal_ends_it_at_once() {
    let control_plane = ControlPlane::start();
    let port = free_port();
    control_plane.publish([cluster("echo", echo()), listener("in", port, "echo", None)]);
    for (drain_time, signals) in [("--drain-time=1s", 1), ("--drain-time=1h", 2)] {
        let mut proxy = Proxy::start_with(&control_plane, &[drain_time]);
        proxy.wait_until_ready();
        let mut connection = connect(port);
        assert!(echoes(&mut connection, "before"));
        for _ in 0..signals {
            proxy.signal(Signal::SIGTERM);
            thread::sleep(Duration::from_millis(200));
        }
        assert!(proxy.wait().success(), "{}", proxy.log());
        assert!(
            proxy
                .log()
                .contains("ending envoy with open connections connections=1"),
            "{}",
            proxy.log()
        );
    }
}

#[test]
fn certificate_is_renewed_without_a_new_stream() {
    let control_plane = ControlPlane::start();
    control_plane.state.lifetime_s.store(4, SeqCst);
    let proxy = Proxy::start(&control_plane);
    proxy.wait_until_ready();

    proxy.wait_until("renewed", || {
        control_plane.state.issued_by_token.load(SeqCst) >= 2
    });
    control_plane.state.lifetime_s.store(3600, SeqCst);
    let renewed = control_plane.state.issued_by_token.load(SeqCst);
    proxy.wait_until("renewed again", || {
        control_plane.state.issued_by_token.load(SeqCst) > renewed
    });

    let last = control_plane.state.issued_by_token.load(SeqCst) - 1;
    proxy.wait_until("using the new certificate", || {
        let certificates = proxy.admin("/certs").unwrap_or_default();
        certificates.contains(&format!("010101{last:08x}"))
    });
    assert_eq!(control_plane.state.streams.lock().unwrap().len(), 1);
    assert!(proxy.is_ready());
}

#[test]
fn refused_token_is_named_and_a_valid_certificate_helps_out() {
    let control_plane = ControlPlane::start();
    control_plane.state.takes_tokens.store(false, SeqCst);
    let proxy = Proxy::start(&control_plane);
    proxy.wait_for_log("refuses the token of");
    assert!(!proxy.is_ready() && proxy.envoy().is_none());

    control_plane.state.lifetime_s.store(4, SeqCst);
    control_plane.state.takes_tokens.store(true, SeqCst);
    proxy.wait_until_ready();
    control_plane.state.takes_tokens.store(false, SeqCst);
    proxy.wait_until("renewed by certificate", || {
        control_plane.state.issued_by_certificate.load(SeqCst) >= 1
    });
    assert!(
        proxy
            .log()
            .contains("asking with the present certificate instead")
    );
    assert!(
        !proxy.log().contains(control_plane::TOKEN),
        "the token is in the log"
    );
}

#[test]
fn control_plane_with_another_name_is_not_believed() {
    let control_plane = ControlPlane::start();
    let proxy = Proxy::start_with(&control_plane, &["--control-plane-san=other.example"]);
    proxy.wait_for_log("obtained no certificate");
    let log = proxy.log();
    assert!(
        log.contains(&control_plane.address.to_string()) && log.contains("certificate"),
        "{log}"
    );
    assert_eq!(control_plane.state.issued_by_token.load(SeqCst), 0);
}

#[test]
fn certificate_of_another_workload_is_not_used() {
    let control_plane = ControlPlane::start();
    let proxy = Proxy::start_with(&control_plane, &["--service-account=admin"]);
    proxy.wait_for_log("this pod is configured as spiffe://cluster.local/ns/shop/sa/admin");
    assert!(proxy.envoy().is_none());
}

#[test]
fn unreachable_control_plane_is_named_with_the_cause_and_tried_again() {
    let control_plane = ControlPlane::start();
    let address = format!("127.0.0.1:{}", free_port());
    let mut proxy = Proxy::start_with(&control_plane, &[&format!("--control-plane={address}")]);
    proxy.wait_until("tried twice", || {
        proxy.log().matches("obtained no certificate").count() >= 2
    });
    let log = proxy.log();
    assert!(
        log.contains(&address) && log.contains("Connection refused"),
        "{log}"
    );

    proxy.signal(Signal::SIGTERM);
    assert!(proxy.wait().success());
}

#[test]
fn missing_envoy_is_said_at_once_with_where_to_get_it() {
    let control_plane = ControlPlane::start();
    let mut proxy = Proxy::start_with(&control_plane, &["--envoy=/nowhere/envoy"]);
    assert_eq!(proxy.wait().code(), Some(1));
    proxy.wait_for_log("envoy binary /nowhere/envoy");
    assert!(proxy.log().contains("envoy-server"), "{}", proxy.log());
}

#[test]
fn second_proxy_in_the_same_run_directory_is_refused() {
    let control_plane = ControlPlane::start();
    let first = Proxy::start(&control_plane);
    first.wait_until_ready();
    let same = format!("--run-dir={}", first.run_dir().display());
    let mut second = Proxy::start_with(&control_plane, &[&same]);
    assert_eq!(second.wait().code(), Some(1));
    second.wait_for_log("in use by another sluice-proxy");
    assert!(first.is_ready());
}

#[test]
fn no_key_and_no_token_is_written_to_the_run_directory() {
    let control_plane = ControlPlane::start();
    let proxy = Proxy::start(&control_plane);
    proxy.wait_until_ready();
    for entry in fs::read_dir(proxy.run_dir()).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() {
            let text = fs::read_to_string(&path).unwrap();
            assert!(
                !text.contains("PRIVATE KEY") && !text.contains(control_plane::TOKEN),
                "{}",
                path.display()
            );
        }
    }
}
