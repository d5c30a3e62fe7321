//! Filter chains of listeners that decide.

use std::collections::BTreeSet;

use sluice_plan::{
    authorization::Authorization,
    listener::{self as plan, Chain, ChainMatch, Filter, Transport},
};

use super::{filter, patience};
use crate::{
    access_log::Place,
    envoy::{any, core, fraction, listener, number, tls_inspector as inspector},
    tls,
};

/// Makes the chains of one listener.
pub(super) struct Chains<'a> {
    listener: &'a plan::Listener,
    place: Place,
}

impl<'a> Chains<'a> {
    /// Chains of `listener`.
    pub(super) fn new(listener: &'a plan::Listener, place: Place) -> Self {
        Self { listener, place }
    }

    /// The chains with a match.
    pub(super) fn matched(&self) -> Vec<listener::FilterChain> {
        self.listener.chains.iter().map(|c| self.chain(c)).collect()
    }

    /// The chain for all other connections.
    pub(super) fn otherwise(&self) -> Option<listener::FilterChain> {
        let decision = self.listener.otherwise.as_ref()?;
        Some(listener::FilterChain {
            name: "otherwise".to_owned(),
            filters: self.filters(decision, &Authorization::default()),
            ..Default::default()
        })
    }

    fn chain(&self, chain: &Chain) -> listener::FilterChain {
        let tls = chain.tls.as_ref().map(tls::downstream_socket);
        listener::FilterChain {
            name: chain.name.clone(),
            filter_chain_match: Some(chain_match(&chain.matches)),
            transport_socket_connect_timeout: tls.as_ref().and_then(|_| patience()),
            transport_socket: tls,
            filters: self.filters(&chain.filter, &chain.authorization),
            ..Default::default()
        }
    }

    fn filters(&self, decision: &Filter, authorization: &Authorization) -> Vec<listener::Filter> {
        let log = &self.listener.access_log;
        filter::filters(decision, authorization, log, self.place)
    }
}

fn chain_match(matches: &ChainMatch) -> listener::FilterChainMatch {
    listener::FilterChainMatch {
        destination_port: matches.port.and_then(|port| number(port.into())),
        prefix_ranges: matches
            .addresses
            .iter()
            .map(|range| core::CidrRange {
                address_prefix: range.address().to_string(),
                prefix_len: number(range.prefix_len().into()),
            })
            .collect(),
        server_names: matches.server_names.clone(),
        transport_protocol: match matches.transport {
            Transport::Any => String::new(),
            Transport::Tls => "tls".to_owned(),
            Transport::Raw => "raw_buffer".to_owned(),
        },
        ..Default::default()
    }
}

/// Ports of protocols in which the server speaks first: FTP, SSH, SMTP, POP3, IMAP, submission,
/// MySQL.
const USUALLY_SERVER_FIRST: [u16; 7] = [21, 22, 25, 110, 143, 587, 3306];

/// Reads TLS client hellos, where some chain asks for what they say. It waits for the client's
/// first bytes, so never on ports where the server speaks first. On ports that no chain knows it
/// reads them too, for the log; but not where a client would only wait for its refusal.
pub(super) fn tls_inspector(listener: &plan::Listener) -> Option<listener::ListenerFilter> {
    let asks = |matches: &ChainMatch| {
        !matches.server_names.is_empty() || matches.transport != Transport::Any
    };
    let asking: Vec<&ChainMatch> = listener
        .chains
        .iter()
        .map(|chain| &chain.matches)
        .filter(|matches| asks(matches))
        .collect();
    let usually = USUALLY_SERVER_FIRST.iter().filter(|port| {
        asking
            .iter()
            .all(|matches| matches.port.is_some_and(|asked| asked != **port))
    });
    let silent: BTreeSet<u16> = listener
        .server_first_ports
        .iter()
        .chain(usually)
        .copied()
        .collect();
    (!asking.is_empty()).then(|| listener::ListenerFilter {
        name: "envoy.filters.listener.tls_inspector".to_owned(),
        filter_disabled: any_of(&silent),
        config_type: Some(listener::listener_filter::ConfigType::TypedConfig(any(
            &inspector::TlsInspector::default(),
        ))),
    })
}

/// Whether the destination port is one of these. Envoy asks when the filter's turn comes, so
/// behind `proxy_protocol` it is the port that the client dialled.
fn any_of(ports: &BTreeSet<u16>) -> Option<listener::ListenerFilterChainMatchPredicate> {
    use listener::listener_filter_chain_match_predicate::{MatchSet, Rule};
    let predicate = |rule| listener::ListenerFilterChainMatchPredicate { rule: Some(rule) };
    let mut rules: Vec<_> = ports
        .iter()
        .map(|port| {
            let start = i32::from(*port);
            predicate(Rule::DestinationPortRange(fraction::Int32Range {
                start,
                end: start + 1,
            }))
        })
        .collect();
    match rules.len() {
        0 => None,
        // Envoy wants two in a set.
        1 => rules.pop(),
        _ => Some(predicate(Rule::OrMatch(MatchSet { rules }))),
    }
}
