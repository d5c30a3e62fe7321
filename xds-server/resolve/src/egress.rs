//! What EgressPolicies say of one class: where it may go, where it must not, from which address.
//!
//! A policy speaks of what the client asks for: the host of its request, the server name of its
//! TLS, the address that it dials. Any Deny wins. Of the Allows that give an address the one with
//! the highest priority decides, then the older; one without leaves the address open. An address
//! that cannot be used closes the way: nothing leaves from another.

mod apply;
mod leave;
mod of_class;
mod pool;
pub(crate) mod prune;
mod ranges;
mod rules;

use std::{collections::BTreeSet, net::IpAddr, sync::Arc};

use sluice_crd::sluice::egress_policy::Action;
use sluice_plan::{address::Cidr, host::Host};

use crate::{protocol::PortProtocol, service::Service};

pub(crate) use rules::{Rule, Written};

/// What policies say of one destination.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Verdict {
    /// Nothing: other objects decide.
    Unsaid,
    /// It may be reached, from these addresses if any, because of these policies.
    Allowed(Leave),
    /// It must not be reached.
    Denied {
        /// `EgressPolicy/shop/checkout`.
        rule: String,
        /// Why, in one clause.
        reason: String,
    },
}

/// How connections leave.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Leave {
    /// At most one address of each family; empty is the gateway's own.
    pub(crate) source: Vec<IpAddr>,
    /// The policy that says so; empty if none does.
    pub(crate) rule: String,
}

impl Leave {
    /// What tells names of clusters and listeners apart: `;203.0.113.10`, or nothing.
    pub(crate) fn suffix(&self) -> String {
        self.source
            .iter()
            .map(|address| format!(";{address}"))
            .collect()
    }
}

/// One policy as it holds for one class.
#[derive(Clone, Debug)]
pub(crate) struct ClassRule {
    pub(crate) rule: Arc<Rule>,
    /// The addresses of this class, `None` if the policy gives none, or why they cannot be used.
    pub(crate) source: Option<Result<Vec<IpAddr>, String>>,
}

/// The policies of one class, those that decide first coming first.
#[derive(Clone, Debug, Default)]
pub(crate) struct Egress {
    pub(crate) rules: Vec<ClassRule>,
    /// Hosts that policies alone open.
    pub(crate) opened: std::collections::BTreeMap<Host, Arc<Service>>,
}

impl Egress {
    pub(crate) fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// What is said of a host on a port.
    pub(crate) fn host(&self, host: &Host, port: u16) -> Verdict {
        self.decide(|_, to| to.has_port(port) && to.hosts.iter().any(|named| named.covers(host)))
    }

    /// What is said of bytes to a host that is told apart by these addresses.
    pub(crate) fn bytes(&self, host: &Host, addresses: &[Cidr], port: u16) -> Verdict {
        self.decide(|action, to| {
            let by_name = to.hosts.iter().any(|named| named.covers(host));
            let mut ranges = addresses.iter();
            let by_address = match action {
                Action::Allow => !addresses.is_empty() && ranges.all(|range| to.has_range(range)),
                Action::Deny => ranges.any(|range| to.has_range(range)),
            };
            to.has_port(port) && (by_name || by_address)
        })
    }

    /// What is said of connections to addresses of `range`, less the ranges within it that
    /// policies name, which begin with this.
    pub(crate) fn range(&self, range: &Cidr, port: u16, first: PortProtocol) -> Verdict {
        self.decide(|_, to| to.takes(port, first) && to.has_range(range))
    }

    /// The ranges that policies tell apart on a port, with those that they except.
    pub(crate) fn ranges(&self, port: u16) -> BTreeSet<Cidr> {
        let to = self.rules.iter().flat_map(|entry| &entry.rule.to);
        to.filter(|to| to.has_port(port))
            .flat_map(|to| to.cidrs.iter().chain(&to.except))
            .copied()
            .collect()
    }

    /// The hosts that policies name on a port.
    pub(crate) fn hosts(&self, port: u16) -> BTreeSet<Host> {
        let to = self.rules.iter().flat_map(|entry| &entry.rule.to);
        to.filter(|to| to.has_port(port))
            .flat_map(|to| to.hosts.iter().cloned())
            .collect()
    }

    /// The hosts that policies name on a port within `host`, itself excepted.
    pub(crate) fn within(&self, host: &Host, port: u16) -> Vec<Host> {
        let mut hosts: Vec<Host> = self.hosts(port).into_iter().collect();
        hosts.retain(|named| host.covers(named) && named != host);
        hosts
    }

    /// The ports on which policies allow something.
    pub(crate) fn ports(&self) -> BTreeSet<u16> {
        (self.rules.iter())
            .filter(|entry| entry.rule.action == Action::Allow)
            .flat_map(|entry| &entry.rule.to)
            .flat_map(|to| to.ports.iter().map(|(port, _)| *port))
            .collect()
    }

    fn decide(&self, holds: impl Fn(Action, &rules::To) -> bool) -> Verdict {
        let matching = |entry: &&ClassRule| {
            let action = entry.rule.action;
            entry.rule.to.iter().any(|to| holds(action, to))
        };
        let (denies, allows): (Vec<_>, Vec<_>) = (self.rules.iter())
            .filter(matching)
            .partition(|entry| entry.rule.action == Action::Deny);
        if let Some(deny) = denies.first() {
            return Verdict::Denied {
                rule: deny.rule.name.clone(),
                reason: format!("{} denies it", deny.rule.name),
            };
        }
        let Some(first) = allows.first() else {
            return Verdict::Unsaid;
        };
        let with_address = allows.iter().find(|entry| entry.source.is_some());
        let deciding = with_address.unwrap_or(first);
        let rule = deciding.rule.name.clone();
        match deciding.source.clone() {
            None => Verdict::Allowed(Leave {
                source: Vec::new(),
                rule,
            }),
            Some(Ok(source)) => Verdict::Allowed(Leave { source, rule }),
            Some(Err(reason)) => Verdict::Denied { rule, reason },
        }
    }
}
