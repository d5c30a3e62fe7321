//! Which servers of which Gateways this proxy runs, on which ports.
//!
//! Gateways select pods of all namespaces by label; a Gateway's port is a Service's port, and the
//! listener binds that Service's target port. Servers on one port merge if Istio merges them; of
//! two that cannot, the older Gateway's holds and the other is reported.

use std::{collections::BTreeMap, net::IpAddr, sync::Arc};

use sluice_crd::{
    diagnostic::Severity,
    istio::gateway::{Gateway, Server as Declared, ServerTlsMode},
    object::Resource,
};
use sluice_plan::host::Host;

use crate::{
    builder::{Builder, Half},
    client::ProxyIdentity,
    http::Entrance,
    policy::selects,
    protocol::PortProtocol,
    service::Origin,
};

/// What a server does with its connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Plain HTTP.
    Http,
    /// TLS is ended, requests are routed.
    Https,
    /// TLS is routed by server name.
    Passthrough,
    /// TLS is ended, bytes are carried.
    TerminatedTcp,
    /// Bytes are carried.
    Tcp,
}

impl Kind {
    fn of(server: &Declared) -> Option<Self> {
        let mode = server.tls.as_ref().map(|tls| tls.mode);
        Some(match (PortProtocol::parse(&server.port.protocol), mode) {
            (PortProtocol::Tls, Some(ServerTlsMode::Passthrough)) => Self::Passthrough,
            (PortProtocol::Tls, Some(ServerTlsMode::AutoPassthrough) | None) => return None,
            (PortProtocol::Tls, Some(_)) if server.port.protocol.eq_ignore_ascii_case("HTTPS") => {
                Self::Https
            }
            (PortProtocol::Tls, Some(_)) => Self::TerminatedTcp,
            (PortProtocol::Http | PortProtocol::Http2, _) => Self::Http,
            (PortProtocol::Tcp, Some(ServerTlsMode::Passthrough) | None) => Self::Tcp,
            (PortProtocol::Tcp, Some(_)) => Self::TerminatedTcp,
            (PortProtocol::Unsupported, _) => return None,
        })
    }

    fn is_tls(self) -> bool {
        matches!(self, Self::Https | Self::Passthrough | Self::TerminatedTcp)
    }

    /// Whether servers of both kinds may share a port.
    fn merges_with(self, other: Self) -> bool {
        (self.is_tls() && other.is_tls()) || (self == Self::Http && other == Self::Http)
    }
}

/// One server of a Gateway.
#[derive(Clone, Debug)]
pub(crate) struct Server {
    pub(crate) gateway: Arc<Resource<Gateway>>,
    pub(crate) index: usize,
    pub(crate) kind: Kind,
    /// The port's number as the Gateway has it.
    pub(crate) number: u16,
}

impl Server {
    pub(crate) fn declared(&self) -> &Declared {
        &self.gateway.spec.servers[self.index]
    }

    /// `NAMESPACE/NAME` of the Gateway.
    pub(crate) fn gateway_name(&self) -> String {
        format!("{}/{}", self.gateway.meta.namespace, self.gateway.meta.name)
    }

    /// The hosts served, each with the namespace of VirtualServices that may use it (`*` is any).
    pub(crate) fn hosts(&self) -> Vec<(String, Host)> {
        let own = &self.gateway.meta.namespace;
        (self.declared().hosts.iter())
            .map(|entry| match entry.split_once('/') {
                Some((".", host)) => (own.clone(), Host::new(host)),
                Some((namespace, host)) => (namespace.to_owned(), Host::new(host)),
                None => ("*".to_owned(), Host::new(entry)),
            })
            .collect()
    }

    /// How requests and connections enter here.
    pub(crate) fn entrance<'a>(&self, proxy: &'a ProxyIdentity) -> Entrance<'a> {
        Entrance {
            half: Half::Gateway(proxy),
            gateways: vec![self.gateway_name()],
            port: self.number,
        }
    }

    /// A name for its chain, stable and unique on its port.
    pub(crate) fn chain_name(&self) -> String {
        format!("{}.{}", self.gateway_name(), self.declared().port.name)
    }

    /// Istio's name of the route table of a server that ends TLS.
    pub(crate) fn https_table(&self, group: &Group) -> String {
        let meta = &self.gateway.meta;
        let name = format!(
            "https.{}.{}.{}.{}",
            self.number,
            self.declared().port.name,
            meta.name,
            meta.namespace
        );
        match group.bind {
            Some(bind) => format!("{name}.{bind}"),
            None => name,
        }
    }

    /// Server names that its TLS chain takes; empty is any.
    pub(crate) fn server_names(&self) -> Vec<String> {
        let hosts = self.hosts();
        if hosts.iter().any(|(_, host)| host.as_str() == "*") {
            return Vec::new();
        }
        hosts
            .into_iter()
            .map(|(_, host)| host.as_str().to_owned())
            .collect()
    }
}

/// The servers that share a port.
#[derive(Clone, Debug)]
pub(crate) struct Group {
    pub(crate) bind: Option<IpAddr>,
    /// The port that is bound.
    pub(crate) port: u16,
    /// Older Gateways first; never empty.
    pub(crate) servers: Vec<Server>,
}

impl Builder<'_, '_> {
    /// The servers of all Gateways that select this proxy, by bind address and port.
    pub(crate) fn server_groups(&mut self) -> Arc<[Group]> {
        if let Some(groups) = &self.groups {
            return groups.clone();
        }
        let groups: Arc<[Group]> = self.merged_servers().into();
        self.groups = Some(groups.clone());
        groups
    }

    fn merged_servers(&mut self) -> Vec<Group> {
        let ports = self.own_ports();
        let mut groups: BTreeMap<(u16, Option<IpAddr>), Group> = BTreeMap::new();
        for gateway in self.view.gateways() {
            if !selects(&gateway.spec.selector, &self.proxy.labels) {
                continue;
            }
            for (index, declared) in gateway.spec.servers.iter().enumerate() {
                let (Some(kind), Ok(number)) =
                    (Kind::of(declared), u16::try_from(declared.port.number))
                else {
                    let message = format!(
                        "protocol {} with this tls mode is not served",
                        declared.port.protocol
                    );
                    self.report(
                        Severity::Warning,
                        "SLU0104",
                        gateway,
                        format_args!("spec.servers[{index}]"),
                        message,
                    );
                    continue;
                };
                let port = ports.get(&number).copied().unwrap_or(number);
                if let Some(why) = unbindable(declared, port) {
                    let at = format_args!("spec.servers[{index}].port");
                    self.report(Severity::Error, "SLU0104", gateway, at, why);
                    continue;
                }
                // The unspecified address is what a server without one binds.
                let bind = (declared.bind.parse().ok())
                    .filter(|address: &IpAddr| !address.is_unspecified());
                let server = Server {
                    gateway: gateway.clone(),
                    index,
                    kind,
                    number,
                };
                let group = groups.entry((port, bind)).or_insert_with(|| Group {
                    bind,
                    port,
                    servers: Vec::new(),
                });
                match group
                    .servers
                    .iter()
                    .find(|other| !other.kind.merges_with(kind))
                {
                    Some(other) => {
                        let message = format!(
                            "port {number} is already served by Gateway {} in a way that cannot be shared; the older one holds",
                            other.gateway_name()
                        );
                        self.report(
                            Severity::Error,
                            "IST0145",
                            gateway,
                            format_args!("spec.servers[{index}].port"),
                            message,
                        );
                    }
                    None => group.servers.push(server),
                }
            }
        }
        groups.into_values().collect()
    }

    /// Service port to bound port, for the Services that select this proxy.
    fn own_ports(&self) -> BTreeMap<u16, u16> {
        let mut ports = BTreeMap::new();
        for service in self.view.services(&self.proxy.namespace).into_values() {
            let Origin::Kubernetes(object) = &service.origin else {
                continue;
            };
            for port in &service.ports {
                if let Some(bound) = self.own_port(object, port) {
                    ports.entry(port.number).or_insert(bound);
                }
            }
        }
        ports
    }
}

/// Ports that the gateway's own proxy has: admin, capture, tunnel, agent, health, DNS, metrics and
/// those of the control plane. A Gateway of some tenant on one of them would take it away.
const OWN_PORTS: [u16; 13] = [
    15000, 15001, 15004, 15006, 15008, 15009, 15012, 15014, 15017, 15020, 15021, 15053, 15090,
];

/// Why a server cannot be bound, if so.
fn unbindable(declared: &Declared, port: u16) -> Option<String> {
    if declared.bind.starts_with("unix://") {
        return Some("a gateway serves no Unix sockets".to_owned());
    }
    if port == 0 || OWN_PORTS.contains(&port) {
        return Some(format!("port {port} is the gateway's own"));
    }
    None
}

/// Whether a VirtualService of `namespace` may use a server's host that names `allowed`.
pub(crate) fn may_use(allowed: &str, namespace: &str) -> bool {
    allowed == "*" || allowed == namespace
}

/// The hosts that a VirtualService gets at a server: what both name.
pub(crate) fn shared_hosts(
    server: &Server,
    route: &Resource<sluice_crd::istio::virtual_service::VirtualService>,
) -> Vec<Host> {
    let mut hosts: Vec<Host> = (server.hosts().iter())
        .filter(|(allowed, _)| may_use(allowed, &route.meta.namespace))
        .flat_map(|(_, host)| {
            let of_route = route
                .spec
                .hosts
                .iter()
                .map(|declared| crate::index::full_name(declared, &route.meta.namespace));
            of_route
                .filter_map(|declared| host.intersection(&declared))
                .collect::<Vec<_>>()
        })
        .collect();
    hosts.sort();
    hosts.dedup();
    hosts
}
