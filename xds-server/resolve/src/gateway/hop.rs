//! From the mesh half to the Gateway's half inside one Envoy.
//!
//! On Istio the client's sidecar would open a connection to the gateway's Service, with the TLS
//! that a DestinationRule asks for. Here that connection is an internal listener, for the class,
//! with the chains of the server that it would have met; what mTLS between the two would have
//! proven, the tunnel has proven already.

use sluice_crd::istio::destination_rule::ClientTlsMode;
use sluice_plan::{
    destination::{Destination, Protocol, Resolution},
    listener::{ChainMatch, Deny, Filter},
};

use super::{Group, Kind};
use crate::{
    builder::Builder,
    chains::Chains,
    client::Class,
    destination::{Found, Missing, Target},
};

impl Builder<'_, '_> {
    /// The destination, for clients of `class`, that is this gateway's own `port`.
    pub(crate) fn hop(
        &mut self,
        class: &Class,
        target: &Target,
        found: &Found,
        port: u16,
    ) -> Result<String, Missing> {
        let name = format!("{}@{}", target.istio_name(), class.id);
        if self.plan.destinations.contains_key(&name) {
            return Ok(name);
        }
        let groups = self.server_groups();
        let group = (groups.iter())
            .find(|group| group.port == port && group.bind.is_none())
            .ok_or_else(|| {
                format!(
                    "no Gateway serves port {} of {} on the pods behind it",
                    target.port, target.host
                )
            })?;
        let tls = found.policy.tls.as_ref();
        let listener = match tls.map_or(ClientTlsMode::Disable, |tls| tls.mode) {
            ClientTlsMode::Disable => {
                let listener = format!("server|{port}@{}", class.id);
                if !self.plan.listeners.contains_key(&listener) {
                    let chains = self.group_chains(group).finish();
                    let chains = self.authorize_hop(class, port, None, chains);
                    self.hop_listener(listener.clone(), class.id, chains, Some(refused(group)));
                }
                listener
            }
            ClientTlsMode::IstioMutual => {
                let sni = tls.map(|tls| tls.sni.clone()).filter(|sni| !sni.is_empty());
                let sni = sni.unwrap_or_else(|| target.istio_sni());
                let listener = format!("server|{port}|{sni}@{}", class.id);
                if !self.plan.listeners.contains_key(&listener) {
                    let chains = self.opened_chain(group, &sni)?.finish();
                    let chains = self.authorize_hop(class, port, Some(&sni), chains);
                    self.hop_listener(listener.clone(), class.id, chains, Some(refused(group)));
                }
                listener
            }
            ClientTlsMode::Simple | ClientTlsMode::Mutual => {
                return Err(format!(
                    "TLS mode SIMPLE or MUTUAL towards the gateway's own Service {} is not supported; use ISTIO_MUTUAL or none",
                    target.host
                ));
            }
        };
        let mut destination = Destination::new(
            &name,
            Resolution::Hop {
                listener,
                proxy_protocol: true,
            },
        );
        destination.stat_name = Some(target.istio_name());
        destination.protocol = Protocol::AsDownstream;
        self.plan
            .origins
            .insert(name.clone(), found.origins.clone());
        self.plan.add_destination(destination);
        Ok(name)
    }

    /// The chain of the ISTIO_MUTUAL server that would take this server name, its TLS opened.
    fn opened_chain(&mut self, group: &Group, sni: &str) -> Result<Chains, Missing> {
        let server = (group.servers.iter())
            .filter(|server| {
                let mode = server.declared().tls.as_ref().map(|tls| tls.mode);
                mode == Some(sluice_crd::istio::gateway::ServerTlsMode::IstioMutual)
            })
            .filter_map(|server| {
                let taken = server
                    .hosts()
                    .into_iter()
                    .map(|(_, host)| host)
                    .filter(|host| host.matches(sni))
                    .min()?;
                Some((taken, server))
            })
            .min_by_key(|(host, _)| host.clone())
            .map(|(_, server)| server.clone())
            .ok_or_else(|| {
                format!(
                    "no ISTIO_MUTUAL server on port {} takes server name {sni}",
                    group.port
                )
            })?;
        let mut with_tls = Chains::default();
        match server.kind {
            Kind::Https => self.https_chain(group, &server, &mut with_tls),
            Kind::Http | Kind::Passthrough | Kind::TerminatedTcp | Kind::Tcp => {
                self.tcp_chain(group, &server, &mut with_tls);
            }
        }
        let mut opened = Chains::default();
        for chain in with_tls.finish() {
            opened.add(chain.name, ChainMatch::default(), None, chain.filter);
        }
        Ok(opened)
    }
}

pub(super) fn refused(group: &Group) -> Filter {
    Filter::Deny(Deny {
        rule: "default-deny".to_owned(),
        reason: format!(
            "no server or VirtualService on gateway port {} takes it",
            group.port
        ),
    })
}
