//! Puts policies on what the other objects of a class decided for one port: virtual hosts, server
//! names, bytes.

use std::{collections::BTreeMap, sync::Arc};

use sluice_crd::{
    diagnostic::{Severity, code},
    sluice::egress_policy::Action,
};
use sluice_plan::{
    address::Cidr,
    host::Host,
    listener::{Chain, Filter, Transport},
    route::{RouteTable, VirtualHost},
};

use super::{Leave, Verdict, leave::Closed};
use crate::{
    builder::Builder,
    chains::Chains,
    client::Class,
    service::{Origin, Service},
};

impl Builder<'_, '_> {
    /// Adds the hosts that policies alone open to those that a class sees, and reports the others.
    pub(crate) fn open(&mut self, class: &Class, services: &mut BTreeMap<Host, Arc<Service>>) {
        for (host, opened) in self.egress.opened.clone() {
            match services.get(&host) {
                None if self.is_internal(class, &host) => {
                    if let Origin::Policy(rule) = &opened.origin {
                        let message =
                            format!("{host} is a name of the cluster, where gateways do not go");
                        let field = format_args!("spec.to");
                        self.report(Severity::Warning, "SLU0109", &rule.object, field, message);
                    }
                    self.egress.opened.remove(&host);
                }
                None => {
                    services.insert(host, opened);
                }
                Some(declared) => {
                    for port in &opened.ports {
                        if declared.port(port.number).is_none() {
                            self.report_undeclared_port(&opened, port.number, declared);
                        }
                    }
                }
            }
        }
        let wildcards = self.egress.rules.clone();
        for rule in wildcards.iter().map(|entry| &entry.rule) {
            for (index, to) in rule.to.iter().enumerate() {
                for (number, host) in to.hosts.iter().enumerate() {
                    let is_known = services.keys().any(|known| known.overlaps(host));
                    if rule.action == Action::Allow && host.is_wildcard() && !is_known {
                        self.report(
                            Severity::Warning,
                            code::NOT_IN_EFFECT,
                            &rule.object,
                            format_args!("spec.to[{index}].hosts[{number}]"),
                            format!("{host} is not in effect yet for hosts that no ServiceEntry declares; name exact hosts"),
                        );
                    }
                }
            }
        }
    }

    /// The cluster's own names are no egress: a client would borrow the gateway's place in the
    /// network.
    fn is_internal(&self, class: &Class, host: &Host) -> bool {
        let service = self.view.service(host, &class.namespace);
        host.as_str().ends_with(".svc.cluster.local")
            || service.is_some_and(|service| service.is_kubernetes())
    }

    fn report_undeclared_port(&mut self, opened: &Service, port: u16, declared: &Service) {
        if let Origin::Policy(rule) = &opened.origin {
            self.report(
                Severity::Warning,
                "SLU0109",
                &rule.object.clone(),
                format_args!("spec.to"),
                format!(
                    "{} declares host {} without port {port}, which therefore stays closed; add the port there",
                    declared.origin.rule(),
                    opened.host
                ),
            );
        }
    }

    /// Bytes to a host that is told apart by these addresses.
    pub(crate) fn bytes_leaving(
        &mut self,
        class: &Class,
        host: &Host,
        addresses: &[Cidr],
        port: u16,
        filter: Filter,
    ) -> Filter {
        if self.egress.is_empty() {
            return filter;
        }
        match self.egress.bytes(host, addresses, port) {
            Verdict::Unsaid => self.filter_leaving(class, &filter, &Leave::default()),
            Verdict::Allowed(leave) => self.filter_leaving(class, &filter, &leave),
            Verdict::Denied { rule, reason } => Closed { rule, reason }.filter(),
        }
    }

    /// Puts the policies of `class` on the chains of a port.
    pub(crate) fn apply_egress(&mut self, class: &Class, port: u16, chains: &mut Chains) {
        if self.egress.is_empty() {
            return;
        }
        let before = chains.take(port);
        for chain in &before {
            match &chain.filter {
                Filter::Http(http) => {
                    self.requests_leaving(class, port, &http.route_table);
                    readd(chains, chain.clone());
                }
                Filter::Tcp(_) if chain.matches.transport == Transport::Tls => {
                    for part in self.names_leaving(class, port, chain, &before) {
                        readd(chains, part);
                    }
                }
                // Bytes were judged as they were routed.
                Filter::Tcp(_) | Filter::Deny(_) => readd(chains, chain.clone()),
            }
        }
        self.ranges_leaving(class, port, chains);
    }

    /// Puts the policies on a route table of the class.
    fn requests_leaving(&mut self, class: &Class, port: u16, table: &str) {
        let Some(found) = self.plan.routes.get(table).cloned() else {
            return;
        };
        let mut hosts: BTreeMap<Host, VirtualHost> = BTreeMap::new();
        for declared in &found.virtual_hosts {
            for domain in &declared.domains {
                let host = VirtualHost {
                    domains: vec![domain.clone()],
                    ..declared.clone()
                };
                hosts.insert(Host::new(domain), host);
            }
        }
        // What a policy names within a wildcard becomes a host of its own.
        for named in self.egress.hosts(port) {
            let widest = Host::new("*");
            let around = (hosts.iter())
                .filter(|(host, _)| host.covers(&named) && **host != widest)
                .map(|(_, routes)| routes.clone())
                .next();
            let is_denied = matches!(self.egress.host(&named, port), Verdict::Denied { .. });
            if hosts.contains_key(&named) || (around.is_none() && !is_denied) {
                continue;
            }
            let own = VirtualHost {
                name: format!("{named}:{port}"),
                domains: vec![named.as_str().to_owned()],
                require_tls: false,
                routes: around.map(|around| around.routes).unwrap_or_default(),
            };
            hosts.insert(named, own);
        }
        for (host, virtual_host) in &mut hosts {
            let leave = match self.egress.host(host, port) {
                Verdict::Unsaid => Leave::default(),
                Verdict::Allowed(leave) => leave,
                Verdict::Denied { rule, reason } => {
                    virtual_host.routes = vec![Closed { rule, reason }.route()];
                    continue;
                }
            };
            for route in &mut virtual_host.routes {
                self.route_leaving(class, route, &leave);
            }
        }
        self.plan.add_routes(RouteTable {
            name: table.to_owned(),
            virtual_hosts: hosts.into_values().collect(),
        });
    }

    /// The parts of a chain for TLS whose server names leave in the same way.
    fn names_leaving(
        &mut self,
        class: &Class,
        port: u16,
        chain: &Chain,
        all: &[Chain],
    ) -> Vec<Chain> {
        let names = match chain.matches.server_names.as_slice() {
            [] => vec![Host::new("*")],
            names => names.iter().map(|name| Host::new(name)).collect(),
        };
        let has_own_chain = |named: &Host| {
            (all.iter().filter(|other| other.name != chain.name))
                .filter(|other| other.matches.addresses == chain.matches.addresses)
                .flat_map(|other| &other.matches.server_names)
                .map(|name| Host::new(name))
                // One that is covered more closely elsewhere belongs there.
                .any(|other| other.covers(named) && !names.iter().any(|name| other.covers(name)))
        };
        let mut parts: BTreeMap<Verdict, Vec<Host>> = BTreeMap::new();
        for name in &names {
            let verdict = self.egress.host(name, port);
            parts.entry(verdict).or_default().push(name.clone());
            for within in self.egress.within(name, port) {
                if !has_own_chain(&within) && !names.contains(&within) {
                    let verdict = self.egress.host(&within, port);
                    parts.entry(verdict).or_default().push(within);
                }
            }
        }
        let mut chains = Vec::new();
        for (verdict, mut names) in parts {
            let (suffix, filter) = match verdict {
                Verdict::Unsaid => {
                    let filter = self.filter_leaving(class, &chain.filter, &Leave::default());
                    (String::new(), filter)
                }
                Verdict::Allowed(leave) => {
                    let filter = self.filter_leaving(class, &chain.filter, &leave);
                    (leave.suffix(), filter)
                }
                Verdict::Denied { rule, reason } => {
                    (format!("!{rule}"), Closed { rule, reason }.filter())
                }
            };
            names.sort();
            names.dedup();
            let mut part = chain.clone();
            part.name.push_str(&suffix);
            part.filter = filter;
            part.matches.server_names = match names.as_slice() {
                [any] if any.as_str() == "*" => Vec::new(),
                names => names.iter().map(|name| name.as_str().to_owned()).collect(),
            };
            chains.push(part);
        }
        chains
    }
}

/// Adds a chain that matches what no other of its listener does.
pub(super) fn readd(chains: &mut Chains, chain: Chain) {
    chains.add(chain.name, chain.matches, chain.tls, chain.filter);
}
