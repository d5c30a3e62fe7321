//! Chains that not everyone may pass.

use sluice_plan::authorization;

use super::*;

fn rules(name: &str, source: Condition<Source>, operation: Condition<Operation>) -> Option<Rules> {
    let policy = format!("AuthorizationPolicy/istio-system/{name}");
    Some(Rules {
        policies: vec![policy.clone()],
        rules: vec![authorization::Rule {
            name: format!("ns[istio-system]-policy[{name}]-rule[0]"),
            policy,
            source,
            operation,
        }],
    })
}

fn always<F>() -> Condition<F> {
    Condition::constant(true)
}

fn one_of<F>(facts: impl IntoIterator<Item = F>) -> Condition<F> {
    Condition::any(facts.into_iter().map(Condition::Is))
}

fn for_requests() -> Authorization {
    let peers = one_of([
        Source::Peer(TextMatch::new("cluster.local/ns/shop/sa/checkout")),
        Source::Peer(TextMatch::new("cluster.local/ns/lab/*")),
        Source::Peer(TextMatch::new("*/sa/batch")),
        Source::Peer(TextMatch::new("*")),
        Source::Peer(TextMatch::Regex("[^/]+/ns/shop/sa/.+".to_owned())),
    ]);
    let addresses = one_of([
        Source::DirectAddress("10.244.0.0/16".parse().unwrap()),
        Source::RemoteAddress("2001:db8::/32".parse().unwrap()),
    ]);
    let operation = Condition::all([
        one_of([
            Operation::Header(":method".to_owned(), TextMatch::new("GET")),
            Operation::Header("x-team".to_owned(), TextMatch::new("*")),
        ]),
        one_of([Operation::Path(TextMatch::new("/v1/*"))]).negated(),
    ]);
    let stage = |action, enforced, dry_run| Stage {
        action,
        enforced,
        dry_run,
    };
    Authorization {
        stages: vec![
            stage(
                authorization::Action::Audit,
                rules("audit", always(), always()),
                None,
            ),
            stage(
                authorization::Action::Deny,
                rules("deny", addresses.negated(), always()),
                rules("deny-trial", always(), operation.clone()),
            ),
            stage(
                authorization::Action::Allow,
                rules("allow", peers, operation),
                None,
            ),
        ],
    }
}

fn for_bytes() -> Authorization {
    let operation = Condition::all([
        one_of([Operation::ServerName(TextMatch::new("a.b.example"))]),
        one_of([Operation::Address("192.0.2.0/24".parse().unwrap())]),
    ]);
    Authorization {
        stages: vec![Stage {
            action: authorization::Action::Allow,
            enforced: rules("allow", always(), operation),
            dry_run: None,
        }],
    }
}

/// Nobody: an ALLOW policy without rules.
fn for_none() -> Authorization {
    let enforced = rules("none", always(), always()).map(|rules| Rules {
        rules: Vec::new(),
        ..rules
    });
    Authorization {
        stages: vec![Stage {
            action: authorization::Action::Allow,
            enforced,
            dry_run: None,
        }],
    }
}

pub(crate) fn chains() -> ProxyPlan {
    let mut plan = ProxyPlan::default();
    let server_name = ChainMatch {
        server_names: vec!["*.b.example".to_owned()],
        transport: Transport::Tls,
        ..ChainMatch::default()
    };
    plan.add_listener(Listener {
        chains: vec![
            Chain {
                authorization: for_requests(),
                ..chain("http", ChainMatch::default(), http("http.8080", true))
            },
            Chain {
                authorization: for_bytes(),
                ..chain("tls", server_name, tcp("out", "VirtualService/a/b"))
            },
        ],
        ..listener("0.0.0.0_8080", server(8080))
    });
    let class = ClassId::of("shop", "checkout", []);
    plan.add_listener(Listener {
        chains: vec![Chain {
            authorization: for_none(),
            ..chain("http-80", port(80), http("80@shop", false))
        }],
        ..listener(&class.dns_name(), Role::Class(class))
    });
    plan.add_destination(dns("out", "a.b.example", 443));
    plan.add_destination(hop("server", "0.0.0.0_8080", true));
    plan.add_routes(table("http.8080", vec![forward_to("out")]));
    plan.add_routes(RouteTable {
        name: "80@shop".to_owned(),
        virtual_hosts: vec![VirtualHost {
            name: "*:80".to_owned(),
            domains: vec!["*".to_owned()],
            require_tls: false,
            routes: vec![Route {
                authorization: Authorized::Elsewhere,
                ..route(forward_to("server"))
            }],
        }],
    });
    plan
}
