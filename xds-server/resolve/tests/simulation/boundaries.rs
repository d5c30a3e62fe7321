//! What nobody can write an object for: the gateway itself, its machine, and addresses that no
//! entry lists.

use super::world::{World, examples, get, is_closed, reaches, status, tcp, tls};

fn entry(name: &str, spec: &str) -> String {
    format!(
        "
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {{name: {name}, namespace: lab}}
spec: {spec}
"
    )
}

fn service(name: &str, spec: &str) -> String {
    format!(
        "
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: {name}, namespace: lab}}
spec: {spec}
"
    )
}

fn of_lab(world: &World, call: &sluice_plan::simulate::Call) -> sluice_resolve::Explanation {
    world.explain("lab/batch", call)
}

#[test]
fn no_entry_leads_to_the_gateway_itself() {
    for (resolution, address) in [
        ("STATIC", "127.0.0.1"),
        ("STATIC", "169.254.169.254"),
        ("STATIC", "unix:///run/sluice/sds.sock"),
        ("DNS", "localhost"),
        ("DNS", "::1"),
    ] {
        let world = examples(&[]).with(&entry(
            "inside",
            &format!(
                "{{hosts: [inside.example], ports: [{{number: 80, name: http, protocol: HTTP}}], \
                 resolution: {resolution}, endpoints: [{{address: '{address}'}}]}}"
            ),
        ));
        let call = of_lab(&world, &get("inside.example"));
        assert!(!call.allowed, "{address}: {call}");
    }
}

#[test]
fn a_range_of_any_address_does_not_hold_the_gateways_own() {
    let world = examples(&[]).with(&entry(
        "any",
        "{hosts: [any.example], addresses: [0.0.0.0/0, '::/0'], \
         ports: [{number: 7000, name: tcp, protocol: TCP}], resolution: NONE}",
    ));
    let call = |address| of_lab(&world, &tcp(address, 7000)).outcome;
    assert_eq!(
        call("198.51.100.9"),
        reaches("outbound|7000||any.example@lab")
    );
    for own in ["127.0.0.1", "169.254.169.254", "::1", "::ffff:127.0.0.1"] {
        assert!(is_closed(&call(own)), "{own}");
    }
}

/// A cluster that dials what the client dialled must not be reached on other ways.
#[test]
fn a_route_to_an_entry_of_addresses_opens_no_others() {
    let feeds = entry(
        "feeds",
        "{hosts: [feeds.example], addresses: [198.51.100.0/28], \
         ports: [{number: 7000, name: tcp, protocol: TCP}], resolution: NONE}",
    );
    let to = "route: [{destination: {host: feeds.example, port: {number: 7000}}}]";
    let by_http = service(
        "by-http",
        &format!("{{hosts: [a.example], http: [{{{to}}}]}}"),
    );
    let world = examples(&[]).with(&(feeds.clone() + &by_http));
    assert!(!of_lab(&world, &get("a.example")).allowed);

    let wider = service(
        "wider",
        &format!(
            "{{hosts: [feeds.example], tcp: [{{match: [{{destinationSubnets: [0.0.0.0/0]}}], {to}}}]}}"
        ),
    );
    let world = examples(&[]).with(&(feeds.clone() + &wider));
    assert!(!of_lab(&world, &tcp("203.0.113.200", 7000)).allowed);

    let within = service(
        "within",
        &format!(
            "{{hosts: [feeds.example], tcp: [{{match: [{{destinationSubnets: [198.51.100.4/30]}}], {to}}}]}}"
        ),
    );
    let world = examples(&[]).with(&(feeds + &within));
    assert!(of_lab(&world, &tcp("198.51.100.5", 7000)).allowed);
    assert!(!of_lab(&world, &tcp("198.51.100.9", 7000)).allowed);
}

#[test]
fn a_service_of_the_cluster_is_no_host_outside() {
    let world = examples(&[]).with(
        "
apiVersion: v1
kind: Service
metadata: {name: reviews, namespace: lab}
spec: {clusterIP: 10.96.1.1, selector: {app: reviews}, ports: [{name: http, port: 80}]}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: reviews, namespace: lab}
spec:
  hosts: [reviews]
  http: [{route: [{destination: {host: reviews}}]}]
",
    );
    let call = of_lab(&world, &get("reviews.lab.svc.cluster.local"));
    assert_eq!(status(&call.outcome), Some(502));
}

#[test]
fn a_gateway_does_not_call_itself() {
    let world = examples(&["egress-gateway-http"]).with(
        "
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: loop, namespace: lab}
spec:
  selector: {istio: egressgateway}
  servers: [{port: {number: 80, name: http, protocol: HTTP}, hosts: [loop.example]}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: loop, namespace: lab}
spec:
  hosts: [loop.example]
  gateways: [loop, mesh]
  http: [{route: [{destination: {host: istio-egressgateway.istio-system.svc.cluster.local, port: {number: 80}}}]}]
",
    );
    assert!(!of_lab(&world, &get("loop.example")).allowed);
}

/// The Gateway allows one host to a namespace; a VirtualService cannot bring others along.
#[test]
fn a_passthrough_server_takes_no_names_but_its_own() {
    let world = |sni: &str| {
        examples(&[]).with(&format!(
            "
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {{name: shared, namespace: istio-system}}
spec:
  selector: {{istio: egressgateway}}
  servers:
  - port: {{number: 443, name: tls, protocol: TLS}}
    tls: {{mode: PASSTHROUGH}}
    hosts: [lab/own.example]
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {{name: both, namespace: lab}}
spec:
  hosts: [own.example, other.example]
  ports: [{{number: 443, name: tls, protocol: TLS}}]
  resolution: DNS
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: both, namespace: lab}}
spec:
  hosts: [own.example, other.example]
  gateways: [istio-system/shared, mesh]
  tls:
  - match: [{{gateways: [mesh], port: 443, sniHosts: [{sni}]}}]
    route: [{{destination: {{host: istio-egressgateway.istio-system.svc.cluster.local, port: {{number: 443}}}}}}]
  - match: [{{gateways: [istio-system/shared], port: 443, sniHosts: [own.example, other.example]}}]
    route: [{{destination: {{host: own.example, port: {{number: 443}}}}}}]
"
        ))
    };
    assert!(of_lab(&world("own.example"), &tls("own.example", 443)).allowed);
    assert!(!of_lab(&world("other.example"), &tls("other.example", 443)).allowed);
}

#[test]
fn only_rules_of_its_own_namespace_use_what_the_gateway_holds() {
    let world = |namespace: &str, tls: &str| {
        examples(&["egress-gateway-mutual-tls-origination"]).with(&format!(
            "
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {{name: thief, namespace: lab}}
spec:
  selector: {{istio: egressgateway}}
  servers: [{{port: {{number: 80, name: http, protocol: HTTP}}, hosts: [thief.example]}}]
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {{name: thief, namespace: lab}}
spec:
  hosts: [thief.example]
  ports: [{{number: 80, name: http, protocol: HTTP}}]
  resolution: DNS
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: thief, namespace: lab}}
spec:
  hosts: [thief.example]
  gateways: [thief, mesh]
  http:
  - match: [{{gateways: [mesh]}}]
    route: [{{destination: {{host: istio-egressgateway.istio-system.svc.cluster.local, port: {{number: 80}}}}}}]
  - match: [{{gateways: [thief]}}]
    route: [{{destination: {{host: thief.example}}}}]
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {{name: thief, namespace: {namespace}}}
spec:
  host: thief.example
  trafficPolicy: {{tls: {tls}}}
"
        ))
    };
    for tls in [
        "{mode: MUTUAL, credentialName: client-credential}",
        "{mode: MUTUAL, clientCertificate: /etc/certs/tls.crt, privateKey: /etc/certs/tls.key}",
        "{mode: ISTIO_MUTUAL}",
    ] {
        let call = of_lab(&world("lab", tls), &get("thief.example"));
        assert!(!call.allowed, "{tls}: {call}");
        assert!(of_lab(&world("istio-system", tls), &get("thief.example")).allowed);
    }
    assert!(of_lab(&world("lab", "{mode: SIMPLE}"), &get("thief.example")).allowed);
}

#[test]
fn a_gateway_takes_none_of_its_proxys_own_ports() {
    let server = |port: &str, bind: &str| {
        format!(
            "{{port: {{number: {port}, name: p{port}, protocol: TCP}}, bind: '{bind}', hosts: ['*']}}"
        )
    };
    let world = examples(&[]).with(&format!(
        "
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {{name: greedy, namespace: lab}}
spec:
  selector: {{istio: egressgateway}}
  servers: [{}, {}, {}, {}]
",
        server("15008", ""),
        server("0", "unix:///tmp/socket"),
        server("9000", "0.0.0.0"),
        server("9001", "192.0.2.1"),
    ));
    let plan = sluice_resolve::proxy(&world.catalog, &world.gateway()).plan;
    let bare: Vec<&str> = (plan.listeners.keys())
        .map(String::as_str)
        .filter(|name| name.contains('_'))
        .collect();
    assert_eq!(bare, ["0.0.0.0_9000", "192.0.2.1_9001"]);
}
