//! `sluice explain` of one allowed and one denied call of every example.

use super::sluice::{names, sluice};

/// `explain` says no.
const DENIED: i32 = 2;

struct Case {
    example: &'static str,
    allowed: Call,
    denied: Call,
}

struct Call {
    from: &'static str,
    to: &'static str,
    and: &'static [&'static str],
    /// What the answer must name, the deciding object above all.
    names: &'static [&'static str],
}

const fn call(from: &'static str, to: &'static str, names: &'static [&'static str]) -> Call {
    Call {
        from,
        to,
        and: &[],
        names,
    }
}

const CHECKOUT: &str = "pod/shop/checkout-0";
const BATCH: &str = "lab/batch";

const CASES: [Case; 8] = [
    Case {
        example: "egress-gateway-http",
        allowed: call(
            CHECKOUT,
            "http://api.partner.example/orders",
            &[
                "decided by VirtualService/shop/api-through-egress-gateway",
                "because of ServiceEntry/shop/api",
            ],
        ),
        denied: call(
            BATCH,
            "http://api.partner.example/orders",
            &["decided by default-deny", "lab/batch"],
        ),
    },
    Case {
        example: "egress-gateway-https-passthrough",
        allowed: call(
            CHECKOUT,
            "https://files.partner.example",
            &["decided by VirtualService/shop/files-through-egress-gateway"],
        ),
        denied: call(
            CHECKOUT,
            "https://other.partner.example",
            &["decided by default-deny"],
        ),
    },
    Case {
        example: "egress-gateway-tls-origination",
        allowed: call(
            CHECKOUT,
            "http://pay.bank.example/transfer",
            &[
                "decided by VirtualService/shop/pay-through-egress-gateway",
                "trusts kubernetes://bank-ca-cacert",
                "DestinationRule/istio-system/originate-tls-for-pay",
            ],
        ),
        denied: call(
            CHECKOUT,
            "http://pay.bank.example:8080/transfer",
            &["decided by default-deny"],
        ),
    },
    Case {
        example: "egress-gateway-mutual-tls-origination",
        allowed: call(
            CHECKOUT,
            "http://ledger.bank.example",
            &[
                "decided by VirtualService/shop/ledger-through-egress-gateway",
                "certificate kubernetes://client-credential",
                "DestinationRule/istio-system/originate-tls-for-ledger",
            ],
        ),
        denied: call(
            BATCH,
            "http://ledger.bank.example",
            &["decided by default-deny"],
        ),
    },
    Case {
        example: "egress-gateway-mutual-tls-origination-files",
        allowed: call(
            CHECKOUT,
            "http://vault.bank.example",
            &[
                "decided by VirtualService/shop/vault-through-egress-gateway",
                "certificate file-cert:/etc/istio/egressgateway-certs/tls.crt",
                "DestinationRule/istio-system/originate-tls-for-vault",
            ],
        ),
        denied: call(
            BATCH,
            "http://vault.bank.example",
            &["decided by default-deny"],
        ),
    },
    Case {
        example: "http-routing",
        allowed: Call {
            from: CHECKOUT,
            to: "http://catalog.partner.example/v1/items?lang=en",
            and: &["-H", "x-tier=gold"],
            names: &[
                "route versioned in ",
                "decided by VirtualService/shop/catalog",
                "leaves through outbound|80||catalog-v2.partner.example@shop",
            ],
        },
        denied: Call {
            from: CHECKOUT,
            to: "http://catalog.partner.example/items/1",
            and: &["--method", "DELETE"],
            names: &[
                "answers 403: deleting is not allowed from here",
                "route blocked in ",
                "decided by VirtualService/shop/catalog",
            ],
        },
    },
    Case {
        example: "tcp-by-address",
        allowed: call(
            CHECKOUT,
            "tcp://198.51.100.40:22",
            &["decided by ServiceEntry/shop/sftp", "198.51.100.40:22"],
        ),
        denied: call(
            CHECKOUT,
            "tcp://198.51.100.41:22",
            &["decided by default-deny"],
        ),
    },
    Case {
        example: "egress-policy",
        allowed: call(
            CHECKOUT,
            "http://stock.partner.example/items",
            &[
                "decided by EgressPolicy/shop/checkout-stock",
                "source address 203.0.113.11",
                "because of EgressPolicy/shop/checkout-stock",
            ],
        ),
        denied: call(
            CHECKOUT,
            "http://www.casino.example",
            &[
                "answers 403: egress denied",
                "decided by ClusterEgressPolicy/no-gambling",
            ],
        ),
    },
];

fn explain(example: &str, call: &Call) -> (i32, String) {
    let what = ["explain", "--from", call.from, "--to", call.to];
    let files = ["-f", "world.yaml", "-f", example];
    let run = sluice(&[&what[..], call.and, &files].concat());
    assert_eq!(run.stderr, "");
    for name in call.names {
        assert!(
            run.stdout.contains(name),
            "{example}: no `{name}` in\n{}",
            run.stdout
        );
    }
    (run.code, run.stdout)
}

#[test]
fn an_allowed_and_a_denied_call_of_every_example_name_who_decided() {
    for case in &CASES {
        let (code, said) = explain(case.example, &case.allowed);
        assert!(code == 0 && said.starts_with("ALLOWED"), "{said}");
        let (code, said) = explain(case.example, &case.denied);
        assert!(code == DENIED && said.starts_with("DENIED"), "{said}");
    }
}

#[test]
fn an_injected_fault_is_the_answer() {
    let broken = call(
        CHECKOUT,
        "http://catalog.partner.example/broken",
        &["answers 418", "decided by VirtualService/shop/catalog"],
    );
    let (code, _) = explain("http-routing", &broken);
    assert_eq!(code, DENIED);
}

#[test]
fn every_example_is_explained() {
    let mut explained: Vec<&str> = CASES.iter().map(|case| case.example).collect();
    explained.sort_unstable();
    assert_eq!(explained, names());
}
