//! ServiceEntries.

use serde_json::{Value, json};

use super::{Dice, address, export_to, host, labels, port, protocol, some};

pub(super) fn service_entry(dice: &mut Dice) -> Value {
    let mut entry = some(
        dice,
        3,
        &[
            ("exportTo", &export_to),
            ("location", &|dice| {
                json!(dice.of(&["MESH_EXTERNAL", "MESH_INTERNAL"]))
            }),
            ("addresses", &|dice| json!(dice.many(3, address))),
            ("subjectAltNames", &|dice| {
                json!(dice.many(2, |dice| dice.of(&[
                    "a.example",
                    "spiffe://x/y",
                    "",
                    "*.example"
                ])))
            }),
            ("endpoints", &|dice| json!(dice.many(3, endpoint))),
        ],
    );
    entry["hosts"] = json!(dice.many(2, host));
    entry["resolution"] = json!(dice.of(&[
        "NONE",
        "STATIC",
        "DNS",
        "DNS",
        "DNS_ROUND_ROBIN",
        "DYNAMIC_DNS"
    ]));
    let ports: Vec<Value> = (0..=dice.below(3))
        .map(|index| {
            let target = if dice.one_in(3) { port(dice) } else { 0 };
            json!({"number": port(dice), "name": format!("p{index}"), "protocol": protocol(dice), "targetPort": target})
        })
        .collect();
    entry["ports"] = json!(ports);
    entry
}

fn endpoint(dice: &mut Dice) -> Value {
    let mut endpoint = some(
        dice,
        3,
        &[
            ("weight", &|dice| {
                json!(dice.of(&[0_u32, 1, 4_294_967_295, 2_147_483_648]))
            }),
            ("locality", &|dice| {
                json!(dice.of(&["r", "r/z/s", "/", "r/z/s/t"]))
            }),
            ("labels", &labels),
        ],
    );
    endpoint["address"] = json!(dice.of(&[
        "198.51.100.1",
        "2001:db8::1",
        "127.0.0.1",
        "e.example",
        "localhost",
        "unix:///a/b",
        "",
    ]));
    endpoint
}
