//! DestinationRules.

use serde_json::{Value, json};

use super::{Dice, NAMES, duration, export_to, host, labels, number, port, some, text};

pub(super) fn destination_rule(dice: &mut Dice) -> Value {
    let mut rule = some(
        dice,
        2,
        &[
            ("exportTo", &export_to),
            ("trafficPolicy", &traffic_policy),
            (
                "workloadSelector",
                &|dice| json!({"matchLabels": labels(dice)}),
            ),
        ],
    );
    rule["host"] = json!(if dice.one_in(3) {
        "istio-egressgateway.istio-system.svc.cluster.local"
    } else {
        host(dice)
    });
    rule["subsets"] = json!([
        {"name": "v1", "labels": labels(dice)},
        {"name": "v2", "trafficPolicy": traffic_policy(dice)},
    ]);
    rule
}

fn traffic_policy(dice: &mut Dice) -> Value {
    let mut policy = port_policy(dice);
    if dice.one_in(3) {
        let mut at_port = port_policy(dice);
        at_port["port"] = json!({"number": port(dice)});
        policy["portLevelSettings"] = json!([at_port]);
    }
    policy
}

fn port_policy(dice: &mut Dice) -> Value {
    some(
        dice,
        3,
        &[
            ("tls", &|dice| {
                let mut tls = some(
                    dice,
                    3,
                    &[
                        ("sni", &|dice| {
                            json!(dice.of(&["a.example", "*.example", "", "a b"]))
                        }),
                        ("subjectAltNames", &|dice| {
                            json!(dice.many(2, |dice| dice.of(&["a.example", "spiffe://a/b", ""])))
                        }),
                        ("insecureSkipVerify", &|_| json!(true)),
                        ("caCertificates", &|dice| {
                            json!(dice.of(&["system", "/etc/ca.crt"]))
                        }),
                        ("clientCertificate", &|_| json!("/etc/a.crt")),
                        ("privateKey", &|_| json!("/etc/a~b.key")),
                    ],
                );
                tls["mode"] = json!(dice.of(&["DISABLE", "SIMPLE", "MUTUAL", "ISTIO_MUTUAL"]));
                tls
            }),
            ("loadBalancer", &load_balancer),
            ("connectionPool", &|dice| {
                json!({
                    "tcp": some(dice, 2, &[
                        ("maxConnections", &number),
                        ("connectTimeout", &duration),
                        ("maxConnectionDuration", &duration),
                        ("tcpKeepalive", &|dice| json!({"probes": 3, "time": duration(dice), "interval": duration(dice)})),
                    ]),
                    "http": some(dice, 2, &[
                        ("http1MaxPendingRequests", &number),
                        ("http2MaxRequests", &number),
                        ("maxRequestsPerConnection", &number),
                        ("maxRetries", &number),
                        ("maxConcurrentStreams", &number),
                        ("idleTimeout", &duration),
                        ("h2UpgradePolicy", &|dice| json!(dice.of(&["UPGRADE", "DO_NOT_UPGRADE"]))),
                        ("useClientProtocol", &|_| json!(true)),
                    ]),
                })
            }),
            ("outlierDetection", &|dice| {
                some(
                    dice,
                    2,
                    &[
                        ("consecutive5xxErrors", &|dice| {
                            json!(dice.of(&[0_u32, 1, 4_294_967_295]))
                        }),
                        ("consecutiveGatewayErrors", &|dice| json!(dice.of(&[0, 5]))),
                        ("splitExternalLocalOriginErrors", &|_| json!(true)),
                        ("interval", &duration),
                        ("baseEjectionTime", &duration),
                        ("maxEjectionPercent", &|dice| json!(dice.of(&[0, 100, 101]))),
                        ("minHealthPercent", &|dice| json!(dice.of(&[0, 50, 100]))),
                    ],
                )
            }),
        ],
    )
}

fn load_balancer(dice: &mut Dice) -> Value {
    if dice.one_in(2) {
        return json!({"simple": dice.of(&["LEAST_REQUEST", "ROUND_ROBIN", "RANDOM", "PASSTHROUGH", "LEAST_CONN"])});
    }
    let mut hash = match dice.below(4) {
        0 => json!({"httpHeaderName": dice.of(NAMES)}),
        1 => {
            json!({"httpCookie": {"name": dice.of(NAMES), "path": text(dice), "ttl": duration(dice)}})
        }
        2 => json!({"useSourceIp": true}),
        _ => json!({"httpQueryParameterName": dice.of(NAMES)}),
    };
    match dice.below(3) {
        0 => hash["ringHash"] = json!({"minimumRingSize": dice.of(&[0_u64, 1, 1024, 100_000_000])}),
        1 => {
            hash["maglev"] =
                json!({"tableSize": dice.of(&[0_u64, 1, 2, 97, 65_537, 5_000_011, 100])})
        }
        _ => {}
    }
    json!({"consistentHash": hash})
}
