//! Listeners of every role, and their logs.

use super::*;

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
