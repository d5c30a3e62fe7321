//! What HTTP routes do on the way out: `tests/examples/http-routing` under real requests.
//!
//! The witnesses are the external servers: what they saw, and what never reached them.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use sluice_tests::clients::http::{Call, Response};
use sluice_tests::mesh::{GATEWAY_SOURCE, Mesh, example};
use sluice_tests::programs::Program;
use sluice_tests::servers::Transport;
use sluice_tests::servers::http::{HttpServer, Reply, Request};

/// The client's protocol; the app chooses, the routes are the same.
#[derive(Debug, Clone, Copy)]
enum Version {
    Http1,
    Http2,
}

const VERSIONS: [Version; 2] = [Version::Http1, Version::Http2];

/// The data path with the example's three hosts.
struct World {
    mesh: Mesh,
    servers: Servers,
}

struct Servers {
    catalog: HttpServer,
    v2: HttpServer,
    shadow: HttpServer,
}

impl World {
    /// With this script for `catalog-v2`.
    fn start(v2: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Self {
        let files = [("routing.yaml", &*example("http-routing/routing.yaml"))];
        let (mesh, servers) = Mesh::start(&files, |mesh| {
            let machine = mesh.external("v2", "198.51.100.61", &["catalog-v2.partner.example"]);
            let address = (machine.v4(), 80).into();
            Servers {
                catalog: mesh.external_http(
                    "catalog",
                    "198.51.100.60",
                    &["catalog.partner.example"],
                ),
                v2: HttpServer::start(&machine, address, Transport::Plain, v2),
                shadow: mesh.external_http("shadow", "198.51.100.62", &["shadow.partner.example"]),
            }
        });
        Self { mesh, servers }
    }

    #[track_caller]
    fn send(&self, version: Version, call: Call) -> Response {
        let call = match version {
            Version::Http1 => call,
            Version::Http2 => call.http2(),
        };
        let response = call.send(self.mesh.app()).unwrap();
        let expected = match version {
            Version::Http1 => "HTTP/1.1",
            Version::Http2 => "HTTP/2.0",
        };
        assert_eq!(response.version, expected);
        response
    }

    /// How many requests reached any server.
    fn seen(&self) -> usize {
        let Servers {
            catalog,
            v2,
            shadow,
        } = &self.servers;
        [catalog, v2, shadow]
            .map(|server| server.requests().count())
            .iter()
            .sum()
    }
}

fn get(path: &str) -> Call {
    Call::get(&format!("http://catalog.partner.example{path}"))
}

/// A call that the route `versioned` takes.
fn versioned(path: &str) -> Call {
    get(&format!("/v1/{path}?lang=en")).header("x-tier", "gold")
}

#[test]
fn the_gateway_answers_by_itself_where_a_route_says_so() {
    let world = World::start(Reply::describing);
    for version in VERSIONS {
        let mark = world.mesh.gateway().mark();
        let blocked = Call::new("DELETE", "http://catalog.partner.example/items/1");
        let blocked = world.send(version, blocked);
        assert_eq!(blocked.status, 403);
        assert_eq!(blocked.text(), "deleting is not allowed from here\n");
        let line = world.mesh.gateway().access_log_since(mark, "/items/1");
        assert!(line.contains("rule=VirtualService/shop/catalog"), "{line}");

        let moved = world.send(version, get("/old"));
        assert_eq!(moved.status, 308);
        let location = moved.header("location");
        assert_eq!(location, Some("http://catalog.partner.example/new"));

        let broken = world.send(version, get("/broken/cart"));
        assert_eq!(broken.status, 418);
    }
    assert_eq!(world.seen(), 0, "no server was asked");
    world.mesh.assert_no_nack();
}

#[test]
fn a_matched_request_reaches_the_server_rewritten() {
    let world = World::start(Reply::describing);
    let Servers { v2, catalog, .. } = &world.servers;
    for version in VERSIONS {
        let call = versioned("items")
            .header("x-secret", "s3cret")
            .header("x-kept", "yes");
        let response = world.send(version, call);

        assert_eq!(response.status, 200);
        assert_eq!(response.header("x-through"), Some("egress"));
        let request = v2.requests().last();
        assert_eq!(request.connection.peer.ip().to_string(), GATEWAY_SOURCE);
        assert_eq!(request.host, "catalog-v2.partner.example");
        assert_eq!(request.path, "/api/items?lang=en");
        assert_eq!(request.header("x-from"), Some("sluice"));
        assert_eq!(request.header("x-secret"), None);
        assert_eq!(request.header("x-kept"), Some("yes"));
    }
    assert_eq!(v2.requests().count(), VERSIONS.len());
    assert_eq!(catalog.requests().count(), 0);

    // Each part of the match counts: what lacks one goes where the last route says, as it is.
    for other in [
        get("/v1/items?lang=en"),
        get("/v1/items?lang=en").header("x-tier", "golden"),
        get("/v1/items?lang=de").header("x-tier", "gold"),
        get("/v2/items?lang=en").header("x-tier", "gold"),
    ] {
        let response = world.send(Version::Http1, other);
        assert_eq!(response.status, 200);
        assert_eq!(response.header("x-through"), None);
        assert!(
            response.text().contains("/items?lang="),
            "{}",
            response.text()
        );
        assert!(!response.text().contains("/api/"), "{}", response.text());
    }
    world.mesh.assert_no_nack();
}

#[test]
fn failures_are_retried_and_time_is_bounded_as_the_route_says() {
    let flaky = AtomicUsize::new(0);
    let world = World::start(move |request| match request.path.split('?').next() {
        Some("/api/slow") => Reply::describing(request).after(Duration::from_secs(8)),
        Some("/api/down") => Reply::status(503, "down\n"),
        Some("/api/flaky") if flaky.fetch_add(1, Ordering::Relaxed) < 2 => {
            Reply::status(503, "not yet\n")
        }
        _ => Reply::describing(request),
    });
    let requests = world.servers.v2.requests();
    let since = |mark: usize| requests.count() - mark;

    let mark = requests.count();
    assert_eq!(world.send(Version::Http1, versioned("flaky")).status, 200);
    assert_eq!(since(mark), 3, "two failures and a success");

    let mark = requests.count();
    let down = world.send(Version::Http2, versioned("down"));
    assert_eq!((down.status, &*down.text()), (503, "down\n"));
    assert_eq!(since(mark), 4, "the first attempt and three retries");

    // Four attempts of 500 ms each, within 2 s in all.
    let mark = requests.count();
    let slow = world.send(Version::Http1, versioned("slow"));
    assert_eq!(slow.status, 504);
    assert!(
        (Duration::from_millis(1400)..Duration::from_secs(5)).contains(&slow.elapsed),
        "{:?}",
        slow.elapsed
    );
    assert!((3..=4).contains(&since(mark)), "{} attempts", since(mark));
    world.mesh.assert_no_nack();
}

#[test]
fn requests_are_split_by_weight_and_each_is_mirrored() {
    const REQUESTS: usize = 200;
    let world = World::start(Reply::describing);
    let Servers {
        catalog,
        v2,
        shadow,
    } = &world.servers;

    for number in 0..REQUESTS {
        let version = VERSIONS[number % VERSIONS.len()];
        let response = world.send(version, get(&format!("/items/{number}")));
        assert_eq!(response.status, 200);
    }

    let (first, second) = (catalog.requests().count(), v2.requests().count());
    assert_eq!(first + second, REQUESTS, "each request is answered once");
    // Five standard deviations around 150.
    assert!((119..=181).contains(&first), "{first} of {REQUESTS}");

    let mirrored = shadow
        .requests()
        .wait_for_count(REQUESTS, Duration::from_secs(10));
    assert_eq!(mirrored.len(), REQUESTS);
    let mut paths: Vec<usize> = mirrored
        .iter()
        .map(|request| request.path.rsplit('/').next().unwrap().parse().unwrap())
        .collect();
    paths.sort_unstable();
    assert!(paths.into_iter().eq(0..REQUESTS), "each request once");
    // Istio leaves Envoy's mark on mirrored requests, so that a server can tell them.
    assert_eq!(mirrored[0].host, "catalog.partner.example-shadow");
    assert_eq!(mirrored[0].connection.peer.ip().to_string(), GATEWAY_SOURCE);
    world.mesh.assert_no_nack();
}

#[test]
fn what_explain_says_is_what_happens() {
    let world = World::start(Reply::describing);
    let items = "http://catalog.partner.example";
    for (method, url, headers) in [
        ("GET", format!("{items}/items"), None),
        ("DELETE", format!("{items}/items"), None),
        ("GET", format!("{items}/old"), None),
        ("GET", format!("{items}/old/er"), None),
        ("POST", format!("{items}/broken/cart"), None),
        (
            "GET",
            format!("{items}/v1/a?lang=en"),
            Some(("x-tier", "silver")),
        ),
        (
            "GET",
            format!("{items}/v1/a?lang=fr"),
            Some(("x-tier", "silver")),
        ),
        ("GET", "http://shadow.partner.example/".to_owned(), None),
        ("GET", "http://evil.example/".to_owned(), None),
        ("GET", format!("{items}:8080/items"), None),
    ] {
        // Every name leads somewhere, so that it is the gateway that decides.
        let port = if url.contains(":8080") { 8080 } else { 80 };
        let address = (std::net::Ipv4Addr::new(198, 51, 100, 60), port).into();
        let mut call = Call::new(method, &url).to(address);
        let mut said = Program::Sluice.command();
        said.args(["explain", "-o", "json", "--from", "pod/shop/checkout-0"])
            .args(["--method", method, "--to", &url, "-f"])
            .arg(world.mesh.config.yaml());
        if let Some((name, value)) = headers {
            call = call.header(name, value);
            said.args(["-H", &format!("{name}={value}")]);
        }
        let said = said.output().unwrap();
        let said: serde_json::Value = serde_json::from_slice(&said.stdout).unwrap();
        let happened = call.send(world.mesh.app()).map(|response| response.status);

        let outcome = &said["outcome"];
        let expected = match outcome["answers"]["status"].as_u64() {
            Some(status) => status.to_string(),
            None if outcome["closes"].is_string() => "closed".to_owned(),
            None => "200".to_owned(),
        };
        let happened = happened.map_or_else(|_| "closed".to_owned(), |status| status.to_string());
        assert_eq!(happened, expected, "{method} {url}: {said}");
        assert_eq!(said["allowed"], happened == "200", "{method} {url}: {said}");
    }
    world.mesh.assert_no_nack();
}
