//! Bytes at a Gateway's servers: the first VirtualService whose TCP route holds.

use sluice_plan::listener::{ChainMatch, Filter};

use super::{Group, Kind, Server, servers::shared_hosts};
use crate::{
    builder::Builder,
    chains::Chains,
    source_match::{Source, applies},
};

impl Builder<'_, '_> {
    pub(super) fn tcp_chain(&mut self, _group: &Group, server: &Server, chains: &mut Chains) {
        let Some(filter) = self.tcp_of(server) else {
            return;
        };
        match server.kind {
            Kind::TerminatedTcp => {
                self.terminating_chain(server, &["istio-peer-exchange", "istio"], filter, chains);
            }
            Kind::Http | Kind::Https | Kind::Passthrough | Kind::Tcp => {
                chains.add(server.chain_name(), ChainMatch::default(), None, filter);
            }
        }
    }

    fn tcp_of(&mut self, server: &Server) -> Option<Filter> {
        let entrance = server.entrance(self.proxy);
        for route in self.bound_routes(server) {
            if shared_hosts(server, &route).is_empty() {
                continue;
            }
            let holding = route.spec.tcp.iter().enumerate().find(|(_, tcp)| {
                tcp.matches.is_empty()
                    || tcp.matches.iter().any(|condition| {
                        applies(&Source::of_tcp(&route.meta.namespace, condition), &entrance)
                    })
            });
            if let Some((index, tcp)) = holding {
                return Some(self.tcp_filter(
                    &entrance,
                    &route,
                    &format!("spec.tcp[{index}].route"),
                    &tcp.route,
                ));
            }
        }
        None
    }
}
