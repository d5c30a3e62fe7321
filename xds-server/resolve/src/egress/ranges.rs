//! Ranges of addresses that policies allow or deny, as chains of a port.
//!
//! Envoy judges the address before the server name and does not go back, so what hosts have on
//! the port is there again within each range: a name that has its own rule keeps it. Each range
//! and each exception is a match of its own; of nested ones Envoy takes the innermost.

use std::collections::BTreeMap;

use sluice_plan::{
    address::Cidr,
    destination::{Destination, Resolution},
    listener::{Chain, ChainMatch, Deny, Filter, Tcp, Transport},
    route::WeightedDestination,
};

use super::{Leave, Verdict, apply::readd, leave::Closed};
use crate::{
    builder::Builder, chains::Chains, client::Class, forbidden::is_forbidden_range,
    protocol::PortProtocol,
};

/// Where connections go that keep the address that the client dialled; Istio's name.
const PASSTHROUGH: &str = "PassthroughCluster";

impl Builder<'_, '_> {
    pub(super) fn ranges_leaving(&mut self, class: &Class, port: u16, chains: &mut Chains) {
        let mut ranges = self.egress.ranges(port);
        ranges.retain(|range| !is_forbidden_range(range));
        // Ranges of which the same is said share their chains: what of TLS, what of other bytes.
        let mut alike: BTreeMap<(Verdict, Verdict), Vec<Cidr>> = BTreeMap::new();
        for range in &ranges {
            let said = (
                self.egress.range(range, port, PortProtocol::Tls),
                self.egress.range(range, port, PortProtocol::Http),
            );
            let is_within = (ranges.iter()).any(|other| other != range && other.covers(range));
            if said != (Verdict::Unsaid, Verdict::Unsaid) || is_within {
                alike.entry(said).or_default().push(*range);
            }
        }
        let of_hosts: Vec<Chain> = (chains.of_port(port))
            .filter(|chain| chain.matches.addresses.is_empty())
            .cloned()
            .collect();
        for ((tls, raw), addresses) in alike {
            let Some(first) = addresses.first().copied() else {
                continue;
            };
            let matches = |transport| ChainMatch {
                port: Some(port),
                addresses: addresses.clone(),
                server_names: Vec::new(),
                transport,
            };
            let is_denied = |verdict: &Verdict| matches!(verdict, Verdict::Denied { .. });
            for chain in &of_hosts {
                let keeps = match chain.matches.transport {
                    Transport::Tls => {
                        !is_denied(&tls)
                            && (tls == Verdict::Unsaid || !chain.matches.server_names.is_empty())
                    }
                    Transport::Raw => raw == Verdict::Unsaid,
                    Transport::Any => tls == Verdict::Unsaid && raw == Verdict::Unsaid,
                };
                if keeps {
                    let mut chain = chain.clone();
                    chain.name = format!("{}@{first}", chain.name);
                    chain.matches.addresses.clone_from(&addresses);
                    readd(chains, chain);
                }
            }
            let name = format!("range-{port}-{first}");
            if tls == raw {
                let filter = self.range_filter(class, tls);
                chains.add(name, matches(Transport::Any), None, filter);
                continue;
            }
            for (verdict, transport, of) in
                [(tls, Transport::Tls, "tls"), (raw, Transport::Raw, "raw")]
            {
                if verdict != Verdict::Unsaid {
                    let filter = self.range_filter(class, verdict);
                    chains.add(format!("{name}-{of}"), matches(transport), None, filter);
                }
            }
        }
    }

    fn range_filter(&mut self, class: &Class, verdict: Verdict) -> Filter {
        match verdict {
            Verdict::Denied { rule, reason } => Closed { rule, reason }.filter(),
            Verdict::Unsaid => Filter::Deny(Deny {
                rule: "default-deny".to_owned(),
                reason: format!(
                    "nothing lets {}/{} reach it",
                    class.namespace, class.service_account
                ),
            }),
            Verdict::Allowed(leave) => self.passthrough(class, &leave),
        }
    }

    fn passthrough(&mut self, class: &Class, leave: &Leave) -> Filter {
        let resolution = Resolution::Original { port: None };
        self.plan
            .add_destination(Destination::new(PASSTHROUGH, resolution));
        let filter = Filter::Tcp(Tcp {
            stat_prefix: PASSTHROUGH.to_owned(),
            to: vec![WeightedDestination::all(PASSTHROUGH)],
            idle_timeout: None,
            rule: leave.rule.clone(),
        });
        self.filter_leaving(class, &filter, leave)
    }
}
