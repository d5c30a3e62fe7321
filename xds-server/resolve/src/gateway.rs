//! The Gateway's half: what the servers of the Gateways on this proxy do.
//!
//! The same chains serve two entrances: the bare port, for Istio's own clients, and an internal
//! listener for each class whose mesh half leads to a Service of this gateway ([`hop`]).

mod hop;
mod http;
mod servers;
mod tcp;
mod tls;

use sluice_plan::{
    identity::ClassId,
    listener::{Chain, Filter, Listener, Role},
};

use crate::{builder::Builder, chains::Chains};

pub(crate) use servers::{Group, Kind, Server};

impl Builder<'_, '_> {
    /// Adds a listener for each port of the Gateways on this proxy.
    pub(crate) fn servers(&mut self) {
        for group in self.server_groups().iter() {
            let chains = self.group_chains(group).finish();
            let chains = self.authorize_servers(group.port, chains);
            // Envoy takes no listener without a chain.
            let otherwise = chains.is_empty().then(|| hop::refused(group));
            let bind = group.bind.iter().copied().collect();
            let access_log = self.access_log();
            self.plan.add_listener(Listener {
                name: match group.bind {
                    Some(address) => format!("{address}_{}", group.port),
                    None => format!("0.0.0.0_{}", group.port),
                },
                role: Role::Server {
                    bind,
                    port: group.port,
                },
                server_first_ports: Vec::new(),
                chains,
                otherwise,
                access_log,
            });
        }
    }

    /// The chains of a port: one for plain HTTP, one for each TLS server or match, one for bytes.
    pub(crate) fn group_chains(&mut self, group: &Group) -> Chains {
        let mut chains = Chains::default();
        for server in &group.servers {
            match server.kind {
                Kind::Http => {}
                Kind::Https => self.https_chain(group, server, &mut chains),
                Kind::Passthrough => self.passthrough_chains(group, server, &mut chains),
                Kind::TerminatedTcp | Kind::Tcp => self.tcp_chain(group, server, &mut chains),
            }
        }
        if group.servers.iter().any(|server| server.kind == Kind::Http) {
            self.http_chain(group, &mut chains);
        }
        chains
    }

    /// An internal listener with these chains, for clients of one class.
    fn hop_listener(
        &mut self,
        name: String,
        class: ClassId,
        chains: Vec<Chain>,
        otherwise: Option<Filter>,
    ) {
        let access_log = self.access_log();
        self.plan.add_listener(Listener {
            name,
            role: Role::Hop(class),
            chains,
            otherwise,
            server_first_ports: Vec::new(),
            access_log,
        });
    }
}
