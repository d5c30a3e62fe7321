//! The plans of the sidecars and of the gateway.

use std::sync::Arc;

use sluice_plan::{
    authorization::Authorization,
    destination::{Destination, Endpoint, EndpointAddress, Endpoints, Resolution},
    identity::ClassId,
    listener::{AccessLog, Chain, ChainMatch, Deny, Filter, Http, Listener, Role, Tcp, Transport},
    proxy::ProxyPlan,
    route::{
        AbortStatus, Action, Authorized, Fault, FaultAbort, Forward, HeaderOperations, PathMatch,
        PathRewrite, Redirect, Route, RouteMatch, RouteTable, VirtualHost, WeightedDestination,
    },
    secret::{CertificateSource, PrivateBytes, Secret, SecretContent, TrustSource},
    tls::{Sni, UpstreamTls},
};
use sluice_tests::pki::{Authority, Identity};

/// The class of the service account.
pub(crate) fn class(account: &str) -> ClassId {
    ClassId::of("shop", account, [])
}

/// What the agent in the pod would serve.
pub(crate) fn workload_secrets(mesh: &Authority, identity: &Identity) -> [Secret; 2] {
    [
        Secret {
            name: "default".to_owned(),
            content: SecretContent::Certificate {
                chain: identity.cert_pem.as_str().into(),
                key: PrivateBytes(Arc::from(identity.key_pem.as_bytes())),
            },
        },
        trust("ROOTCA", mesh),
    ]
}

pub(crate) fn sidecar() -> ProxyPlan {
    let mut plan = ProxyPlan::default();
    let to = "tunnel".to_owned();
    plan.add_listener(listener(
        "virtualOutbound",
        Role::Capture { port: 15001, to },
    ));
    let to = "gateways".to_owned();
    plan.add_listener(listener("tunnel", Role::TunnelClient { to }));
    plan.add_destination(hop("tunnel", true));
    plan.add_destination(Destination {
        tls: Some(UpstreamTls {
            sni: Sni::Absent,
            certificate: Some(CertificateSource::Workload),
            trust: Some(TrustSource::Workload),
            subject_alt_names: vec![
                "spiffe://cluster.local/ns/istio-system/sa/istio-egressgateway".to_owned(),
            ],
            verify_sni: false,
            alpn: vec!["sluice-tunnel".to_owned()],
            only_tls13: true,
        }),
        ..Destination::new("gateways", Resolution::Discovered)
    });
    plan.add_endpoints(endpoints("gateways", "10.244.9.1", 15008));
    plan
}

pub(crate) fn gateway(world: &Authority) -> ProxyPlan {
    let mut plan = ProxyPlan::default();
    plan.add_listener(listener("tunnel", Role::TunnelServer { port: 15008 }));
    for account in ["checkout", "reports"] {
        add_class(&mut plan, account);
    }
    plan.add_destination(Destination {
        source: vec!["203.0.113.10".parse().unwrap()],
        ..Destination::new("http", Resolution::Discovered)
    });
    plan.add_endpoints(endpoints("http", "198.51.100.1", 80));
    plan.add_destination(Destination {
        source: vec!["203.0.113.11".parse().unwrap()],
        ..Destination::new("tls", Resolution::Discovered)
    });
    plan.add_endpoints(endpoints("tls", "198.51.100.1", 443));
    plan.add_destination(Destination::new(
        "original",
        Resolution::Original { port: None },
    ));
    originations(&mut plan);
    plan.add_secret(trust("kubernetes://world-cacert", world));
    let other = Authority::new("other");
    plan.add_secret(trust("kubernetes://other-cacert", &other));
    plan
}

fn add_class(plan: &mut ProxyPlan, account: &str) {
    let class = class(account);
    let name = class.dns_name();
    let server_80 = format!("server|80@{class}");
    let server_443 = format!("server|443@{class}");
    let table = format!("80@{class}");
    let tcp = |to: &str, rule: &str| {
        Filter::Tcp(Tcp {
            stat_prefix: to.to_owned(),
            to: vec![WeightedDestination::all(to)],
            idle_timeout: None,
            rule: rule.to_owned(),
        })
    };
    let http = |table: &str, is_gateway| {
        Filter::Http(Http {
            stat_prefix: table.to_owned(),
            route_table: table.to_owned(),
            is_gateway,
        })
    };
    let chain = |name: &str, matches, filter| Chain {
        name: name.to_owned(),
        matches,
        tls: None,
        authorization: Authorization::default(),
        filter,
    };
    let port = |port| ChainMatch {
        port: Some(port),
        ..ChainMatch::default()
    };
    let partner = || ChainMatch {
        server_names: vec!["api.partner.example".to_owned()],
        transport: Transport::Tls,
        ..ChainMatch::default()
    };
    plan.add_destination(hop(&name, false));
    plan.add_listener(Listener {
        chains: vec![
            chain("80", port(80), http(&table, false)),
            chain(
                "443|api.partner.example",
                ChainMatch {
                    port: Some(443),
                    ..partner()
                },
                tcp(&server_443, "VirtualService/shop/partner"),
            ),
            chain("2222", port(2222), tcp("original", "ServiceEntry/shop/ssh")),
        ],
        otherwise: Some(Filter::Deny(Deny {
            rule: "default-deny".to_owned(),
            reason: format!("nothing lets shop/{account} reach it"),
        })),
        server_first_ports: vec![2222],
        ..listener(&name, Role::Class(class))
    });
    plan.add_destination(hop(&server_80, true));
    plan.add_listener(Listener {
        chains: vec![chain("80", ChainMatch::default(), http("http.80", true))],
        ..listener(&server_80, Role::Hop(class))
    });
    plan.add_destination(hop(&server_443, true));
    plan.add_listener(Listener {
        chains: vec![chain(
            "443|api.partner.example",
            partner(),
            tcp("tls", "VirtualService/shop/partner"),
        )],
        ..listener(&server_443, Role::Hop(class))
    });
    plan.add_routes(table_of(&table, routes(&server_80)));
    plan.add_routes(table_of(
        "http.80",
        vec![route("/", "gateway-half", forward("http"))],
    ));
}

fn routes(server_80: &str) -> Vec<Route> {
    let mut routes: Vec<Route> = ORIGINATIONS
        .iter()
        .map(|name| route(&format!("/tls/{name}"), "partner", forward(name)))
        .collect();
    // The longer path first, as prefixes match bytes.
    routes.sort_by_key(|route| std::cmp::Reverse(route.matches.clone()));
    let rewrite = Forward {
        rewrite_path: Some(PathRewrite::Matched("/new".to_owned())),
        rewrite_host: Some("rewritten.example".to_owned()),
        ..forward_of("http")
    };
    routes.extend([
        route("/hop", "partner", forward(server_80)),
        Route {
            request_headers: HeaderOperations {
                set: vec![("x-share".to_owned(), "100%".to_owned())],
                ..HeaderOperations::default()
            },
            ..route("/rewrite", "partner", Action::Forward(rewrite))
        },
        Route {
            fault: Some(Fault {
                delay: None,
                abort: Some(FaultAbort {
                    status: AbortStatus::Http(418),
                    basis_points: 10_000,
                }),
            }),
            ..route("/fault", "partner", forward("http"))
        },
        route(
            "/answer",
            "answer",
            Action::Respond {
                status: 200,
                body: "hello".to_owned(),
            },
        ),
        route(
            "/moved",
            "partner",
            Action::Redirect(Redirect {
                scheme: Some("https".to_owned()),
                host: Some("new.example".to_owned()),
                port: None,
                path: None,
                status: 301,
            }),
        ),
        route("/", "partner", forward("http")),
    ]);
    routes
}

const ORIGINATIONS: [&str; 7] = [
    "fixed",
    "fixed-other",
    "from-host",
    "insecure",
    "san",
    "san-other",
    "untrusted",
];

fn originations(plan: &mut ProxyPlan) {
    let base = |sni| UpstreamTls {
        sni,
        certificate: None,
        trust: Some(TrustSource::Credential("world".to_owned())),
        subject_alt_names: Vec::new(),
        verify_sni: true,
        alpn: Vec::new(),
        only_tls13: false,
    };
    let fixed = |name: &str| base(Sni::Fixed(name.to_owned()));
    let san = |name: &str| UpstreamTls {
        subject_alt_names: vec![name.to_owned()],
        ..fixed("api.partner.example")
    };
    for name in ORIGINATIONS {
        let tls = match name {
            "fixed" => fixed("api.partner.example"),
            "fixed-other" => fixed("other.example"),
            "from-host" => base(Sni::FromHost),
            "insecure" => UpstreamTls {
                trust: None,
                ..fixed("other.example")
            },
            "san" => san("api.partner.example"),
            "san-other" => san("other.example"),
            _ => UpstreamTls {
                trust: Some(TrustSource::Credential("other".to_owned())),
                ..fixed("api.partner.example")
            },
        };
        plan.add_destination(Destination {
            tls: Some(tls),
            ..Destination::new(name, Resolution::Discovered)
        });
        plan.add_endpoints(endpoints(name, "198.51.100.1", 8443));
    }
}

fn table_of(name: &str, routes: Vec<Route>) -> RouteTable {
    RouteTable {
        name: name.to_owned(),
        virtual_hosts: vec![VirtualHost {
            name: "*:80".to_owned(),
            domains: vec!["*".to_owned()],
            require_tls: false,
            routes,
        }],
    }
}

fn route(prefix: &str, rule: &str, action: Action) -> Route {
    Route {
        name: "default".to_owned(),
        matches: RouteMatch {
            path: PathMatch::Prefix(prefix.to_owned()),
            ..RouteMatch::any()
        },
        action,
        request_headers: HeaderOperations::default(),
        response_headers: HeaderOperations::default(),
        fault: None,
        rule: format!("VirtualService/shop/{rule}"),
        authorization: Authorized::Here,
    }
}

fn forward(to: &str) -> Action {
    Action::Forward(forward_of(to))
}

fn forward_of(to: &str) -> Forward {
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

fn trust(name: &str, authority: &Authority) -> Secret {
    Secret {
        name: name.to_owned(),
        content: SecretContent::Trust {
            roots: authority.cert_pem().into(),
            crl: None,
        },
    }
}

fn hop(name: &str, proxy_protocol: bool) -> Destination {
    Destination::new(
        name,
        Resolution::Hop {
            listener: name.to_owned(),
            proxy_protocol,
        },
    )
}

fn endpoints(name: &str, ip: &str, port: u16) -> Endpoints {
    Endpoints {
        name: name.to_owned(),
        endpoints: vec![Endpoint {
            address: EndpointAddress::Ip(ip.parse().unwrap(), port),
            weight: 1,
            locality: None,
        }],
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
