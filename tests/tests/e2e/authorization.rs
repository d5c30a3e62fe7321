//! AuthorizationPolicies under real traffic: the servers, and what reaches their machines, are
//! the witnesses.

use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use sluice_tests::clients::http::Call;
use sluice_tests::mesh::{Mesh, example};
use sluice_tests::net::Machine;
use sluice_tests::pki::Authority;
use sluice_tests::servers::Transport;
use sluice_tests::servers::http::{HttpServer, Reply};
use sluice_tests::tls::{self, ClientCertificates};

use super::bare_ports::{MUTUAL, PASSTHROUGH, PLAIN, World};

const SOON: Duration = Duration::from_secs(10);

/// A host that every namespace sees, and that no VirtualService leads through a Gateway.
const SHARED: &str = "\
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: shared, namespace: istio-system}
spec:
  hosts: [shared.partner.example]
  ports:
  - {number: 80, name: http, protocol: HTTP}
  - {number: 443, name: tls, protocol: TLS}
  resolution: DNS
";

/// A policy of the gateway's namespace.
fn policy(name: &str, spec: &str) -> String {
    format!(
        "apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\n\
         metadata: {{name: {name}, namespace: istio-system}}\nspec: {spec}\n---\n"
    )
}

fn status(call: Call, app: &Machine) -> u16 {
    call.send(app).unwrap().status
}

/// Counts the connection attempts that reach a machine, whatever becomes of them.
fn count_syns(machine: &Machine) {
    let mut nft = Command::new("nft");
    nft.args(["-f", "-"]);
    let rules = "table inet witness {\n counter syns {}\n chain input {\n \
                 type filter hook input priority 0\n \
                 tcp flags & (syn | ack) == syn counter name syns\n }\n}\n";
    machine.check_with_input(nft, rules);
}

fn syns(machine: &Machine) -> u64 {
    let mut nft = Command::new("nft");
    nft.args(["list", "counter", "inet", "witness", "syns"]);
    let text = machine.check(nft);
    let mut words = text.split_whitespace();
    words.find(|word| *word == "packets").unwrap();
    words.next().unwrap().parse().unwrap()
}

#[test]
fn requests_pass_by_identity_method_and_path_and_a_deny_wins() {
    let policies = policy(
        "readers",
        "{rules: [{from: [{source: {principals: [cluster.local/ns/shop/sa/checkout]}}], \
         to: [{operation: {methods: [GET], paths: ['/v1/*']}}]}]}",
    ) + &policy(
        "no-secrets",
        "{action: DENY, rules: [{from: [{source: {namespaces: [shop]}}], \
         to: [{operation: {hosts: [api.partner.example], paths: ['/v1/secret*']}}]}]}",
    );
    let files = [
        ("api.yaml", example("egress-gateway-http/api.yaml")),
        ("shared.yaml", SHARED.to_owned()),
        ("policies.yaml", policies),
    ];
    let (mut mesh, (api, shared)) = Mesh::start(&files, |mesh| {
        (
            mesh.external_http("api", "198.51.100.10", &["api.partner.example"]),
            mesh.external_http("shared", "198.51.100.11", &["shared.partner.example"]),
        )
    });
    mesh.start_pod("lab", "batch", "batch-0", "10.244.1.11");
    let mark = mesh.gateway().mark();
    let get = |url: &str, pod: &str| status(Call::get(url), mesh.proxy(pod).machine());

    // Through a Gateway's server, and without one.
    for host in ["api", "shared"] {
        let url = |path: &str| format!("http://{host}.partner.example{path}");
        assert_eq!(get(&url("/v1/orders"), "checkout-0"), 200, "{host}");
        assert_eq!(get(&url("/v2/orders"), "checkout-0"), 403, "{host}");
        let post = Call::new("POST", &url("/v1/orders"));
        assert_eq!(status(post, mesh.app()), 403, "{host}");
    }
    assert_eq!(
        get("http://shared.partner.example/v1/orders", "batch-0"),
        403
    );

    let secret = Call::get("http://api.partner.example/v1/secret?really");
    let refused = secret.send(mesh.app()).unwrap();
    assert_eq!(refused.status, 403);
    assert!(
        refused.text().contains("RBAC: access denied"),
        "{}",
        refused.text()
    );
    let line = mesh.gateway().access_log_since(mark, "/v1/secret");
    let matched = "rbac_access_denied_matched_policy[ns[istio-system]-policy[no-secrets]-rule[0]]";
    assert!(line.contains(matched), "{line}");
    assert!(
        line.contains(" peer=spiffe://cluster.local/ns/shop/sa/checkout "),
        "{line}"
    );

    // The host is not judged twice, nor is what nothing lets out.
    let unknown = Call::get("http://evil.example/").to(([198, 51, 100, 10], 80).into());
    assert_eq!(status(unknown, mesh.app()), 502);
    assert_eq!((api.requests().count(), shared.requests().count()), (1, 1));
    mesh.assert_no_nack();
}

#[test]
fn a_denied_connection_causes_no_syn() {
    let partner = Authority::new("Partner CA");
    let files = [
        (
            "files.yaml",
            example("egress-gateway-https-passthrough/files.yaml"),
        ),
        ("shared.yaml", SHARED.to_owned()),
        (
            "policies.yaml",
            policy(
                "one",
                "{rules: [{from: [{source: {namespaces: [shop]}}], when: [{key: connection.sni, \
                 values: [files.partner.example, shared.partner.example]}]}]}",
            ),
        ),
    ];
    let (mut mesh, (machine, _servers)) = Mesh::start(&files, |mesh| {
        let hosts = ["files.partner.example", "shared.partner.example"];
        let machine = mesh.external("partner", "198.51.100.20", &hosts);
        let tls = tls::server(
            &partner.server(&hosts),
            ClientCertificates::Ignored,
            &["http/1.1"],
        );
        let address = (machine.v4(), 443).into();
        let server = HttpServer::start(&machine, address, Transport::Tls(tls), Reply::describing);
        (machine, server)
    });
    mesh.start_pod("lab", "batch", "batch-0", "10.244.1.11");
    count_syns(&machine);
    let trusting = tls::client(&[&partner], None, &["http/1.1"]);
    let call = |host: &str, pod: &str| {
        let call =
            Call::get(&format!("https://{host}.partner.example/")).tls(&Arc::clone(&trusting));
        call.send(mesh.proxy(pod).machine())
            .is_ok_and(|response| response.status == 200)
    };

    // By identity and server name: settled before there is a connection.
    assert!(call("files", "checkout-0"));
    assert!(call("shared", "checkout-0"));
    let mark = mesh.gateway().mark();
    assert_eq!(syns(&machine), 2);
    assert!(!call("shared", "batch-0"));
    assert_eq!(syns(&machine), 2);
    let peer = " peer=spiffe://cluster.local/ns/lab/sa/batch ";
    let line = mesh.gateway().access_log_since(mark, peer);
    let rule = " rule=AuthorizationPolicy/istio-system/one ";
    assert!(line.contains(rule), "{line}");

    // By address: asked of the first bytes, and nothing is dialled before.
    let by_address = policy(
        "one",
        "{action: DENY, rules: [{from: [{source: {ipBlocks: [10.244.1.10/32]}}]}]}",
    );
    mesh.config.write("policies.yaml", &by_address);
    mesh.eventually("the other pod is allowed", SOON, || {
        call("shared", "batch-0")
    });
    let before = syns(&machine);
    for host in ["files", "shared"] {
        let mark = mesh.gateway().mark();
        assert!(!call(host, "checkout-0"), "{host}");
        let line = mesh.gateway().access_log_since(mark, "policy[one]");
        let name = format!(" host={host}.partner.example ");
        assert!(line.contains(&name), "{line}");
    }
    assert_eq!(syns(&machine), before);
    mesh.assert_no_nack();
}

#[test]
fn on_bare_ports_the_certificate_says_who_it_is() {
    let world = World::start();
    let _proxy = world.istio_proxy(&world.certificate());
    let trusting = tls::client(&[&world.partner], None, &["http/1.1"]);
    let mutual = || {
        world
            .call(Call::get("http://orders.partner.example/"), MUTUAL)
            .status
    };
    let plain = || {
        world
            .call(Call::get("http://api.partner.example/"), PLAIN)
            .status
    };
    let passes = || {
        let call = Call::get("https://files.partner.example/").tls(&trusting);
        call.to(([127, 0, 0, 1], PASSTHROUGH).into())
            .send(&world.pod)
            .is_ok()
    };
    assert_eq!((mutual(), plain(), passes()), (200, 200, true));
    let of = |namespace: &str| {
        let spec = format!("{{rules: [{{from: [{{source: {{namespaces: [{namespace}]}}}}]}}]}}");
        world
            .mesh
            .config
            .write("policies.yaml", &policy("one", &spec));
    };

    of("lab");
    let gateway_refuses = || plain() == 403;
    world
        .mesh
        .eventually("nobody is refused", SOON, gateway_refuses);
    assert_eq!((mutual(), passes()), (200, false));

    of("shop");
    world
        .mesh
        .eventually("another is refused", SOON, || mutual() == 403);
    assert_eq!((plain(), passes()), (403, false));
    world.mesh.assert_no_nack();
}

#[test]
fn a_policy_on_trial_only_logs() {
    let trial = policy(
        "trial",
        "{action: DENY, rules: [{to: [{operation: {paths: [/old]}}]}]}",
    )
    .replace(
        "namespace: istio-system}",
        "namespace: istio-system, annotations: {istio.io/dry-run: 'true'}}",
    );
    let audit = policy(
        "watch",
        "{action: AUDIT, rules: [{to: [{operation: {paths: [/new]}}]}]}",
    );
    let files = [
        ("api.yaml", example("egress-gateway-http/api.yaml")),
        ("policies.yaml", trial + &audit),
    ];
    let (mesh, api) = Mesh::start(&files, |mesh| {
        mesh.external_http("api", "198.51.100.10", &["api.partner.example"])
    });
    for (path, dry_run, audit) in [
        ("/old", "dry_run_deny=denied", "audit=false"),
        ("/new", "dry_run_deny=allowed", "audit=true"),
    ] {
        let mark = mesh.gateway().mark();
        let call = Call::get(&format!("http://api.partner.example{path}"));
        assert_eq!(status(call, mesh.app()), 200);
        let line = mesh.gateway().access_log_since(mark, path);
        assert!(line.contains(dry_run) && line.contains(audit), "{line}");
    }
    assert_eq!(api.requests().count(), 2);
    mesh.assert_no_nack();
}
