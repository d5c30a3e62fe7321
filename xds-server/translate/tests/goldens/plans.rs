//! Plans that together use all that a plan can say.

use std::{net::IpAddr, sync::Arc, time::Duration};

use sluice_plan::{
    destination::{
        Destination, Endpoint, EndpointAddress, Endpoints, Keepalive, Limits, LoadBalancing,
        OutlierDetection, Protocol, Resolution,
    },
    identity::ClassId,
    listener::{
        AccessLog, Chain, ChainMatch, Deny, Encoding, Filter, Http, Listener, Role, Tcp, Transport,
    },
    proxy::ProxyPlan,
    route::{
        AbortStatus, Action, Fault, FaultAbort, FaultDelay, Forward, HashPolicy, HeaderMatch,
        HeaderOperations, Mirror, PathMatch, PathRewrite, QueryMatch, Redirect, Retry, Route,
        RouteMatch, RouteTable, ValueMatch, VirtualHost, WeightedDestination,
    },
    secret::{CertificateSource, PrivateBytes, Secret, SecretContent, TrustSource},
    tls::{ClientCertificates, ClientTrust, DownstreamTls, Sni, TlsVersion, UpstreamTls},
};

const CERTIFICATE: &str = include_str!("../../src/print/placeholder-certificate.pem");
const KEY: &str = include_str!("../../src/print/placeholder-key.pem");

pub(crate) fn sidecar() -> ProxyPlan {
    let mut plan = ProxyPlan::default();
    plan.add_listener(listener(
        "virtualOutbound",
        Role::Capture {
            port: 15001,
            to: "tunnel".to_owned(),
        },
    ));
    plan.add_listener(listener(
        "tunnel",
        Role::TunnelClient {
            to: "gateways".to_owned(),
        },
    ));
    plan.add_destination(hop("tunnel", "tunnel", true));
    plan.add_destination(Destination {
        tls: Some(UpstreamTls {
            certificate: Some(CertificateSource::Workload),
            trust: Some(TrustSource::Workload),
            subject_alt_names: vec![
                "spiffe://cluster.local/ns/istio-system/sa/istio-egressgateway".to_owned(),
            ],
            alpn: vec!["sluice-tunnel".to_owned()],
            only_tls13: true,
            ..originate(Sni::Absent)
        }),
        ..Destination::new("gateways", Resolution::Discovered)
    });
    plan.add_endpoints(Endpoints {
        name: "gateways".to_owned(),
        endpoints: vec![ip("10.244.9.1", 15008), ip("fd00:10:244:9::1", 15008)],
    });
    plan
}

pub(crate) fn gateway() -> ProxyPlan {
    let class = ClassId::of("shop", "checkout", []);
    let mut plan = ProxyPlan::default();
    plan.add_listener(listener("tunnel", Role::TunnelServer { port: 15008 }));
    plan.add_destination(hop(&class.dns_name(), &class.dns_name(), false));
    plan.add_listener(Listener {
        chains: vec![
            chain("80", port(80), http("80@shop", false)),
            chain(
                "443|api.partner.example",
                ChainMatch {
                    server_names: vec!["api.partner.example".to_owned()],
                    transport: Transport::Tls,
                    ..port(443)
                },
                tcp("server|443", "VirtualService/shop/partner"),
            ),
            chain(
                "5432|192.0.2.0/24",
                ChainMatch {
                    addresses: vec![
                        "192.0.2.0/24".parse().unwrap(),
                        "2001:db8::/32".parse().unwrap(),
                    ],
                    ..port(5432)
                },
                tcp("PassthroughCluster", "ServiceEntry/shop/database"),
            ),
        ],
        otherwise: Some(Filter::Deny(Deny {
            rule: "default-deny".to_owned(),
            reason: "nothing lets shop/checkout reach it".to_owned(),
        })),
        server_first_ports: vec![5432],
        ..listener(&class.dns_name(), Role::Class(class))
    });
    plan.add_listener(Listener {
        chains: vec![chain(
            "api.partner.example",
            ChainMatch {
                server_names: vec!["api.partner.example".to_owned()],
                ..ChainMatch::default()
            },
            tcp(
                "outbound|443||api.partner.example",
                "VirtualService/shop/partner",
            ),
        )],
        ..listener("server|443", Role::Hop(class))
    });
    plan.add_destination(hop("server|443", "server|443", false));
    plan.add_destination(dns(
        "outbound|443||api.partner.example",
        "api.partner.example",
        443,
    ));
    plan.add_destination(dns(
        "outbound|80||api.partner.example",
        "api.partner.example",
        80,
    ));
    plan.add_destination(Destination::new(
        "PassthroughCluster",
        Resolution::Original { port: None },
    ));
    plan.add_routes(table(
        "80@shop",
        vec![forward_to("outbound|80||api.partner.example")],
    ));
    plan
}

pub(crate) fn bare_servers() -> ProxyPlan {
    let mut plan = ProxyPlan::default();
    plan.add_listener(Listener {
        chains: vec![chain(
            "http",
            ChainMatch::default(),
            http("http.8080", true),
        )],
        ..listener("0.0.0.0_8080", server(8080))
    });
    let mutual = DownstreamTls {
        certificates: vec![CertificateSource::Workload],
        clients: ClientCertificates::Required(ClientTrust {
            roots: TrustSource::Workload,
            subject_alt_names: Vec::new(),
        }),
        alpn: vec!["h2".to_owned(), "http/1.1".to_owned()],
        min_version: None,
        max_version: None,
        cipher_suites: Vec::new(),
    };
    let simple = DownstreamTls {
        certificates: vec![CertificateSource::Credential("server".to_owned())],
        clients: ClientCertificates::Optional(ClientTrust {
            roots: TrustSource::Credential("server".to_owned()),
            subject_alt_names: vec!["client.example".to_owned()],
        }),
        min_version: Some(TlsVersion::V1_2),
        max_version: Some(TlsVersion::V1_3),
        cipher_suites: vec!["ECDHE-ECDSA-AES256-GCM-SHA384".to_owned()],
        ..mutual.clone()
    };
    let of = |name: &str| ChainMatch {
        server_names: vec![name.to_owned()],
        ..ChainMatch::default()
    };
    plan.add_listener(Listener {
        chains: vec![
            Chain {
                tls: Some(mutual),
                ..chain(
                    "mutual",
                    of("mutual.example"),
                    http("https.443.a.b.c", true),
                )
            },
            Chain {
                tls: Some(simple),
                ..chain(
                    "simple",
                    of("simple.example"),
                    http("https.443.d.b.c", true),
                )
            },
            chain(
                "passthrough",
                of("*.pass.example"),
                tcp("out", "VirtualService/a/b"),
            ),
        ],
        ..listener(
            "192.0.2.1_8443",
            Role::Server {
                bind: vec![address("127.0.0.1")],
                port: 8443,
            },
        )
    });
    plan.add_destination(dns("out", "out.example", 443));
    for name in ["http.8080", "https.443.a.b.c", "https.443.d.b.c"] {
        plan.add_routes(table(name, vec![forward_to("out")]));
    }
    plan
}

pub(crate) fn tls_origination() -> ProxyPlan {
    let mut plan = ProxyPlan::default();
    let mut add = |name: &str, tls| {
        plan.add_destination(Destination {
            tls: Some(tls),
            ..dns(name, "api.partner.example", 443)
        });
    };
    let fixed = || originate(Sni::Fixed("api.partner.example".to_owned()));
    add("simple", fixed());
    add("simple-from-host", originate(Sni::FromHost));
    add(
        "mutual-credential",
        UpstreamTls {
            certificate: Some(CertificateSource::Credential("partner".to_owned())),
            trust: Some(TrustSource::Credential("partner".to_owned())),
            alpn: vec!["h2".to_owned()],
            ..fixed()
        },
    );
    add(
        "mutual-files",
        UpstreamTls {
            certificate: Some(CertificateSource::Files {
                certificate: "/etc/certs/tls.crt".to_owned(),
                key: "/etc/certs/tls.key".to_owned(),
            }),
            trust: Some(TrustSource::File("/etc/certs/ca.crt".to_owned())),
            subject_alt_names: vec![
                "spiffe://partner.example/api".to_owned(),
                "api.partner.example".to_owned(),
                "192.0.2.7".to_owned(),
            ],
            ..fixed()
        },
    );
    add(
        "insecure",
        UpstreamTls {
            trust: None,
            subject_alt_names: vec!["ignored.example".to_owned()],
            ..fixed()
        },
    );
    plan.add_secret(Secret {
        name: "kubernetes://partner".to_owned(),
        content: SecretContent::Certificate {
            chain: CERTIFICATE.into(),
            key: PrivateBytes(Arc::from(KEY.as_bytes())),
        },
    });
    plan.add_secret(Secret {
        name: "kubernetes://partner-cacert".to_owned(),
        content: SecretContent::Trust {
            roots: CERTIFICATE.into(),
            crl: None,
        },
    });
    plan
}

pub(crate) fn resolutions() -> ProxyPlan {
    let mut plan = ProxyPlan::default();
    plan.add_destination(dns("dns", "api.example", 443));
    plan.add_destination(Destination::new(
        "logical-dns",
        Resolution::LogicalDns(name("api.example", 443)),
    ));
    plan.add_destination(Destination::new("discovered", Resolution::Discovered));
    plan.add_destination(Destination::new(
        "discovered-nowhere",
        Resolution::Discovered,
    ));
    plan.add_endpoints(Endpoints {
        name: "discovered".to_owned(),
        endpoints: vec![
            Endpoint {
                locality: Some("eu/a/rack-1".to_owned()),
                weight: 3,
                ..ip("192.0.2.1", 80)
            },
            Endpoint {
                locality: Some("eu/b".to_owned()),
                ..ip("2001:db8::1", 80)
            },
            Endpoint {
                address: EndpointAddress::Unix("/run/server.sock".to_owned()),
                weight: 0,
                locality: None,
            },
        ],
    });
    plan.add_destination(Destination::new(
        "original",
        Resolution::Original { port: None },
    ));
    plan.add_destination(Destination::new(
        "original-port",
        Resolution::Original { port: Some(8443) },
    ));
    plan.add_destination(Destination::new("nowhere", Resolution::Nowhere));
    let from = |name: &str, source: &[&str]| Destination {
        source: source.iter().map(|ip| address(ip)).collect(),
        ..dns(name, "api.example", 443)
    };
    plan.add_destination(from("from-v4", &["203.0.113.10"]));
    plan.add_destination(from("from-v6", &["2001:db8:113::10"]));
    plan.add_destination(from("from-both", &["203.0.113.10", "2001:db8:113::10"]));
    plan
}

pub(crate) fn traffic_policies() -> ProxyPlan {
    let seconds = Duration::from_secs;
    let mut plan = ProxyPlan::default();
    plan.add_destination(Destination {
        stat_name: Some("outbound|443||api.example".to_owned()),
        protocol: Protocol::Http2,
        connect_timeout: seconds(3),
        limits: Limits {
            connections: Some(100),
            pending_requests: Some(10),
            requests: Some(50),
            retries: Some(3),
            requests_per_connection: Some(1000),
            concurrent_streams: Some(20),
            http_idle_timeout: Some(seconds(30)),
            connection_duration: Some(seconds(600)),
        },
        outlier_detection: Some(OutlierDetection {
            consecutive_5xx: Some(0),
            consecutive_gateway_errors: Some(5),
            consecutive_local_origin_failures: Some(4),
            split_local_origin_errors: true,
            interval: Some(seconds(10)),
            base_ejection_time: Some(seconds(30)),
            max_ejection_percent: Some(50),
            min_health_percent: 20,
        }),
        keepalive: Some(Keepalive {
            probes: Some(3),
            time: Some(seconds(60)),
            interval: Some(Duration::from_millis(200)),
        }),
        ..dns("outbound|443||api.example@shop", "api.example", 443)
    });
    for (name, load_balancing) in [
        ("round-robin", LoadBalancing::RoundRobin),
        ("random", LoadBalancing::Random),
        ("ring-hash", LoadBalancing::RingHash { minimum_size: 1024 }),
        ("maglev", LoadBalancing::Maglev { table_size: 65537 }),
    ] {
        plan.add_destination(Destination {
            load_balancing,
            protocol: Protocol::AsDownstream,
            ..dns(name, "api.example", 80)
        });
    }
    plan
}

pub(crate) fn forwards() -> ProxyPlan {
    let full = Route {
        matches: RouteMatch {
            path: PathMatch::Prefix("/v1".to_owned()),
            ignore_case: true,
            headers: vec![
                header(":method", ValueMatch::Exact("GET".to_owned()), false),
                header("x-user", ValueMatch::Present, false),
                header("x-old", ValueMatch::Present, true),
                header("x-kind", ValueMatch::Regex("a|b".to_owned()), true),
                header("x-any", ValueMatch::Prefix(String::new()), false),
            ],
            query: vec![
                QueryMatch {
                    name: "q".to_owned(),
                    value: ValueMatch::Prefix("x".to_owned()),
                },
                QueryMatch {
                    name: "debug".to_owned(),
                    value: ValueMatch::Present,
                },
            ],
        },
        action: Action::Forward(Forward {
            to: vec![
                WeightedDestination {
                    weight: 75,
                    request_headers: operations(),
                    ..WeightedDestination::all("a")
                },
                WeightedDestination {
                    weight: 25,
                    response_headers: operations(),
                    ..WeightedDestination::all("b")
                },
            ],
            timeout: Some(Duration::from_millis(2500)),
            retry: Some(Retry {
                attempts: 2,
                per_try_timeout: Some(Duration::from_secs(1)),
                on: "connect-failure,refused-stream,unavailable,cancelled,retriable-status-codes"
                    .to_owned(),
                status_codes: vec![503],
                avoid_previous_hosts: true,
            }),
            rewrite_path: Some(PathRewrite::Matched("/v2".to_owned())),
            rewrite_host: Some("api.example".to_owned()),
            mirrors: vec![Mirror {
                destination: "b".to_owned(),
                basis_points: 1250,
            }],
            hash: vec![
                HashPolicy::Header("x-user".to_owned()),
                HashPolicy::Cookie {
                    name: "session".to_owned(),
                    path: "/".to_owned(),
                    ttl: Some(Duration::from_secs(60)),
                },
                HashPolicy::Query("user".to_owned()),
                HashPolicy::SourceIp,
            ],
        }),
        request_headers: operations(),
        response_headers: operations(),
        ..route(forward_to("a"))
    };
    let regex = Route {
        matches: RouteMatch {
            path: PathMatch::Regex("/users/[0-9]+".to_owned()),
            ..RouteMatch::any()
        },
        action: Action::Forward(Forward {
            rewrite_path: Some(PathRewrite::Regex {
                pattern: "^/users/([0-9]+)$".to_owned(),
                substitution: r"/u/\1".to_owned(),
            }),
            ..forward("a")
        }),
        ..route(forward_to("a"))
    };
    let zero = WeightedDestination {
        weight: 0,
        ..WeightedDestination::all("a")
    };
    let all_zero = Action::Forward(Forward {
        to: vec![
            zero.clone(),
            WeightedDestination {
                destination: "b".to_owned(),
                ..zero
            },
        ],
        ..forward("a")
    });
    let exact = Route {
        matches: RouteMatch {
            path: PathMatch::Exact("/health".to_owned()),
            ..RouteMatch::any()
        },
        ..route(all_zero)
    };
    let mut plan = routes_only(vec![full, regex, exact, route(forward_to("a"))]);
    plan.add_destination(dns("a", "a.example", 80));
    plan.add_destination(dns("b", "b.example", 80));
    plan
}

pub(crate) fn answers() -> ProxyPlan {
    let redirect = Action::Redirect(Redirect {
        scheme: Some("https".to_owned()),
        host: Some("new.example".to_owned()),
        port: Some(8443),
        path: Some("/new".to_owned()),
        status: 308,
    });
    let faulty = Route {
        fault: Some(Fault {
            delay: Some(FaultDelay {
                duration: Duration::from_secs(5),
                basis_points: 10,
            }),
            abort: Some(FaultAbort {
                status: AbortStatus::Http(503),
                basis_points: 10_000,
            }),
        }),
        ..route(forward_to("a"))
    };
    let grpc = Route {
        fault: Some(Fault {
            delay: None,
            abort: Some(FaultAbort {
                status: AbortStatus::Grpc(14),
                basis_points: 5000,
            }),
        }),
        ..route(forward_to("a"))
    };
    let respond = |status, body: &str| {
        route(Action::Respond {
            status,
            body: body.to_owned(),
        })
    };
    let mut plan = routes_only(vec![
        route(redirect),
        faulty,
        grpc,
        respond(418, "I am a teapot"),
        respond(502, ""),
    ]);
    plan.add_destination(dns("a", "a.example", 80));
    let mut table = RouteTable::clone(&plan.routes["http.8080"]);
    table.virtual_hosts[0].require_tls = true;
    plan.add_routes(table);
    plan
}

pub(crate) fn custom_logs() -> ProxyPlan {
    let mut plan = ProxyPlan::default();
    let logs = [
        ("json", Encoding::Json, None, None),
        (
            "json-custom",
            Encoding::Json,
            Some(r#"{"m": {"p": "%PROTOCOL%"}}"#),
            None,
        ),
        (
            "text-custom",
            Encoding::Text,
            Some("%PROTOCOL%\n"),
            Some("/dev/null"),
        ),
    ];
    for (port, (name, encoding, format, file)) in (8080..).zip(logs) {
        plan.add_listener(Listener {
            chains: vec![chain(
                "http",
                ChainMatch::default(),
                http("http.8080", true),
            )],
            otherwise: Some(Filter::Deny(Deny {
                rule: "default-deny".to_owned(),
                reason: "100% sure: \"no\"".to_owned(),
            })),
            access_log: AccessLog {
                encoding,
                format: format.map(str::to_owned),
                file: file.map(str::to_owned),
            },
            ..listener(name, server(port))
        });
    }
    plan
}

fn routes_only(routes: Vec<Route>) -> ProxyPlan {
    let mut plan = ProxyPlan::default();
    plan.add_listener(Listener {
        chains: vec![chain(
            "http",
            ChainMatch::default(),
            http("http.8080", true),
        )],
        ..listener("0.0.0.0_8080", server(8080))
    });
    plan.add_routes(RouteTable {
        name: "http.8080".to_owned(),
        virtual_hosts: vec![VirtualHost {
            name: "api.example:8080".to_owned(),
            domains: vec!["api.example".to_owned(), "*.api.example".to_owned()],
            require_tls: false,
            routes,
        }],
    });
    plan
}

fn table(name: &str, actions: Vec<Action>) -> RouteTable {
    RouteTable {
        name: name.to_owned(),
        virtual_hosts: vec![VirtualHost {
            name: "*:80".to_owned(),
            domains: vec!["*".to_owned()],
            require_tls: false,
            routes: actions.into_iter().map(route).collect(),
        }],
    }
}

fn route(action: Action) -> Route {
    Route {
        name: "default".to_owned(),
        matches: RouteMatch::any(),
        action,
        request_headers: HeaderOperations::default(),
        response_headers: HeaderOperations::default(),
        fault: None,
        rule: "VirtualService/shop/partner".to_owned(),
    }
}

fn forward(to: &str) -> Forward {
    Forward {
        to: vec![WeightedDestination::all(to)],
        timeout: None,
        retry: None,
        rewrite_path: None,
        rewrite_host: None,
        mirrors: Vec::new(),
        hash: Vec::new(),
    }
}

fn forward_to(to: &str) -> Action {
    Action::Forward(forward(to))
}

fn operations() -> HeaderOperations {
    HeaderOperations {
        set: vec![("x-set".to_owned(), "100%".to_owned())],
        add: vec![("x-add".to_owned(), "%PROTOCOL%".to_owned())],
        remove: vec!["x-remove".to_owned()],
    }
}

fn header(name: &str, value: ValueMatch, invert: bool) -> HeaderMatch {
    HeaderMatch {
        name: name.to_owned(),
        value,
        invert,
    }
}

fn listener(name: &str, role: Role) -> Listener {
    Listener {
        name: name.to_owned(),
        role,
        chains: Vec::new(),
        otherwise: None,
        server_first_ports: Vec::new(),
        access_log: AccessLog::default(),
    }
}

fn server(port: u16) -> Role {
    Role::Server {
        bind: Vec::new(),
        port,
    }
}

fn chain(name: &str, matches: ChainMatch, filter: Filter) -> Chain {
    Chain {
        name: name.to_owned(),
        matches,
        tls: None,
        filter,
    }
}

fn port(port: u16) -> ChainMatch {
    ChainMatch {
        port: Some(port),
        ..ChainMatch::default()
    }
}

fn http(table: &str, is_gateway: bool) -> Filter {
    Filter::Http(Http {
        stat_prefix: table.to_owned(),
        route_table: table.to_owned(),
        is_gateway,
    })
}

fn tcp(to: &str, rule: &str) -> Filter {
    Filter::Tcp(Tcp {
        stat_prefix: to.to_owned(),
        to: vec![WeightedDestination::all(to)],
        idle_timeout: None,
        rule: rule.to_owned(),
    })
}

fn hop(name: &str, listener: &str, proxy_protocol: bool) -> Destination {
    Destination::new(
        name,
        Resolution::Hop {
            listener: listener.to_owned(),
            proxy_protocol,
        },
    )
}

fn dns(cluster: &str, host: &str, port: u16) -> Destination {
    Destination::new(cluster, Resolution::Dns(vec![name(host, port)]))
}

fn originate(sni: Sni) -> UpstreamTls {
    UpstreamTls {
        sni,
        certificate: None,
        trust: Some(TrustSource::System),
        subject_alt_names: Vec::new(),
        verify_sni: true,
        alpn: Vec::new(),
        only_tls13: false,
    }
}

fn name(host: &str, port: u16) -> Endpoint {
    Endpoint {
        address: EndpointAddress::Name(host.to_owned(), port),
        weight: 1,
        locality: None,
    }
}

fn ip(ip: &str, port: u16) -> Endpoint {
    Endpoint {
        address: EndpointAddress::Ip(address(ip), port),
        weight: 1,
        locality: None,
    }
}

fn address(ip: &str) -> IpAddr {
    ip.parse().unwrap()
}
