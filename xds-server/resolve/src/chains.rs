//! The filter chains of a listener under construction.
//!
//! Envoy refuses a listener in which two chains match the same connections, so of two the first
//! stays and the other is reported by whoever added it.

use std::collections::{BTreeMap, BTreeSet};

use sluice_plan::{
    address::Cidr,
    authorization::Authorization,
    listener::{Chain, ChainMatch, Filter, Transport},
    tls::DownstreamTls,
};

/// One combination that a chain matches.
type Key = (Option<u16>, Option<Cidr>, Option<String>, Transport);

/// Chains, no two of which match the same.
#[derive(Debug, Default)]
pub(crate) struct Chains {
    taken: BTreeSet<Key>,
    names: BTreeSet<String>,
    by_port: BTreeMap<Option<u16>, Vec<Chain>>,
}

impl Chains {
    /// Adds a chain without what is taken already. False if something of it was, or all.
    pub(crate) fn add(
        &mut self,
        name: String,
        mut matches: ChainMatch,
        tls: Option<DownstreamTls>,
        filter: Filter,
    ) -> bool {
        // Envoy refuses what is there twice within one chain, too.
        sort_and_dedup(&mut matches.addresses);
        sort_and_dedup(&mut matches.server_names);
        let (port, transport) = (matches.port, matches.transport);
        let addresses = options(&matches.addresses);
        let names = options(&matches.server_names);
        let is_free = |address: &Option<Cidr>, name: &Option<String>| {
            !(self.taken).contains(&(port, *address, name.clone(), transport))
        };
        // A chain is the product of its addresses and names. One that asks for no name keeps the
        // addresses that are free; others keep the names that are free at every address.
        let (addresses, kept): (Vec<_>, Vec<_>) = if matches.server_names.is_empty() {
            let free = addresses.iter().filter(|address| is_free(address, &None));
            (free.copied().collect(), names)
        } else {
            let free = names
                .iter()
                .filter(|name| addresses.iter().all(|address| is_free(address, name)));
            let free = free.cloned().collect();
            (addresses.clone(), free)
        };
        if kept.is_empty() || addresses.is_empty() {
            return false;
        }
        let whole = kept.len() == options(&matches.server_names).len()
            && addresses.len() == options(&matches.addresses).len();
        for address in &addresses {
            for name in &kept {
                self.taken.insert((port, *address, name.clone(), transport));
            }
        }
        matches.addresses = addresses.into_iter().flatten().collect();
        matches.server_names = kept.into_iter().flatten().collect();
        let name = self.unique(name);
        self.by_port.entry(port).or_default().push(Chain {
            name,
            matches,
            tls,
            authorization: Authorization::default(),
            filter,
        });
        whole
    }

    /// Envoy wants names to be unique. Those of this crate are, for names that Kubernetes allows.
    fn unique(&mut self, name: String) -> String {
        let mut unique = name.clone();
        let mut number = 2;
        while !self.names.insert(unique.clone()) {
            unique = format!("{name}~{number}");
            number += 1;
        }
        unique
    }

    /// The chains, in the order of their names.
    pub(crate) fn finish(self) -> Vec<Chain> {
        let mut chains: Vec<Chain> = self.by_port.into_values().flatten().collect();
        chains.sort_by(|a, b| a.name.cmp(&b.name));
        chains
    }

    /// The chains of a destination port, taken out: what they matched is free again.
    pub(crate) fn take(&mut self, port: u16) -> Vec<Chain> {
        let chains = self.by_port.remove(&Some(port)).unwrap_or_default();
        for chain in &chains {
            self.names.remove(&chain.name);
        }
        self.taken.retain(|(of, ..)| *of != Some(port));
        chains
    }

    /// Whether there is a chain of this name.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.names.contains(name)
    }

    /// The chains of a destination port.
    pub(crate) fn of_port(&self, port: u16) -> impl Iterator<Item = &Chain> {
        self.by_port.get(&Some(port)).into_iter().flatten()
    }
}

fn sort_and_dedup<T: Ord>(values: &mut Vec<T>) {
    values.sort();
    values.dedup();
}

/// The values, or the one that means any.
fn options<T: Clone>(values: &[T]) -> Vec<Option<T>> {
    if values.is_empty() {
        vec![None]
    } else {
        values.iter().cloned().map(Some).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sluice_plan::listener::Deny;

    fn add(chains: &mut Chains, name: &str, addresses: &[&str], server_names: &[&str]) -> bool {
        let matches = ChainMatch {
            port: Some(443),
            addresses: addresses
                .iter()
                .map(|range| range.parse().unwrap())
                .collect(),
            server_names: server_names.iter().map(|name| (*name).to_owned()).collect(),
            transport: Transport::Any,
        };
        let filter = Filter::Deny(Deny {
            rule: String::new(),
            reason: String::new(),
        });
        chains.add(name.to_owned(), matches, None, filter)
    }

    #[test]
    fn what_is_there_twice_in_one_chain_stays_once() {
        let mut chains = Chains::default();
        assert!(add(
            &mut chains,
            "a",
            &["10.0.0.1", "10.0.0.1/32"],
            &["x", "x"]
        ));
        let only = &chains.finish()[0].matches;
        assert_eq!((only.addresses.len(), only.server_names.len()), (1, 1));
    }

    #[test]
    fn of_two_that_want_an_address_the_second_keeps_its_others() {
        let mut chains = Chains::default();
        assert!(add(&mut chains, "a", &["10.0.0.1"], &[]));
        assert!(!add(&mut chains, "b", &["10.0.0.1", "10.0.0.2"], &[]));
        assert!(!add(&mut chains, "c", &["10.0.0.2"], &[]));
        let kept: Vec<_> = chains
            .finish()
            .into_iter()
            .map(|chain| (chain.name, format!("{:?}", chain.matches.addresses)))
            .collect();
        let expected = [("a", "[10.0.0.1/32]"), ("b", "[10.0.0.2/32]")];
        assert_eq!(kept, expected.map(|(a, b)| (a.to_owned(), b.to_owned())));
    }

    #[test]
    fn names_of_chains_are_unique() {
        let mut chains = Chains::default();
        add(&mut chains, "a", &[], &["x"]);
        add(&mut chains, "a", &[], &["y"]);
        let names: Vec<_> = chains
            .finish()
            .into_iter()
            .map(|chain| chain.name)
            .collect();
        assert_eq!(names, ["a", "a~2"]);
    }
}
