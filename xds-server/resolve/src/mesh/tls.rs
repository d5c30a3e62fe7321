//! TLS of the mesh half: passed on by server name, never opened.

use std::sync::Arc;

use sluice_crd::{
    diagnostic::Severity,
    istio::virtual_service::{RouteDestination, VirtualService},
    object::Resource,
};
use sluice_plan::{
    host::Host,
    listener::{ChainMatch, Filter, Tcp, Transport},
    proxy::BLACK_HOLE,
    route::WeightedDestination,
};

use super::{Block, Scope};
use crate::{
    builder::Builder,
    chains::Chains,
    http::{Entrance, rule_name},
    protocol::PortProtocol,
    service::Service,
    source_match::{Source, applies},
};

impl Builder<'_, '_> {
    pub(super) fn mesh_tls(&mut self, scope: &Scope<'_>, port: u16, chains: &mut Chains) {
        let services: Vec<Arc<Service>> = scope
            .on_port(port, |protocol| protocol == PortProtocol::Tls)
            .into_iter()
            .cloned()
            .collect();
        for service in services {
            let route = scope.route_for(Block::Tls, &service.host).cloned();
            let routed = match &route {
                Some(route) => {
                    self.tls_chains(&scope.entrance(port), route, Some(port), None, chains)
                }
                None => false,
            };
            if !routed {
                self.default_tls(scope, &service, port, chains);
            }
        }
    }

    fn default_tls(
        &mut self,
        scope: &Scope<'_>,
        service: &Service,
        port: u16,
        chains: &mut Chains,
    ) {
        let Some(to) = self.own_destination(scope, service, port) else {
            return;
        };
        if is_partial_wildcard(service.host.as_str()) {
            return; // reported when the entry was read
        }
        let matches = ChainMatch {
            port: Some(port),
            server_names: vec![service.host.as_str().to_owned()],
            transport: Transport::Tls,
            ..ChainMatch::default()
        };
        let filter = Filter::Tcp(Tcp {
            stat_prefix: format!("outbound|{port}||{}", service.host),
            to: vec![WeightedDestination::all(to)],
            idle_timeout: None,
            rule: service.origin.rule(),
        });
        chains.add(
            format!("tls-{port}-{}", service.host),
            matches,
            None,
            filter,
        );
    }

    /// Adds a chain for each TLS match of a VirtualService that holds at `entrance`; true if one does.
    /// Of the server names only those `within` some hosts count: a Gateway's server has no others.
    pub(crate) fn tls_chains(
        &mut self,
        entrance: &Entrance<'_>,
        service: &Arc<Resource<VirtualService>>,
        port: Option<u16>,
        within: Option<&[Host]>,
        chains: &mut Chains,
    ) -> bool {
        let mut any = false;
        for (index, tls) in service.spec.tls.iter().enumerate() {
            for (number, condition) in tls.matches.iter().enumerate() {
                if !applies(
                    &Source::of_tls(&service.meta.namespace, condition),
                    entrance,
                ) {
                    continue;
                }
                any = true;
                let name = format!(
                    "tls-{}-{}/{}-{index}-{number}",
                    entrance.port, service.meta.namespace, service.meta.name
                );
                let declared: Vec<Host> = condition
                    .sni_hosts
                    .iter()
                    .map(|host| Host::new(host))
                    .collect();
                let hosts: Vec<Host> = match within {
                    Some(within) => (declared.iter())
                        .flat_map(|host| within.iter().filter_map(|other| host.intersection(other)))
                        .collect(),
                    None => declared,
                };
                let Some(server_names) = server_names(&hosts) else {
                    self.report(
                        Severity::Warning,
                        "SLU0106",
                        service,
                        format_args!("spec.tls[{index}].match[{number}].sniHosts"),
                        "none of these server names can be matched here: Envoy knows no partial wildcards, and a Gateway's server only its own hosts",
                    );
                    continue;
                };
                let matches = ChainMatch {
                    port,
                    addresses: condition
                        .destination_subnets
                        .iter()
                        .filter_map(|subnet| subnet.parse().ok())
                        .collect(),
                    server_names,
                    transport: Transport::Tls,
                };
                // The same VirtualService is met once for each of its hosts.
                if chains.has(&name) {
                    continue;
                }
                let filter = self.tcp_filter(
                    entrance,
                    service,
                    &format!("spec.tls[{index}].route"),
                    &tls.route,
                );
                if !chains.add(name, matches, None, filter) {
                    self.report(
                        Severity::Warning,
                        "SLU0102",
                        service,
                        format_args!("spec.tls[{index}].match[{number}].sniHosts"),
                        "another VirtualService or match already routes some of these server names on this port; the older one holds",
                    );
                }
            }
        }
        any
    }

    /// Bytes to the destinations of a TCP or TLS route.
    pub(crate) fn tcp_filter(
        &mut self,
        entrance: &Entrance<'_>,
        service: &Arc<Resource<VirtualService>>,
        field: &str,
        routes: &[RouteDestination],
    ) -> Filter {
        let mut to = Vec::new();
        for (number, route) in routes.iter().enumerate() {
            if route.weight == 0 && routes.len() > 1 {
                continue;
            }
            let field = format!("{field}[{number}].destination");
            let (destination, _) = self.routed(entrance, service, &field, &route.destination);
            let weight = u32::try_from(route.weight)
                .ok()
                .filter(|weight| *weight > 0)
                .unwrap_or(100);
            to.push(WeightedDestination {
                weight,
                ..WeightedDestination::all(destination)
            });
        }
        if to.is_empty() {
            to.push(WeightedDestination::all(BLACK_HOLE));
        }
        let stat_prefix = match to.as_slice() {
            [only] => only.destination.clone(),
            _ => format!("{}.{}", service.meta.name, service.meta.namespace),
        };
        Filter::Tcp(Tcp {
            stat_prefix,
            to,
            idle_timeout: None,
            rule: rule_name(service),
        })
    }
}

/// Server names as Envoy matches them: `*` is any, which is no name at all. `None` if there is no
/// name that Envoy can match.
fn server_names(hosts: &[Host]) -> Option<Vec<String>> {
    if hosts.iter().any(|host| host.as_str() == "*") {
        return Some(Vec::new());
    }
    let names: Vec<String> = (hosts.iter())
        .map(|host| host.as_str().to_owned())
        .filter(|host| !is_partial_wildcard(host))
        .collect();
    (!names.is_empty()).then_some(names)
}

/// `*-a.example`, which Envoy refuses as a server name.
fn is_partial_wildcard(host: &str) -> bool {
    host.starts_with('*') && host != "*" && !host.starts_with("*.")
}
