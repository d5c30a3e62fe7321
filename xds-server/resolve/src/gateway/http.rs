//! HTTP at a Gateway's servers: virtual hosts from the VirtualServices bound to them.

use std::{collections::BTreeMap, sync::Arc};

use sluice_crd::{istio::virtual_service::VirtualService, object::Resource};
use sluice_plan::{
    host::Host,
    listener::{ChainMatch, Filter, Http},
    route::{Route, RouteTable, VirtualHost},
};

use super::{Group, Kind, Server, servers::shared_hosts};
use crate::{builder::Builder, chains::Chains, http::block_all, mesh::scope::sees};

impl Builder<'_, '_> {
    /// The chain of a port's plain HTTP servers; they share one route table.
    pub(super) fn http_chain(&mut self, group: &Group, chains: &mut Chains) {
        let name = match group.bind {
            Some(bind) => format!("http.{}.{bind}", group.port),
            None => format!("http.{}", group.port),
        };
        let servers: Vec<&Server> = group
            .servers
            .iter()
            .filter(|server| server.kind == Kind::Http)
            .collect();
        self.add_table(&name, group.port, &servers);
        chains.add(
            "http".to_owned(),
            ChainMatch::default(),
            None,
            Filter::Http(Http {
                stat_prefix: format!("outbound_0.0.0.0_{}", group.port),
                route_table: name,
                is_gateway: true,
            }),
        );
    }

    /// The route table of servers that share one entrance.
    pub(super) fn add_table(&mut self, name: &str, port: u16, servers: &[&Server]) {
        if self.plan.routes.contains_key(name) {
            return;
        }
        let mut hosts: BTreeMap<Host, VirtualHost> = BTreeMap::new();
        let mut any = false;
        for server in servers {
            for route in self.bound_routes(server) {
                any = true;
                let require_tls = server
                    .declared()
                    .tls
                    .as_ref()
                    .is_some_and(|tls| tls.https_redirect);
                let routes = self.routes_at(server, &route);
                for host in shared_hosts(server, &route) {
                    let entry = hosts.entry(host.clone()).or_insert_with(|| VirtualHost {
                        name: format!("{host}:{port}"),
                        domains: vec![host.as_str().to_owned()],
                        require_tls,
                        routes: Vec::new(),
                    });
                    entry.require_tls |= require_tls;
                    entry.routes.extend(routes.iter().cloned());
                }
            }
        }
        for host in hosts.values_mut() {
            // Routes of several VirtualServices are joined; what takes every request goes last.
            host.routes.sort_by_key(|route| route.matches.is_any());
        }
        let mut virtual_hosts: Vec<VirtualHost> = hosts
            .into_values()
            .filter(|host| !host.routes.is_empty())
            .collect();
        if !any {
            let mut nothing = block_all(
                404,
                "default-deny",
                "no VirtualService is bound to this Gateway",
            );
            nothing.name = format!("blackhole:{port}");
            virtual_hosts.push(nothing);
        }
        self.plan.add_routes(RouteTable {
            name: name.to_owned(),
            virtual_hosts,
        });
    }

    /// The VirtualServices of a server's Gateway that this proxy may see: those private to some
    /// namespaces before the public, each older first.
    pub(super) fn bound_routes(&self, server: &Server) -> Vec<Arc<Resource<VirtualService>>> {
        let default = &self.view.mesh().default_virtual_service_export_to;
        let mut bound: Vec<_> = (self.view.gateway_routes(&server.gateway_name()).iter())
            .filter(|route| sees(route, default, &self.proxy.namespace))
            .cloned()
            .collect();
        let is_public = |route: &Resource<VirtualService>| {
            crate::visibility::Visibility::new(
                &route.spec.export_to,
                default,
                &route.meta.namespace,
            )
            .is_public()
        };
        bound.sort_by_key(|route| is_public(route));
        bound
    }

    fn routes_at(&mut self, server: &Server, route: &Arc<Resource<VirtualService>>) -> Vec<Route> {
        let entrance = server.entrance(self.proxy);
        self.http_routes(&entrance, route)
    }
}
