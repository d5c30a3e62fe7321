//! Which filter chain takes a connection, in Envoy's order: destination port, address, server
//! name, transport; at each the most specific that is there, without going back.
//!
//! Source: Envoy's `FilterChainMatch` reference, "the order in which the matches are applied".

use super::{Call, FirstBytes};
use crate::{
    host::Host,
    listener::{Chain, Transport},
};

pub(super) fn select<'p>(chains: &'p [Chain], call: &Call) -> Option<&'p Chain> {
    let mut left: Vec<&Chain> = chains.iter().collect();
    narrow(&mut left, |chain| {
        chain
            .matches
            .port
            .map_or(Some(0), |port| (port == call.port).then_some(1))
    });
    narrow(&mut left, |chain| {
        if chain.matches.addresses.is_empty() {
            return Some(0);
        }
        let address = call.address?;
        let longest = chain
            .matches
            .addresses
            .iter()
            .filter(|range| range.contains(address));
        longest
            .map(|range| 1 + usize::from(range.prefix_len()))
            .max()
    });
    let sni = match &call.first {
        FirstBytes::Tls(sni) => sni.as_deref(),
        FirstBytes::Http(_) | FirstBytes::Other => None,
    };
    narrow(&mut left, |chain| {
        if chain.matches.server_names.is_empty() {
            return Some(0);
        }
        let hosts = chain
            .matches
            .server_names
            .iter()
            .map(|name| Host::new(name));
        hosts
            .filter(|host| sni.is_some_and(|sni| host.matches(sni)))
            .map(|host| rank(&host))
            .max()
    });
    let tls = matches!(call.first, FirstBytes::Tls(_));
    narrow(&mut left, |chain| match chain.matches.transport {
        Transport::Any => Some(0),
        Transport::Tls => tls.then_some(1),
        Transport::Raw => (!tls).then_some(1),
    });
    left.first().copied()
}

/// Keeps the chains of the highest rank; those of no rank do not match.
fn narrow(chains: &mut Vec<&Chain>, rank: impl Fn(&Chain) -> Option<usize>) {
    let best = chains.iter().filter_map(|chain| rank(chain)).max();
    chains.retain(|chain| best.is_some() && rank(chain) == best);
}

/// Exact names rank above wildcards, longer wildcards above shorter.
fn rank(host: &Host) -> usize {
    if host.is_wildcard() {
        host.as_str().len()
    } else {
        usize::MAX
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        authorization::Authorization,
        listener::{ChainMatch, Deny, Filter},
    };

    fn chain(name: &str, matches: ChainMatch) -> Chain {
        let filter = Filter::Deny(Deny {
            rule: String::new(),
            reason: String::new(),
        });
        Chain {
            name: name.to_owned(),
            matches,
            tls: None,
            authorization: Authorization::default(),
            filter,
        }
    }

    fn named(name: &str, server_names: &[&str]) -> Chain {
        let server_names = server_names.iter().map(|name| (*name).to_owned()).collect();
        chain(
            name,
            ChainMatch {
                port: Some(443),
                server_names,
                transport: Transport::Tls,
                ..ChainMatch::default()
            },
        )
    }

    fn tls(sni: &str) -> Call {
        Call {
            address: None,
            port: 443,
            first: FirstBytes::Tls(Some(sni.to_owned())),
        }
    }

    #[test]
    fn the_longest_server_name_wins() {
        let chains = [
            named("any", &[]),
            named("com", &["*.com"]),
            named("b", &["*.b.com"]),
            named("a", &["a.b.com"]),
        ];
        let selected = |sni| select(&chains, &tls(sni)).map(|chain| chain.name.as_str());
        assert_eq!(selected("a.b.com"), Some("a"));
        assert_eq!(selected("x.b.com"), Some("b"));
        assert_eq!(selected("x.com"), Some("com"));
        assert_eq!(selected("x.org"), Some("any"));
    }

    #[test]
    fn an_address_is_judged_before_a_name_and_there_is_no_way_back() {
        let at = ChainMatch {
            port: Some(443),
            addresses: vec!["192.0.2.0/24".parse().unwrap()],
            server_names: vec!["other.com".to_owned()],
            ..ChainMatch::default()
        };
        let chains = [chain("at", at), named("a", &["a.b.com"])];
        let call = Call {
            address: Some("192.0.2.1".parse().unwrap()),
            ..tls("a.b.com")
        };
        assert_eq!(select(&chains, &call), None);
        assert!(select(&chains, &tls("a.b.com")).is_some());
    }

    #[test]
    fn tls_does_not_fall_into_a_raw_chain() {
        let raw = ChainMatch {
            port: Some(443),
            transport: Transport::Raw,
            ..ChainMatch::default()
        };
        assert_eq!(select(&[chain("http", raw)], &tls("a.b.com")), None);
    }
}
