//! Files that change, a control plane and Envoys that crash: all under a client that goes on.

use std::fs;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use sluice_tests::clients::http::Call;
use sluice_tests::mesh::{Mesh, Proxy, example};
use sluice_tests::servers::Transport;
use sluice_tests::servers::http::{HttpServer, Reply};

use super::steady::Steady;

/// How soon an edit must show, on a busy machine.
const SOON: Duration = Duration::from_secs(10);
/// How long programs may take to find each other again: Envoy waits longer after each failure.
const RECOVERED: Duration = Duration::from_secs(60);

const API: &str = "http://api.partner.example/orders";
const NEWS: &str = "http://news.partner.example/today";

const NEWS_ENTRY: &str = "\
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: news, namespace: shop}
spec:
  exportTo: [., istio-system]
  hosts: [news.partner.example]
  ports:
  - {number: 80, name: http, protocol: HTTP}
  - {number: 443, name: tls, protocol: TLS}
  resolution: DNS
";

/// With a mistake in line 6, column 3.
const BROKEN: &str = "\
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: broken, namespace: shop}
spec:
  hosts: [broken.partner.example]
  prots: [{number: 80, name: http, protocol: HTTP}]
  resolution: DNS
";

/// The path on which `api` takes its time.
const SLOW: &str = "http://api.partner.example/slow";

/// A mesh where `api` is open and `news` is there, but not declared.
fn start() -> (Mesh, HttpServer, HttpServer) {
    let files = [("api.yaml", &*example("egress-gateway-http/api.yaml"))];
    let (mesh, (api, news)) = Mesh::start(&files, |mesh| {
        let machine = mesh.external("api", "198.51.100.10", &["api.partner.example"]);
        let address = (machine.v4(), 80).into();
        let api = HttpServer::start(&machine, address, Transport::Plain, |request| {
            let reply = Reply::describing(request);
            match &*request.path {
                "/slow" => reply.after(Duration::from_secs(4)),
                _ => reply,
            }
        });
        let news = mesh.external_http("news", "198.51.100.11", &["news.partner.example"]);
        (api, news)
    });
    (mesh, api, news)
}

fn status(mesh: &Mesh, url: &str) -> u16 {
    Call::get(url).send(mesh.app()).unwrap().status
}

#[test]
fn a_host_opens_and_closes_by_a_file_and_others_do_not_notice() {
    let (mesh, api, news) = start();
    let steady = Steady::start(mesh.app(), Call::get(API));
    let slow = Call::get(SLOW).future(mesh.app());
    let slow = mesh.app().spawn_task(slow);
    let arrived = api.requests().wait_until(SOON, |seen| {
        seen.iter().any(|request| request.path == "/slow")
    });
    assert!(arrived.is_some());
    assert_eq!(status(&mesh, NEWS), 502);

    mesh.config.write("news.yaml", NEWS_ENTRY);
    mesh.eventually("news opens", SOON, || status(&mesh, NEWS) == 200);
    assert!(news.requests().count() > 0);

    mesh.config.remove("news.yaml");
    mesh.eventually("news closes", SOON, || status(&mesh, NEWS) == 502);
    let served = news.requests().count();
    // A path of its own: lines of requests before may still be on their way here.
    assert_eq!(status(&mesh, "http://news.partner.example/closed"), 502);
    assert_eq!(news.requests().count(), served, "nothing leaves any more");
    let line = mesh.gateway().access_log_since(0, "/closed");
    assert!(line.contains("rule=default-deny"), "{line}");

    // It was under way all the while, longer than listeners that drain would have let it live.
    let slow = mesh.app().block_on(slow).unwrap();
    assert_eq!(slow.unwrap().status, 200);
    steady.assert_all_ok(50);
    mesh.assert_no_nack();
}

#[test]
fn a_broken_file_is_pointed_at_and_stops_nothing_else() {
    let (mesh, _api, _news) = start();
    let steady = Steady::start(mesh.app(), Call::get(API));

    mesh.config.write("broken.yaml", BROKEN);
    let said = mesh.control().wait_for("broken.yaml:6:3", SOON);
    assert!(said.contains("ServiceEntry shop/broken"), "{said}");
    assert!(said.contains("spec.prots"), "{said}");

    mesh.config.write("news.yaml", NEWS_ENTRY);
    mesh.eventually("news opens beside it", SOON, || status(&mesh, NEWS) == 200);

    // A good file that breaks keeps the meaning that it had.
    let bad = NEWS_ENTRY.replace("resolution: DNS", "resolution: DSN");
    mesh.config.write("news.yaml", &bad);
    let said = mesh.control().wait_for("news.yaml:10:15", SOON);
    assert!(said.contains("did you mean `DNS`"), "{said}");
    assert_eq!(status(&mesh, NEWS), 200);

    mesh.config.remove("broken.yaml");
    mesh.config.write("news.yaml", NEWS_ENTRY);
    mesh.eventually("nothing is wrong any more", SOON, || {
        mesh.control()
            .lines()
            .iter()
            .any(|line| line.contains("configuration errors and warnings resolved"))
    });
    assert_eq!(status(&mesh, NEWS), 200);
    steady.assert_all_ok(50);
    mesh.assert_no_nack();
}

#[test]
fn traffic_goes_on_without_the_control_plane_and_changes_when_it_is_back() {
    let (mut mesh, _api, _news) = start();
    let root = mesh.config.state().join("root-cert.pem");
    let first_root = fs::read(&root).unwrap();
    let steady = Steady::start(mesh.app(), Call::get(API));

    mesh.crash_control_plane();
    mesh.config.write("news.yaml", NEWS_ENTRY);
    std::thread::sleep(Duration::from_secs(2));
    assert_eq!(status(&mesh, NEWS), 502, "nobody is there to open it");
    mesh.restart_control_plane();

    mesh.eventually("news opens", RECOVERED, || status(&mesh, NEWS) == 200);
    for node in ["router~10.244.0.20~", "sidecar~10.244.1.10~"] {
        mesh.eventually("both proxies are back", RECOVERED, || {
            let lines = mesh.control().lines();
            let is_back = |line: &&String| line.contains("proxy connected") && line.contains(node);
            lines.iter().any(|line| is_back(&line))
        });
    }
    assert!(
        fs::read(&root).unwrap() == first_root,
        "the root outlives the process"
    );
    steady.assert_all_ok(100);
    mesh.assert_no_nack();
}

#[test]
fn a_control_plane_that_comes_back_sends_nothing_that_proxies_have() {
    let (mut mesh, _api, _news) = start();
    let first = mesh.metric("sluice_xds_sent_bytes_total");

    mesh.crash_control_plane();
    mesh.restart_control_plane();
    mesh.eventually("both proxies are back", RECOVERED, || {
        let lines = mesh.control().lines();
        let connected = lines.iter().filter(|line| line.contains("proxy connected"));
        connected.count() >= 2
    });
    assert_eq!(status(&mesh, API), 200);
    std::thread::sleep(Duration::from_secs(1));

    let again = mesh.metric("sluice_xds_sent_bytes_total");
    assert!(
        first > 1_000 && again == 0,
        "first {first} bytes, then {again}"
    );
    mesh.assert_no_nack();
}

#[test]
fn an_envoy_that_crashes_is_started_again() {
    let (mesh, _api, _news) = start();
    for pod in ["checkout-0", "istio-egressgateway-0"] {
        let proxy = mesh.proxy(pod);
        let first = envoy(proxy).unwrap();
        kill(first, Signal::SIGKILL).unwrap();

        mesh.eventually("another Envoy runs", RECOVERED, || {
            envoy(proxy).is_some_and(|pid| pid != first)
        });
        proxy.wait_until_ready(RECOVERED);
        mesh.eventually("calls go out again", RECOVERED, || {
            Call::get(API)
                .send(mesh.app())
                .is_ok_and(|response| response.status == 200)
        });
    }
    mesh.assert_no_nack();
}

/// The Envoy that a proxy runs, if it does now.
fn envoy(proxy: &Proxy) -> Option<Pid> {
    let parent = proxy.process().pid().to_string();
    let processes = fs::read_dir("/proc").unwrap().flatten();
    processes
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .find(|pid: &i32| {
            // `PID (NAME) STATE PARENT …`; a process may end while it is looked at.
            let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
            let Some((name, rest)) = stat.split_once(") ") else {
                return false;
            };
            let mut fields = rest.split(' ');
            let alive = fields.next() != Some("Z");
            alive && name.ends_with("(envoy") && fields.next() == Some(&*parent)
        })
        .map(Pid::from_raw)
}
