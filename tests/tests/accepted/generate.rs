//! Objects by chance: the values are those at the edges of what Istio's schema and webhook allow,
//! and some beyond.

#[path = "generate/entries.rs"]
mod entries;
#[path = "generate/gateways.rs"]
mod gateways;
#[path = "generate/policies.rs"]
mod policies;
#[path = "generate/routes.rs"]
mod routes;
#[path = "generate/rules.rs"]
mod rules;

use serde_json::{Map, Value, json};

/// Objects that `is_accepted`, the same ones for the same seed.
pub(crate) fn objects(seed: u64, count: usize, is_accepted: fn(&Value) -> bool) -> Vec<Value> {
    let mut dice = Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    let mut objects = Vec::new();
    while objects.len() < count {
        let object = object(&mut dice, objects.len());
        if is_accepted(&object) {
            objects.push(object);
        }
    }
    objects
}

fn object(dice: &mut Dice, number: usize) -> Value {
    let (kind, spec) = match dice.below(11) {
        0..=2 => ("ServiceEntry", entries::service_entry(dice)),
        3..=6 => ("VirtualService", routes::virtual_service(dice)),
        7 => ("DestinationRule", rules::destination_rule(dice)),
        8 => ("AuthorizationPolicy", policies::authorization_policy(dice)),
        _ => ("Gateway", gateways::gateway(dice)),
    };
    let name = match kind {
        // Others refer to these.
        "Gateway" => format!("g{}", number % 4),
        _ => format!("o{number}"),
    };
    let namespace = dice.of(&["lab", "shop", "istio-system"]);
    let group = match kind {
        "AuthorizationPolicy" => "security",
        _ => "networking",
    };
    json!({
        "apiVersion": format!("{group}.istio.io/v1"), "kind": kind,
        "metadata": {"name": name, "namespace": namespace}, "spec": spec,
    })
}

/// Xorshift: chance enough, and the same everywhere.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 16) as usize % bound
    }

    fn of<T: Copy>(&mut self, values: &[T]) -> T {
        values[self.below(values.len())]
    }

    fn one_in(&mut self, bound: usize) -> bool {
        self.below(bound) == 0
    }

    fn many<T>(&mut self, most: usize, mut make: impl FnMut(&mut Self) -> T) -> Vec<T> {
        (0..=self.below(most)).map(|_| make(self)).collect()
    }
}

/// Makes a field's value.
type Make<'a> = &'a dyn Fn(&mut Dice) -> Value;

/// An object with some of these fields.
fn some(dice: &mut Dice, one_in: usize, fields: &[(&str, Make<'_>)]) -> Value {
    let mut object = Map::new();
    for (name, make) in fields {
        if dice.one_in(one_in) {
            object.insert((*name).to_owned(), make(dice));
        }
    }
    Value::Object(object)
}

const HOSTS: &[&str] = &[
    "a.example",
    "A.Example",
    "a.example.",
    "b.a.example",
    "*.example",
    "*.a.example",
    "*-c.example",
    "*c.example",
    "d",
    "e-0.example",
    "xn--bcher-kva.example",
    "reviews",
    "f.svc.cluster.local",
];
const TEXTS: &[&str] = &[
    "",
    "/",
    "/a",
    "a b",
    "100%",
    "%PROTOCOL%",
    "%NOPE%",
    "%REQ(x)%",
    "%REQ(:path)%",
    "%%",
    "%",
    "%START_TIME(%s)%",
    "%REQ(a?b):3%",
    "line\nend",
    "tab\t",
    "\u{e9}\u{2603}",
    "a\"b\\",
    "{}",
    "*",
    "%DYNAMIC_METADATA(a:b)%",
    "%HOSTNAME%%HOSTNAME%",
    "\\1",
    "\\",
    "?a=b#c",
];
const PATTERNS: &[&str] = &[
    ".*",
    "*",
    "",
    "(",
    "^/a/(.*)$",
    "[a-z]+",
    "a{1,1000}",
    "(a{10}){100}",
    "a{1001}",
    "a**",
    "(?i)x",
    "(?x)x",
    r"\d+",
    r"\pL",
    r"\p{Greek}",
    r"\p{greek}",
    r"\u0041",
    r"\x{1F600}",
    "[[:alpha:]]",
    "[a&&b]",
    "[a[b]]",
    "(?P<n>a)",
    "(?<n>a)",
    r"\bword\b",
    r"\_",
    r"\-",
    "a|",
    "()",
    "[^/]{1,255}",
    r"(\w{50}){10}",
    "x{,3}",
    "]",
    "{",
    "}",
    "a{",
    "(?s-i:.)",
    r"\z",
    r"\Aa",
    r"\pL{100}",
    r"\PL{60}",
    "[^a]{1000}",
    r"(?i)\p{Han}{20}",
    "\u{e9}+",
];
const NAMES: &[&str] = &[
    "x-a",
    "X-A",
    "host",
    "Host",
    ":authority",
    ":path",
    "a b",
    "",
    "x_y",
    "cookie",
    "@request.auth.claims.a",
    "content-length",
    "transfer-encoding",
    "connection",
    "te",
    "x-envoy-a",
];
const DURATIONS: &[&str] = &[
    "0s", "1ms", "1s", "1h", "100000h", "2540400h", "1us", "1.5s",
];
const NUMBERS: &[i64] = &[0, 1, 2, 100, 65_535, 2_147_483_647, -1];
const PORTS: &[u32] = &[80, 443, 8080, 22, 15_008, 65_535, 0];

fn host(dice: &mut Dice) -> &'static str {
    dice.of(HOSTS)
}

fn text(dice: &mut Dice) -> Value {
    json!(dice.of(TEXTS))
}

fn duration(dice: &mut Dice) -> Value {
    json!(dice.of(DURATIONS))
}

fn number(dice: &mut Dice) -> Value {
    json!(dice.of(NUMBERS))
}

fn port(dice: &mut Dice) -> u32 {
    dice.of(PORTS)
}

fn percent(dice: &mut Dice) -> Value {
    json!({"value": dice.of(&[0.0, 0.001, 0.5, 33.3, 100.0])})
}

fn labels(dice: &mut Dice) -> Value {
    let value = dice.of(&["a", "egressgateway"]);
    match dice.below(3) {
        0 => json!({}),
        1 => json!({"app": value}),
        _ => json!({"istio": value}),
    }
}

fn export_to(dice: &mut Dice) -> Value {
    match dice.below(4) {
        0 => json!(["."]),
        1 => json!(["lab", "istio-system"]),
        _ => json!(["*"]),
    }
}

fn protocol(dice: &mut Dice) -> &'static str {
    dice.of(&[
        "HTTP", "HTTP2", "GRPC", "HTTPS", "TLS", "TCP", "MONGO", "UDP", "",
    ])
}

fn address(dice: &mut Dice) -> &'static str {
    dice.of(&[
        "198.51.100.1",
        "198.51.100.1/32",
        "198.51.100.0/24",
        "0.0.0.0/0",
        "::/0",
        "2001:db8::1",
        "127.0.0.1",
        "240.240.0.1",
        "198.51.100.77/24",
    ])
}
