//! Bytes of the mesh half: by destination address where the entry has any, else by port alone.

use std::sync::Arc;

use sluice_crd::{diagnostic::Severity, object::Resource};
use sluice_plan::{
    address::Cidr,
    listener::{ChainMatch, Deny, Filter, Tcp, Transport},
    route::WeightedDestination,
};

use super::{Block, Scope};
use crate::{
    builder::Builder,
    chains::Chains,
    forbidden::{self, is_forbidden_range},
    protocol::PortProtocol,
    service::{Origin, Service},
    source_match::{Source, applies},
};

impl Builder<'_, '_> {
    /// `http` tells that the port speaks HTTP to some hosts, so that bytes without an address
    /// cannot be told apart from it.
    pub(super) fn mesh_tcp(
        &mut self,
        scope: &Scope<'_>,
        port: u16,
        http: bool,
        chains: &mut Chains,
    ) {
        let mut services: Vec<Arc<Service>> = scope
            .on_port(port, |protocol| protocol == PortProtocol::Tcp)
            .into_iter()
            .cloned()
            .collect();
        // Where two want the same address or port, the older keeps it.
        services.sort_by(|a, b| a.age.cmp(&b.age).then_with(|| a.host.cmp(&b.host)));
        for service in services {
            if http && service.addresses.is_empty() {
                self.conflict(&service, port, "the port speaks HTTP to other hosts");
                continue;
            }
            for (name, mut addresses, filter) in self.tcp_routes(scope, &service, port) {
                let is_whole_port = addresses.is_empty();
                addresses.retain(|range| !is_forbidden_range(range));
                if addresses.is_empty() && !is_whole_port {
                    self.conflict(
                        &service,
                        port,
                        "its addresses are those of the gateway itself",
                    );
                    continue;
                }
                let filter =
                    self.bytes_leaving(scope.class, &service.host, &addresses, port, filter);
                let matches = ChainMatch {
                    port: Some(port),
                    addresses,
                    server_names: Vec::new(),
                    transport: Transport::Any,
                };
                if !chains.add(name, matches, None, filter) {
                    self.conflict(
                        &service,
                        port,
                        "another host already has this address or the whole port",
                    );
                }
            }
        }
    }

    /// Refuses, where clients may choose an address of a range, those that mean the gateway.
    pub(super) fn refuse_forbidden_addresses(&mut self, port: u16, chains: &mut Chains) {
        let mut ranges = forbidden::ranges();
        ranges.retain(|forbidden| {
            (chains.of_port(port))
                .flat_map(|chain| &chain.matches.addresses)
                .any(|range| range.covers(forbidden))
        });
        if ranges.is_empty() {
            return;
        }
        let matches = ChainMatch {
            port: Some(port),
            addresses: ranges,
            ..ChainMatch::default()
        };
        let refused = Filter::Deny(Deny {
            rule: "default-deny".to_owned(),
            reason: "the address means the gateway itself".to_owned(),
        });
        chains.add(format!("forbidden-{port}"), matches, None, refused);
    }

    fn tcp_routes(
        &mut self,
        scope: &Scope<'_>,
        service: &Service,
        port: u16,
    ) -> Vec<(String, Vec<Cidr>, Filter)> {
        let mut routed = Vec::new();
        let entrance = scope.entrance(port);
        if let Some(route) = scope.route_for(Block::Tcp, &service.host).cloned() {
            for (index, tcp) in route.spec.tcp.iter().enumerate() {
                let holding: Vec<_> = (tcp.matches.iter())
                    .filter(|condition| {
                        applies(&Source::of_tcp(&route.meta.namespace, condition), &entrance)
                    })
                    .collect();
                if holding.is_empty() && !tcp.matches.is_empty() {
                    continue;
                }
                let subnets = |condition: &&sluice_crd::istio::virtual_service::L4MatchAttributes| -> Vec<Cidr> {
                    condition.destination_subnets.iter().filter_map(|subnet| subnet.parse().ok()).collect()
                };
                let mut addresses: Vec<Vec<Cidr>> = holding.iter().map(subnets).collect();
                if addresses.is_empty() {
                    addresses.push(Vec::new());
                }
                for (number, addresses) in addresses.into_iter().enumerate() {
                    let whole = addresses.is_empty();
                    let addresses = if whole {
                        service.addresses.clone()
                    } else {
                        addresses
                    };
                    self.dialled = Some(addresses.clone());
                    let filter = self.tcp_filter(
                        &entrance,
                        &route,
                        &format!("spec.tcp[{index}].route"),
                        &tcp.route,
                    );
                    self.dialled = None;
                    routed.push((
                        format!("tcp-{port}-{}-{index}-{number}", service.host),
                        addresses,
                        filter,
                    ));
                    if whole {
                        return routed; // what follows cannot be reached
                    }
                }
            }
        }
        if !routed.is_empty() {
            return routed;
        }
        self.dialled = Some(service.addresses.clone());
        let own = self.own_destination(scope, service, port);
        self.dialled = None;
        if let Some(to) = own {
            let filter = Filter::Tcp(Tcp {
                stat_prefix: format!("outbound|{port}||{}", service.host),
                to: vec![WeightedDestination::all(to)],
                idle_timeout: None,
                rule: service.origin.rule(),
            });
            routed.push((
                format!("tcp-{port}-{}", service.host),
                service.addresses.clone(),
                filter,
            ));
        }
        routed
    }

    fn conflict(&mut self, service: &Service, port: u16, why: &str) {
        if let Origin::Policy(rule) = &service.origin {
            let message = format!(
                "TCP host {} cannot be told apart on port {port}: {why}; declare it by a ServiceEntry with addresses",
                service.host
            );
            let field = format_args!("spec.to");
            self.report(Severity::Warning, "SLU0103", &rule.object, field, message);
        }
        if let Origin::Entry(entry) = &service.origin {
            let entry: &Arc<Resource<_>> = entry;
            let at = entry
                .spec
                .ports
                .iter()
                .position(|declared| declared.number == u32::from(port))
                .unwrap_or(0);
            self.report(
                Severity::Warning,
                "SLU0103",
                entry,
                format_args!("spec.ports[{at}]"),
                format!("TCP host {} cannot be told apart on port {port}: {why}; give the entry addresses", service.host),
            );
        }
    }
}
