//! One table per kind: what breaks a rule, and the field and message that tell it.

mod egress;
mod policy;
mod virtual_service;

use crate::diagnostic::code;
use crate::parse::parse;

/// What is said about an object with that spec, without what is said about inert fields.
fn findings(kind: &str, spec: &str) -> Vec<String> {
    let (group, version) = match kind {
        "EgressIPPool" | "EgressPolicy" | "ClusterEgressPolicy" => ("sluice.dev", "v1alpha1"),
        _ => (istio_group(kind), "v1"),
    };
    let text = format!(
        "apiVersion: {group}/{version}\nkind: {kind}\nmetadata: {{name: a}}\nspec: {spec}\n"
    );
    let parsed = parse("f.yaml", &text, "shop");
    let relevant = parsed
        .diagnostics
        .iter()
        .filter(|diagnostic| diagnostic.code != code::NOT_IN_EFFECT);
    let found: Vec<String> = relevant
        .map(|diagnostic| {
            assert_ne!(diagnostic.code, code::SYNTAX, "{diagnostic}");
            let field = diagnostic
                .field
                .strip_prefix("spec.")
                .unwrap_or(&diagnostic.field);
            format!("{} {field}: {}", diagnostic.severity, diagnostic.message)
        })
        .collect();
    let dropped = found.iter().any(|finding| finding.starts_with("error"));
    assert_eq!(
        parsed.objects.is_empty(),
        dropped,
        "an error drops the object, and only an error"
    );
    found
}

fn istio_group(kind: &str) -> &'static str {
    match kind {
        "AuthorizationPolicy" | "RequestAuthentication" | "PeerAuthentication" => {
            "security.istio.io"
        }
        "Telemetry" => "telemetry.istio.io",
        _ => "networking.istio.io",
    }
}

fn check(kind: &str, table: &[(&str, &[&str])]) {
    for (spec, expected) in table {
        assert_eq!(findings(kind, spec), *expected, "{kind} {spec}");
    }
}

#[test]
fn gateway() {
    let server = |port: &str, rest: &str| {
        format!("{{servers: [{{port: {{{port}}}, hosts: [a.example]{rest}}}]}}")
    };
    let http = "number: 80, name: http, protocol: HTTP";
    let https = "number: 443, name: https, protocol: HTTPS";
    let tcp = "number: 22, name: tcp, protocol: TCP";
    for (spec, expected) in [
        (
            "{}".to_owned(),
            vec!["error servers: at least one server is required"],
        ),
        (server(http, ""), vec![]),
        (server(http, ", tls: {httpsRedirect: true}"), vec![]),
        (server(https, ", tls: {mode: PASSTHROUGH}"), vec![]),
        (server(https, ", tls: {mode: ISTIO_MUTUAL}"), vec![]),
        (
            server(https, ", tls: {mode: MUTUAL, credentialName: c}"),
            vec![],
        ),
        (
            server(https, ""),
            vec!["error servers[0].tls: tls is required for protocol HTTPS"],
        ),
        (
            server(http, ", tls: {mode: SIMPLE, credentialName: c}"),
            vec!["error servers[0].tls: protocol HTTP allows no tls but httpsRedirect"],
        ),
        (
            server(tcp, ", tls: {}"),
            vec!["error servers[0].tls: protocol TCP allows no tls"],
        ),
        (
            server(https, ", tls: {mode: SIMPLE}"),
            vec![
                "error servers[0].tls.serverCertificate: serverCertificate or credentialName is required",
                "error servers[0].tls.privateKey: privateKey or credentialName is required",
            ],
        ),
        (
            server(
                https,
                ", tls: {mode: MUTUAL, serverCertificate: c, privateKey: k}",
            ),
            vec![
                "error servers[0].tls.caCertificates: caCertificates or credentialName is required to \
                 check client certificates",
            ],
        ),
        (
            server(https, ", tls: {mode: ISTIO_MUTUAL, credentialName: c}"),
            vec!["error servers[0].tls.credentialName: mode ISTIO_MUTUAL allows no credentialName"],
        ),
        (
            server(https, ", tls: {mode: PASSTHROUGH, credentialName: c}"),
            vec![
                "warning servers[0].tls.credentialName: without effect where TLS is passed through",
            ],
        ),
        (
            server("number: 80, protocol: HTTP", ""),
            vec!["error servers[0].port.name: a port name is required"],
        ),
        (
            server("number: 0, name: http, protocol: HTPP", ""),
            vec![
                "error servers[0].port.protocol: unknown protocol `HTPP`, expected HTTP, HTTPS, HTTP2, \
                 GRPC, GRPC-WEB, TLS, TCP, MONGO, MYSQL, REDIS or UDP",
                "error servers[0].port.number: port 0 is not within 1 and 65535",
            ],
        ),
        (
            server(
                "number: 80, name: http, protocol: HTTP, targetPort: 8080",
                ", bind: here",
            ),
            vec![
                "error servers[0].port.targetPort: targetPort has no meaning in a Gateway",
                "error servers[0].bind: `here` is no IP address",
            ],
        ),
        (
            server(
                "name: http, protocol: HTTP",
                ", bind: 'unix:///run/gateway'",
            ),
            vec![],
        ),
        (
            format!(
                "{{servers: [{{port: {{{http}}}, hosts: []}}, {{port: {{{http}}}, \
                 hosts: ['*', 1.2.3.4, ./a.example, '*/a.example', shop/a.example, /a, short, a*.example, '*a.example']}}]}}"
            ),
            vec![
                "error servers[0].hosts: at least one host is required",
                "error servers[1].hosts[5]: `` is no namespace, `.` or `*`",
                "error servers[1].hosts[5]: short name `a` is not allowed, expected a full name",
                "error servers[1].hosts[6]: short name `short` is not allowed, expected a full name",
                "error servers[1].hosts[7]: host `a*.example` is invalid at `a*`",
                "error servers[1].hosts[8]: partial wildcard `*a.example` is not allowed",
                "error servers[1].port.name: port name `http` is there twice",
            ],
        ),
    ] {
        assert_eq!(findings("Gateway", &spec), expected, "{spec}");
    }
}

#[test]
fn gateway_names_are_labels() {
    let text = "apiVersion: networking.istio.io/v1\nkind: Gateway\nmetadata: {name: a.b}\n\
                spec: {servers: [{port: {number: 80, name: http, protocol: HTTP}, hosts: ['*']}]}\n";
    let parsed = parse("f.yaml", text, "shop");
    assert_eq!(
        parsed.diagnostics[0].to_string(),
        "f.yaml:3:18: error[IST0106] Gateway shop/a.b: metadata.name: gateway name `a.b` is no DNS label"
    );
}

#[test]
fn service_entry() {
    let table: &[(&str, &[&str])] = &[
        ("{hosts: [a.example], PORT, resolution: DNS}", &[]),
        ("{hosts: ['*.example'], PORT}", &[]),
        ("{PORT}", &["error hosts: at least one host is required"]),
        (
            "{hosts: ['*'], PORT}",
            &["error hosts[0]: host `*` is not allowed"],
        ),
        (
            "{hosts: ['*.example'], PORT, resolution: DNS}",
            &[
                "error hosts[0]: wildcard host `*.example` cannot be looked up, list endpoints or use \
                 another resolution",
            ],
        ),
        (
            "{hosts: ['*.example'], PORT, resolution: DNS, endpoints: [{address: a.example}]}",
            &[],
        ),
        (
            "{hosts: [a.example], PORT, resolution: DNS, addresses: [10.0.0.0/8, 10.0.0.1, x]}",
            &[
                "error addresses[0]: an address range needs resolution NONE or STATIC",
                "error addresses[2]: `x` is no IP address",
            ],
        ),
        ("{hosts: [a.example], PORT, addresses: [10.0.0.0/8]}", &[]),
        (
            "{hosts: [a.example], PORT, endpoints: [{address: 10.0.0.1}]}",
            &["error endpoints: resolution NONE allows no endpoints"],
        ),
        (
            "{hosts: [a.example], PORT, resolution: STATIC, endpoints: [{address: b.example}, {}, \
             {address: 10.0.0.1, ports: {web: 80, http: 0}}]}",
            &[
                "error endpoints[0].address: `b.example` is no IP address",
                "error endpoints[1].address: an address is required",
                "error endpoints[2].ports.http: port 0 is not within 1 and 65535",
                "error endpoints[2].ports.web: the ServiceEntry has no port named `web`",
            ],
        ),
        (
            "{hosts: [a.example], PORT, resolution: STATIC, endpoints: [{address: 'unix:///run/a'}]}",
            &[],
        ),
        (
            "{hosts: [a.example], PORT, resolution: STATIC, workloadSelector: {labels: {a: b}}, endpoints: [{address: 10.0.0.1}]}",
            &["error workloadSelector: only one of workloadSelector and endpoints may be set"],
        ),
        (
            "{hosts: [a.example], ports: [{number: 80, name: a, protocol: HTTP}, {number: 80, name: a, protocol: X}]}",
            &[
                "error ports[1].protocol: unknown protocol `X`, expected HTTP, HTTPS, HTTP2, GRPC, \
                 GRPC-WEB, TLS, TCP, MONGO, MYSQL, REDIS or UDP",
                "error ports[1].name: port name `a` is there twice",
                "error ports[1].number: port 80 is there twice",
            ],
        ),
        (
            "{hosts: [a.example, b.example], ports: [{number: 22, name: ssh, protocol: TCP}], resolution: DNS}",
            &[
                "error ports[0].protocol: several hosts need protocols that tell the host: HTTP, HTTPS, \
                 TLS or GRPC",
            ],
        ),
        (
            "{hosts: [a.example, b.example], ports: [{number: 22, name: ssh, protocol: TCP}]}",
            &[],
        ),
        (
            "{hosts: [a.example], PORT, resolution: DNS_ROUND_ROBIN, endpoints: [{address: a.example}, {address: b.example}]}",
            &["error endpoints: resolution DNS_ROUND_ROBIN allows one endpoint"],
        ),
        (
            "{hosts: [a.example], ports: [{number: 443, name: a, protocol: HTTPS}], resolution: DYNAMIC_DNS, addresses: [10.0.0.1]}",
            &[
                "error hosts[0]: resolution DYNAMIC_DNS needs wildcard hosts",
                "error addresses: resolution DYNAMIC_DNS allows no addresses",
                "error ports[0].protocol: resolution DYNAMIC_DNS needs protocol HTTP, HTTP2, GRPC or TLS",
            ],
        ),
        ("{hosts: [a.example], PORT, exportTo: ['~']}", &[]),
    ];
    for (spec, expected) in table {
        let spec = spec.replace("PORT", "ports: [{number: 80, name: http, protocol: HTTP}]");
        assert_eq!(findings("ServiceEntry", &spec), *expected, "{spec}");
    }
}

#[test]
fn workload_entry() {
    check(
        "WorkloadEntry",
        &[
            ("{address: 10.0.0.1, ports: {http: 80}}", &[]),
            ("{address: a.example}", &[]),
            (
                "{network: net}",
                &["warning address: no address, only network `net`"],
            ),
            ("{}", &["error address: an address is required"]),
            (
                "{address: 'unix://a', ports: {a: 1}}",
                &[
                    "error address: `a` is no absolute path of a socket",
                    "error ports: a Unix socket has no ports",
                ],
            ),
        ],
    );
}

#[test]
fn destination_rule() {
    let table: &[(&str, &[&str])] = &[
        (
            "{host: a.example, trafficPolicy: {tls: {mode: SIMPLE}}, subsets: [{name: a}]}",
            &[],
        ),
        ("{}", &["error host: an empty host is not allowed"]),
        (
            "{host: a.example, trafficPolicy: {}}",
            &["error trafficPolicy: an empty traffic policy is not allowed"],
        ),
        (
            "{host: a.example, subsets: [{name: a}, {name: a, labels: {'a b': c}}, {}]}",
            &[
                "error subsets[1].name: subset `a` is there twice",
                "error subsets[1].labels[\"a b\"]: label key `a b` is invalid",
                "error subsets[2].name: a subset name is required",
            ],
        ),
        (
            "{host: a.example, trafficPolicy: {tls: {mode: MUTUAL}}}",
            &[
                "error trafficPolicy.tls.clientCertificate: mode MUTUAL requires clientCertificate or credentialName",
                "error trafficPolicy.tls.privateKey: mode MUTUAL requires privateKey or credentialName",
            ],
        ),
        (
            "{host: a.example, trafficPolicy: {tls: {mode: MUTUAL, credentialName: c}}}",
            &[],
        ),
        (
            "{host: a.example, trafficPolicy: {tls: {mode: SIMPLE, credentialName: c, caCertificates: f}}}",
            &["error trafficPolicy.tls.caCertificates: credentialName allows no caCertificates"],
        ),
        (
            "{host: a.example, trafficPolicy: {tls: {mode: SIMPLE, insecureSkipVerify: true, subjectAltNames: [a]}}}",
            &[
                "error trafficPolicy.tls.subjectAltNames: insecureSkipVerify allows no subjectAltNames",
            ],
        ),
        (
            "{host: a.example, trafficPolicy: {portLevelSettings: [{tls: {mode: SIMPLE}}, {port: {number: 443}}]}}",
            &[
                "error trafficPolicy.portLevelSettings[0].port: a port is required",
                "error trafficPolicy.portLevelSettings[1]: an empty traffic policy is not allowed",
            ],
        ),
        (
            "{host: a.example, trafficPolicy: {connectionPool: {tcp: {maxConnections: -1, connectTimeout: 0s, idleTimeout: 0s}, \
             http: {h2UpgradePolicy: UPGRADE, useClientProtocol: true, http2KeepAlive: {interval: 1s}}}}}",
            &[
                "error trafficPolicy.connectionPool.tcp.maxConnections: -1 is negative",
                "error trafficPolicy.connectionPool.tcp.connectTimeout: duration 0s is shorter than 1ms",
                "error trafficPolicy.connectionPool.http.useClientProtocol: useClientProtocol and \
                 h2UpgradePolicy UPGRADE exclude each other",
                "error trafficPolicy.connectionPool.http.http2KeepAlive.timeout: timeout is required",
            ],
        ),
        (
            "{host: a.example, trafficPolicy: {outlierDetection: {consecutiveErrors: 1, \
             consecutiveLocalOriginFailures: 1, maxEjectionPercent: 101}}}",
            &[
                "warning trafficPolicy.outlierDetection.consecutiveErrors: consecutiveErrors is deprecated, \
                 use consecutive5xxErrors or consecutiveGatewayErrors",
                "error trafficPolicy.outlierDetection.consecutiveLocalOriginFailures: \
                 splitExternalLocalOriginErrors is required to count local failures",
                "error trafficPolicy.outlierDetection.maxEjectionPercent: percentage 101 is not within 0 and 100",
            ],
        ),
        (
            "{host: a.example, trafficPolicy: {loadBalancer: {simple: RANDOM, consistentHash: {maglev: {tableSize: 100}}}}}",
            &[
                "error trafficPolicy.loadBalancer: only one of simple, consistentHash and backendUtilization may be set",
                "error trafficPolicy.loadBalancer.consistentHash: exactly one of httpHeaderName, httpCookie, \
                 useSourceIp and httpQueryParameterName is required",
                "error trafficPolicy.loadBalancer.consistentHash.maglev.tableSize: table size 100 is no \
                 prime number below 5000011",
            ],
        ),
        (
            "{host: a.example, trafficPolicy: {loadBalancer: {consistentHash: {useSourceIp: true, maglev: {tableSize: 65537}}}}}",
            &[],
        ),
        (
            "{host: a.example, trafficPolicy: {tunnel: {protocol: GET, targetHost: '', targetPort: 0}}}",
            &[
                "error trafficPolicy.tunnel.protocol: the protocol must be CONNECT or POST",
                "error trafficPolicy.tunnel.targetHost: an empty host is not allowed",
                "error trafficPolicy.tunnel.targetPort: port 0 is not within 1 and 65535",
            ],
        ),
        (
            "{host: a.example, workloadSelector: {matchLabels: {a: '*'}}, exportTo: ['*']}",
            &[
                "error workloadSelector.matchLabels.a: wildcards are not allowed in selectors",
                "error exportTo: with a workloadSelector, only the own namespace may be named",
            ],
        ),
    ];
    check("DestinationRule", table);
}

#[test]
fn sidecar() {
    check(
        "Sidecar",
        &[
            (
                "{egress: [{hosts: ['./*', 'istio-system/*', '*/a.example', '~shop/b.example']}]}",
                &[],
            ),
            (
                "{egress: [{hosts: ['~/*']}], outboundTrafficPolicy: {mode: REGISTRY_ONLY}}",
                &[],
            ),
            ("{}", &["error spec: an empty Sidecar is not allowed"]),
            (
                "{workloadSelector: {labels: {}}, egress: [{hosts: []}, {hosts: [a.example, 'a b/*', ./short, ./*, ./*]}]}",
                &[
                    "warning workloadSelector.labels: a selector without labels applies to the whole namespace",
                    "error egress[0]: the listener without a port must be the last one",
                    "error egress[0].hosts: at least one host is required",
                    "error egress[1].hosts[0]: `a.example` is not of the form namespace/host",
                    "error egress[1].hosts[1]: `a b` is no namespace, `.`, `*` or `~`",
                    "error egress[1].hosts[2]: short name `short` is not allowed, expected a full name",
                    "warning egress[1].hosts[4]: `./*` is there twice",
                ],
            ),
            (
                "{egress: [{port: {number: 0, protocol: HTTP}, hosts: [./*]}, {port: {number: 80, protocol: HTTP}, hosts: [./*]}, \
                 {port: {number: 80, protocol: HTTP}, hosts: [./*]}]}",
                &[
                    "error egress[0].port.number: port 0 needs a bind of unix://",
                    "error egress[2].port: two listeners have the same port or socket",
                ],
            ),
            (
                "{outboundTrafficPolicy: {egressProxy: {host: a.example}}}",
                &[
                    "error outboundTrafficPolicy.egressProxy: egressProxy needs mode ALLOW_ANY",
                    "error outboundTrafficPolicy.egressProxy.port: a port is required",
                ],
            ),
            (
                "{ingress: [{}, {port: {number: 80, protocol: HTTP}, tls: {mode: ISTIO_MUTUAL}}]}",
                &[
                    "error ingress[0].port: a port is required",
                    "error ingress[1].tls: protocol HTTP allows no tls",
                    "error ingress[1].tls.mode: this mode is not allowed in a Sidecar",
                ],
            ),
        ],
    );
}
