//! Clusters of every kind.

use super::*;

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
