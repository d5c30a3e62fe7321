//! HTTP of the mesh half: one route table for each port of a class.

use sluice_plan::{
    host::Host,
    listener::{ChainMatch, Filter, Http, Transport},
    route::{RouteTable, VirtualHost},
};

use super::{Block, HTTP_PORT, Scope};
use crate::{
    builder::Builder,
    chains::Chains,
    http::{block_all, default_retry, default_route, plain_forward},
    protocol::PortProtocol,
};

impl Builder<'_, '_> {
    pub(super) fn mesh_http(&mut self, scope: &Scope<'_>, port: u16, chains: &mut Chains) {
        let name = format!("{port}@{}", scope.class.id);
        let mut virtual_hosts: Vec<VirtualHost> = scope
            .on_port(port, PortProtocol::is_http)
            .into_iter()
            .filter_map(|service| self.service_host(scope, &service.host, port))
            .collect();
        if port == HTTP_PORT {
            virtual_hosts.extend(self.unregistered_hosts(scope));
        }
        virtual_hosts.push(block_all(
            502,
            "default-deny",
            &format!(
                "egress denied: no ServiceEntry or VirtualService lets {}/{} reach this host on port {port}",
                scope.class.namespace, scope.class.service_account
            ),
        ));
        self.plan.add_routes(RouteTable {
            name: name.clone(),
            virtual_hosts,
        });
        chains.add(
            format!("http-{port}"),
            ChainMatch {
                port: Some(port),
                transport: Transport::Raw,
                ..ChainMatch::default()
            },
            None,
            Filter::Http(Http {
                stat_prefix: format!("outbound_{port}"),
                route_table: name,
                is_gateway: false,
            }),
        );
    }

    fn service_host(&mut self, scope: &Scope<'_>, host: &Host, port: u16) -> Option<VirtualHost> {
        let of_service = scope.route_for(Block::Http, host).cloned();
        let mut routes = of_service
            .map(|service| self.http_routes(&scope.entrance(port), &service))
            .unwrap_or_default();
        // As in Istio, a VirtualService of which nothing holds here leaves the host as declared.
        if routes.is_empty() {
            let service = scope.services.get(host)?;
            let to = self.own_destination(scope, service, port)?;
            let retry = default_retry(self.view.mesh());
            routes.push(default_route(
                plain_forward(to, retry),
                service.origin.rule(),
            ));
        }
        Some(virtual_host(host, port, routes))
    }

    /// Hosts that VirtualServices name and no ServiceEntry declares: Istio routes them on port 80.
    fn unregistered_hosts(&mut self, scope: &Scope<'_>) -> Vec<VirtualHost> {
        let is_known = |host: &Host| match host.is_wildcard() {
            true => scope.services.keys().any(|service| host.covers(service)),
            false => scope.services.contains_key(host),
        };
        // The cluster's own names are no egress: a client that sends them outside would borrow the
        // gateway's place in the network.
        let is_internal = |host: &Host| {
            host.as_str().ends_with(".svc.cluster.local")
                || self
                    .view
                    .service(host, &scope.class.namespace)
                    .is_some_and(|service| service.is_kubernetes())
        };
        let mut unregistered = Vec::new();
        for (host, route) in scope.routes_of(Block::Http) {
            // The virtual host `*` is there already: it refuses what is not declared.
            let is_any = host.as_str() == "*";
            if !is_any && !is_known(host) && !is_internal(host) {
                unregistered.push((host, route));
            }
        }
        let mut hosts = Vec::new();
        for (host, route) in unregistered {
            let routes = self.http_routes(&scope.entrance(HTTP_PORT), route);
            if !routes.is_empty() {
                hosts.push(virtual_host(host, HTTP_PORT, routes));
            }
        }
        hosts
    }
}

fn virtual_host(host: &Host, port: u16, routes: Vec<sluice_plan::route::Route>) -> VirtualHost {
    VirtualHost {
        name: format!("{host}:{port}"),
        domains: vec![host.as_str().to_owned()],
        require_tls: false,
        routes,
    }
}
