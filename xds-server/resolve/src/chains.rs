//! The filter chains of a listener under construction.
//!
//! Envoy refuses a listener in which two chains match the same connections, so of two the first
//! stays and the other is reported by whoever added it.

use std::collections::BTreeSet;

use sluice_plan::{
    address::Cidr,
    listener::{Chain, ChainMatch, Filter, Transport},
    tls::DownstreamTls,
};

/// One combination that a chain matches.
type Key = (Option<u16>, Option<Cidr>, Option<String>, Transport);

/// Chains, no two of which match the same.
#[derive(Debug, Default)]
pub(crate) struct Chains {
    taken: BTreeSet<Key>,
    chains: Vec<Chain>,
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
        let addresses = options(&matches.addresses);
        let names = options(&matches.server_names);
        let free = |taken: &BTreeSet<Key>, address: &Option<Cidr>, name: &Option<String>| {
            !taken.contains(&(matches.port, *address, name.clone(), matches.transport))
        };
        // A server name is kept only if it is free at every address: a chain is a product.
        let kept: Vec<Option<String>> = names
            .iter()
            .filter(|name| {
                addresses
                    .iter()
                    .all(|address| free(&self.taken, address, name))
            })
            .cloned()
            .collect();
        let whole = kept.len() == names.len();
        if kept.is_empty() {
            return false;
        }
        for address in &addresses {
            for name in &kept {
                self.taken
                    .insert((matches.port, *address, name.clone(), matches.transport));
            }
        }
        matches.server_names = kept.into_iter().flatten().collect();
        self.chains.push(Chain {
            name,
            matches,
            tls,
            filter,
        });
        whole
    }

    /// The chains, in the order of their names.
    pub(crate) fn finish(mut self) -> Vec<Chain> {
        self.chains.sort_by(|a, b| a.name.cmp(&b.name));
        self.chains
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Chain> {
        self.chains.iter()
    }
}

/// The values, or the one that means any.
fn options<T: Clone>(values: &[T]) -> Vec<Option<T>> {
    if values.is_empty() {
        vec![None]
    } else {
        values.iter().cloned().map(Some).collect()
    }
}
