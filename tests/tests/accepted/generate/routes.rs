//! VirtualServices.

use serde_json::{Value, json};

use super::{
    Dice, NAMES, PATTERNS, address, duration, export_to, host, labels, number, percent, port, some,
    text,
};

pub(super) fn virtual_service(dice: &mut Dice) -> Value {
    let mut service = some(dice, 3, &[("exportTo", &export_to)]);
    service["hosts"] = if dice.one_in(8) {
        json!(["*"])
    } else {
        json!(dice.many(2, host))
    };
    service["gateways"] = json!(dice.many(3, gateway_name));
    if !dice.one_in(3) {
        service["http"] = json!(dice.many(3, http_route));
    }
    if dice.one_in(3) {
        let hosts = service["hosts"].clone();
        service["tls"] = json!(dice.many(2, |dice| {
            let mut condition = l4_match(dice);
            condition["sniHosts"] = if dice.one_in(2) {
                hosts.clone()
            } else {
                json!(dice.many(2, host))
            };
            json!({"match": [condition], "route": dice.many(2, target)})
        }));
    }
    if dice.one_in(3) {
        service["tcp"] = json!(dice.many(2, |dice| {
            json!({"match": [l4_match(dice)], "route": dice.many(2, target)})
        }));
    }
    service
}

fn gateway_name(dice: &mut Dice) -> &'static str {
    dice.of(&[
        "mesh",
        "mesh",
        "g0",
        "g1",
        "lab/g2",
        "istio-system/g3",
        "shop/g0",
    ])
}

fn l4_match(dice: &mut Dice) -> Value {
    some(
        dice,
        3,
        &[
            ("port", &|dice| json!(port(dice))),
            ("gateways", &|dice| json!(dice.many(2, gateway_name))),
            ("destinationSubnets", &|dice| json!(dice.many(2, address))),
            ("sourceLabels", &labels),
        ],
    )
}

fn destination(dice: &mut Dice) -> Value {
    let mut destination = some(
        dice,
        2,
        &[
            ("subset", &|dice| json!(dice.of(&["v1", "v2"]))),
            ("port", &|dice| json!({"number": port(dice)})),
        ],
    );
    destination["host"] = json!(if dice.one_in(3) {
        "istio-egressgateway.istio-system.svc.cluster.local"
    } else {
        host(dice)
    });
    destination
}

fn target(dice: &mut Dice) -> Value {
    json!({"destination": destination(dice), "weight": dice.of(&[0, 1, 50, 2_147_483_647])})
}

fn operations(dice: &mut Dice) -> Value {
    let pairs = |dice: &mut Dice| {
        let pairs = dice.many(2, |dice| (dice.of(NAMES).to_owned(), text(dice)));
        Value::Object(pairs.into_iter().collect())
    };
    some(
        dice,
        2,
        &[
            ("set", &pairs),
            ("add", &pairs),
            ("remove", &|dice| json!(dice.many(2, |dice| dice.of(NAMES)))),
        ],
    )
}

fn headers(dice: &mut Dice) -> Value {
    some(
        dice,
        2,
        &[("request", &operations), ("response", &operations)],
    )
}

fn string_match(dice: &mut Dice) -> Value {
    match dice.below(4) {
        0 => json!({"exact": text(dice)}),
        1 => json!({"prefix": text(dice)}),
        2 => json!({"regex": dice.of(PATTERNS)}),
        _ => json!({}),
    }
}

fn named_matches(dice: &mut Dice) -> Value {
    Value::Object(
        [(dice.of(NAMES).to_owned(), string_match(dice))]
            .into_iter()
            .collect(),
    )
}

fn http_match(dice: &mut Dice) -> Value {
    some(
        dice,
        4,
        &[
            ("name", &text),
            ("uri", &string_match),
            ("scheme", &string_match),
            ("method", &string_match),
            ("authority", &string_match),
            ("headers", &named_matches),
            ("withoutHeaders", &named_matches),
            ("queryParams", &named_matches),
            ("port", &|dice| json!(port(dice))),
            ("gateways", &|dice| json!(dice.many(2, gateway_name))),
            ("ignoreUriCase", &|_| json!(true)),
        ],
    )
}

fn http_route(dice: &mut Dice) -> Value {
    let mut route = some(
        dice,
        4,
        &[
            ("name", &text),
            ("match", &|dice| json!(dice.many(2, http_match))),
            ("timeout", &duration),
            ("retries", &|dice| {
                some(
                    dice,
                    2,
                    &[
                        ("attempts", &number),
                        ("perTryTimeout", &duration),
                        ("retryOn", &|dice| {
                            json!(dice.of(&["", "5xx", "503, reset", "nope", "200,,"]))
                        }),
                    ],
                )
            }),
            ("headers", &headers),
            ("mirror", &destination),
            ("mirrorPercentage", &percent),
        ],
    );
    match dice.below(6) {
        0 => {
            route["redirect"] = some(
                dice,
                2,
                &[
                    ("uri", &text),
                    ("authority", &text),
                    ("scheme", &|dice| json!(dice.of(&["http", "https", "ftp"]))),
                    ("port", &|dice| json!(port(dice))),
                    ("redirectCode", &|dice| {
                        json!(dice.of(&[0, 301, 303, 308, 200, 400]))
                    }),
                ],
            );
        }
        1 => {
            route["directResponse"] = json!({
                "status": dice.of(&[200, 204, 403, 599, 600, 0]), "body": {"string": text(dice)},
            });
        }
        _ => {
            route["route"] = json!(dice.many(3, |dice| {
                let mut target = target(dice);
                if dice.one_in(3) {
                    target["headers"] = headers(dice);
                }
                target
            }));
            if dice.one_in(3) {
                route["rewrite"] = some(
                    dice,
                    2,
                    &[
                        ("uri", &text),
                        ("authority", &text),
                        (
                            "uriRegexRewrite",
                            &|dice| json!({"match": dice.of(PATTERNS), "rewrite": text(dice)}),
                        ),
                    ],
                );
            }
            if dice.one_in(4) {
                route["fault"] = some(
                    dice,
                    1,
                    &[
                        (
                            "delay",
                            &|dice| json!({"fixedDelay": duration(dice), "percentage": percent(dice)}),
                        ),
                        ("abort", &|dice| match dice.below(2) {
                            0 => {
                                json!({"httpStatus": dice.of(&[200, 418, 599, 99]), "percentage": percent(dice)})
                            }
                            _ => json!({"grpcStatus": "UNAVAILABLE", "percentage": percent(dice)}),
                        }),
                    ],
                );
            }
        }
    }
    route
}
