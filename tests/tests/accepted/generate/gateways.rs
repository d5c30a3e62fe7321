//! Gateways.

use serde_json::{Value, json};

use super::{Dice, host, labels, port, some};

pub(super) fn gateway(dice: &mut Dice) -> Value {
    let servers: Vec<Value> = (0..=dice.below(4))
        .map(|index| {
            let protocol = dice.of(&["HTTP", "HTTP2", "HTTPS", "TLS", "TCP", "GRPC"]);
            let hosts = dice.many(3, |dice| {
                let host = if dice.one_in(4) { "*" } else { host(dice) };
                format!("{}{host}", dice.of(&["", "", "./", "*/", "lab/"]))
            });
            let mut server = json!({
                "port": {"number": port(dice), "name": format!("s{index}"), "protocol": protocol},
                "hosts": hosts,
            });
            if dice.one_in(5) {
                server["bind"] = json!(dice.of(&["0.0.0.0", "127.0.0.1", "::", "unix:///a"]));
            }
            if matches!(protocol, "HTTPS" | "TLS") {
                server["tls"] = server_tls(dice);
            } else if dice.one_in(4) {
                server["tls"] = json!({"httpsRedirect": true});
            }
            server
        })
        .collect();
    json!({"selector": labels(dice), "servers": servers})
}

fn server_tls(dice: &mut Dice) -> Value {
    let mut tls = some(
        dice,
        3,
        &[
            ("minProtocolVersion", &|dice| {
                json!(dice.of(&["TLSV1_0", "TLSV1_2", "TLSV1_3"]))
            }),
            ("maxProtocolVersion", &|dice| {
                json!(dice.of(&["TLSV1_2", "TLSV1_3"]))
            }),
            ("cipherSuites", &|dice| {
                json!(dice.many(3, |dice| dice.of(&[
                    "ECDHE-RSA-AES128-GCM-SHA256",
                    "AES256-SHA",
                    "NOPE",
                    "RC4",
                    "AES128-SHA"
                ])))
            }),
            ("subjectAltNames", &|dice| {
                json!(dice.many(2, |dice| dice.of(&["a.example", "spiffe://a/b", ""])))
            }),
        ],
    );
    let mode = dice.of(&[
        "PASSTHROUGH",
        "SIMPLE",
        "MUTUAL",
        "OPTIONAL_MUTUAL",
        "ISTIO_MUTUAL",
    ]);
    tls["mode"] = json!(mode);
    if matches!(mode, "SIMPLE" | "MUTUAL" | "OPTIONAL_MUTUAL") {
        tls["serverCertificate"] = json!("/etc/a.crt");
        tls["privateKey"] = json!("/etc/a.key");
        tls["caCertificates"] = json!("/etc/ca.crt");
    }
    tls
}
