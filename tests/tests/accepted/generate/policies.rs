//! AuthorizationPolicies.

use serde_json::{Value, json};

use super::{Dice, HOSTS, Make, NAMES, TEXTS, address, labels, some};

const KEYS: &[&str] = &[
    "source.principal",
    "source.namespace",
    "source.serviceAccount",
    "source.ip",
    "remote.ip",
    "destination.ip",
    "destination.port",
    "connection.sni",
    "request.auth.claims[a]",
    "",
];

pub(super) fn authorization_policy(dice: &mut Dice) -> Value {
    let mut policy = some(
        dice,
        2,
        &[
            ("action", &|dice| {
                json!(dice.of(&["ALLOW", "DENY", "AUDIT"]))
            }),
            ("selector", &|dice| json!({"matchLabels": labels(dice)})),
        ],
    );
    policy["rules"] = json!(dice.many(2, rule));
    policy
}

fn rule(dice: &mut Dice) -> Value {
    let addresses: Make<'_> = &|dice| json!(dice.many(2, address));
    let texts: Make<'_> = &|dice| json!(dice.many(2, text));
    let ports: Make<'_> = &|dice| json!([dice.of(&["80", "8080", "443"])]);
    let mut rule = some(
        dice,
        2,
        &[
            ("from", &|dice| {
                let fields = [
                    ("principals", texts),
                    ("notPrincipals", texts),
                    ("namespaces", texts),
                    ("notNamespaces", texts),
                    ("trustDomains", texts),
                    ("requestPrincipals", texts),
                    ("ipBlocks", addresses),
                    ("notRemoteIpBlocks", addresses),
                ];
                json!([{"source": some(dice, 3, &fields)}])
            }),
            ("to", &|dice| {
                let fields = [
                    ("hosts", texts),
                    ("notHosts", texts),
                    ("methods", texts),
                    ("paths", texts),
                    ("notPaths", texts),
                    ("ports", ports),
                ];
                json!([{"operation": some(dice, 3, &fields)}])
            }),
        ],
    );
    rule["when"] = json!(dice.many(2, |dice| {
        let key = match dice.one_in(2) {
            true => format!("request.headers[{}]", dice.of(NAMES)),
            false => dice.of(KEYS).to_owned(),
        };
        let addressed = key.ends_with(".ip");
        let value = |dice: &mut Dice| match addressed {
            true => json!(address(dice)),
            false => text(dice),
        };
        json!({"key": key, "values": dice.many(2, value), "notValues": [value(dice)]})
    }));
    rule
}

/// A text, perhaps with a wildcard at an end.
fn text(dice: &mut Dice) -> Value {
    let text = match dice.one_in(2) {
        true => dice.of(TEXTS),
        false => dice.of(HOSTS),
    };
    json!(format!(
        "{}{text}{}",
        dice.of(&["", "", "*"]),
        dice.of(&["", "", "*", "{**}"])
    ))
}
