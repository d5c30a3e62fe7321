//! The `mesh` half, for one class: what the sidecar of its clients would do on Istio.
//!
//! One internal listener for the class. Its chains are by destination port: HTTP by a route
//! table, TLS by server name, bytes by address; what matches none is denied.

mod http;
pub(crate) mod scope;
mod tcp;
mod tls;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use sluice_crd::{diagnostic::Severity, istio::virtual_service::VirtualService, object::Resource};
use sluice_plan::{
    destination::{Destination, Resolution},
    host::Host,
    listener::{Deny, Filter, Listener, Role, Transport},
};

use crate::{
    builder::{Builder, Half},
    chains::Chains,
    client::Class,
    destination::Target,
    http::Entrance,
    protocol::PortProtocol,
    service::{Origin, Service},
};

/// The port on which HTTP is always served, so that what is refused is refused with an answer:
/// Istio gives hosts that only a VirtualService names this port too.
const HTTP_PORT: u16 = 80;

/// The part of a VirtualService that speaks of one kind of traffic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Block {
    Http,
    Tls,
    Tcp,
}

impl Block {
    const ALL: [Self; 3] = [Self::Http, Self::Tls, Self::Tcp];

    fn is_in(self, service: &VirtualService) -> bool {
        match self {
            Self::Http => !service.http.is_empty(),
            Self::Tls => !service.tls.is_empty(),
            Self::Tcp => !service.tcp.is_empty(),
        }
    }
}

/// What one class sees.
pub(crate) struct Scope<'a> {
    pub(crate) class: &'a Class,
    /// Hosts of ServiceEntries.
    pub(crate) services: BTreeMap<Host, Arc<Service>>,
    /// The same by port.
    by_port: BTreeMap<u16, Vec<Arc<Service>>>,
    /// Of the VirtualServices that have this block, for exactly this host, the oldest.
    by_host: BTreeMap<(Block, Host), Arc<Resource<VirtualService>>>,
}

impl<'a> Scope<'a> {
    fn half(&self) -> Half<'a> {
        Half::Mesh(self.class)
    }

    fn entrance(&self, port: u16) -> Entrance<'a> {
        Entrance {
            half: self.half(),
            gateways: vec!["mesh".to_owned()],
            port,
        }
    }

    /// Notes which services have which port, so that no port asks all of them.
    fn index_ports(&mut self) {
        for service in self.services.values() {
            for port in &service.ports {
                let of_port = self.by_port.entry(port.number).or_default();
                // A port may be there twice in an object of Kubernetes: once for TCP, once for UDP.
                if !of_port
                    .last()
                    .is_some_and(|last| Arc::ptr_eq(last, service))
                {
                    of_port.push(service.clone());
                }
            }
        }
    }

    /// The services with a port of this protocol, by host.
    fn on_port(&self, port: u16, wanted: impl Fn(PortProtocol) -> bool) -> Vec<&Arc<Service>> {
        (self.by_port.get(&port).into_iter().flatten())
            .filter(|service| service.port(port).is_some_and(|port| wanted(port.protocol)))
            .collect()
    }

    /// The VirtualService for a host: of the most specific host that covers it, the oldest.
    fn route_for(&self, block: Block, host: &Host) -> Option<&Arc<Resource<VirtualService>>> {
        (host.lookup_chain().into_iter()).find_map(|declared| self.by_host.get(&(block, declared)))
    }

    /// The hosts that VirtualServices name in this block.
    fn routes_of(
        &self,
        block: Block,
    ) -> impl Iterator<Item = (&Host, &Arc<Resource<VirtualService>>)> {
        (self.by_host.iter())
            .filter(move |((of, _), _)| *of == block)
            .map(|((_, host), route)| (host, route))
    }
}

impl Builder<'_, '_> {
    /// The destination of a host without VirtualService. One that leads nowhere is reported and
    /// stays closed.
    fn own_destination(
        &mut self,
        scope: &Scope<'_>,
        service: &Service,
        port: u16,
    ) -> Option<String> {
        let target = Target {
            host: service.host.clone(),
            subset: String::new(),
            port,
        };
        match self.destination(&scope.half(), &target) {
            Ok((name, _)) => Some(name),
            Err(why) => {
                // A host whose TLS a Gateway server begins is meant to be reached that way alone.
                let severity = match self.begins_tls_as_the_client(&scope.half(), &target) {
                    true => Severity::Info,
                    false => Severity::Error,
                };
                match &service.origin {
                    Origin::Entry(entry) => {
                        let field = format_args!("spec.hosts");
                        self.report(severity, "IST0101", entry, field, why);
                    }
                    Origin::Policy(rule) => {
                        let field = format_args!("spec.to");
                        self.report(Severity::Error, "IST0101", &rule.object, field, why);
                    }
                    Origin::Kubernetes(_) => {}
                }
                None
            }
        }
    }

    /// Adds all that clients of `class` need: their listener, and what it leads to.
    pub(crate) fn class(&mut self, class: &Class) {
        let mut scope = self.scope(class);
        self.egress = self.egress(class);
        self.open(class, &mut scope.services);
        scope.index_ports();
        let name = class.id.dns_name();
        let mut chains = Chains::default();
        let mut ports: BTreeSet<u16> = scope
            .services
            .values()
            .flat_map(|service| service.ports.iter().map(|port| port.number))
            .collect();
        ports.insert(HTTP_PORT);
        ports.extend(self.egress.ports());
        let mut server_first_ports = Vec::new();
        for port in ports {
            // The order decides who keeps a match that two want.
            self.mesh_tls(&scope, port, &mut chains);
            let http = port == HTTP_PORT || !scope.on_port(port, PortProtocol::is_http).is_empty();
            if http {
                self.mesh_http(&scope, port, &mut chains);
            }
            self.mesh_tcp(&scope, port, http, &mut chains);
            self.apply_egress(class, port, &mut chains);
            self.refuse_forbidden_addresses(port, &mut chains);
            let sniffed = |transport| transport != Transport::Any;
            let mut of_port = chains.of_port(port).peekable();
            if of_port.peek().is_some()
                && of_port.all(|chain| {
                    !sniffed(chain.matches.transport) && chain.matches.server_names.is_empty()
                })
            {
                server_first_ports.push(port);
            }
        }
        let chains = self.authorize_mesh(class, chains.finish());
        let access_log = self.access_log();
        self.plan.add_listener(Listener {
            name: name.clone(),
            role: Role::Class(class.id),
            chains,
            otherwise: Some(Filter::Deny(Deny {
                rule: "default-deny".to_owned(),
                reason: format!(
                    "nothing lets {}/{} reach it",
                    class.namespace, class.service_account
                ),
            })),
            server_first_ports,
            access_log,
        });
        self.plan.add_destination(Destination::new(
            &name,
            Resolution::Hop {
                listener: name.clone(),
                proxy_protocol: false,
            },
        ));
    }
}
