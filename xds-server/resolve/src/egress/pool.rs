//! Which addresses of a pool a class leaves from, or why none.

use std::net::IpAddr;

use sluice_crd::{
    object::Resource, sluice::egress_ip_pool::EgressIPPool, sluice::egress_policy::EgressIp,
};
use sluice_plan::{fingerprint::Fingerprint, identity::ClassId};

use crate::{client::ProxyIdentity, policy::selects, view::View};

/// Why addresses cannot be used, and the field to look at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Unusable {
    pub(super) field: String,
    pub(super) reason: String,
}

/// The addresses, if `namespace` may leave from them through `gateway`.
pub(super) fn addresses(
    view: &View<'_>,
    gateway: &ProxyIdentity,
    egress_ip: &EgressIp,
    namespace: &str,
) -> Result<Vec<IpAddr>, Unusable> {
    let name = &egress_ip.pool;
    let unusable = |field: String, reason: String| Err(Unusable { field, reason });
    let at_pool = || "spec.egressIP.pool".to_owned();
    let Some(pool) = view.pool(name) else {
        return unusable(at_pool(), format!("there is no EgressIPPool {name}"));
    };
    let foreign = (egress_ip.addresses.iter()).position(|address| !holds(pool, *address));
    if let Some(index) = foreign {
        return unusable(
            format!("spec.egressIP.addresses[{index}]"),
            format!(
                "{} is not an address of EgressIPPool {name}",
                egress_ip.addresses[index]
            ),
        );
    }
    let admits = pool.spec.namespace_selector.as_ref();
    if !admits
        .is_some_and(|selector| selects(&selector.match_labels, &view.namespace_labels(namespace)))
    {
        return unusable(
            at_pool(),
            format!("EgressIPPool {name} does not admit namespace {namespace}"),
        );
    }
    let held = pool.spec.gateway_selector.as_ref();
    if !held.is_none_or(|selector| selects(&selector.match_labels, &gateway.labels)) {
        return unusable(
            at_pool(),
            format!(
                "EgressIPPool {name} is not for gateway {}/{}",
                gateway.namespace, gateway.name
            ),
        );
    }
    Ok(egress_ip.addresses.clone())
}

fn holds(pool: &Resource<EgressIPPool>, address: IpAddr) -> bool {
    let within = |ranges: &[sluice_crd::common::address_range::AddressRange]| {
        ranges.iter().any(|range| range.contains(address))
    };
    within(&pool.spec.addresses) && !within(&pool.spec.exclude)
}

/// One address of each family, always the same ones for a class. Adding an address moves only the
/// classes that it is for (rendezvous hashing).
pub(super) fn of_class(addresses: &[IpAddr], class: ClassId) -> Vec<IpAddr> {
    let best = |is_v4: bool| {
        (addresses.iter().copied())
            .filter(|address| address.is_ipv4() == is_v4)
            // No build as salt: a new release must not move a class.
            .max_by_key(|address| Fingerprint::of(&(class, address.to_string()), ""))
    };
    best(true).into_iter().chain(best(false)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn class(name: &str) -> ClassId {
        ClassId::of("shop", name, [])
    }

    #[test]
    fn a_class_keeps_one_address_of_each_family() {
        let all: Vec<IpAddr> = ["203.0.113.10", "203.0.113.11", "2001:db8::1", "2001:db8::2"]
            .map(|address| address.parse().unwrap())
            .to_vec();
        let mut reversed = all.clone();
        reversed.reverse();
        let chosen = of_class(&all, class("checkout"));
        assert_eq!(chosen.len(), 2);
        assert!(chosen[0].is_ipv4() && chosen[1].is_ipv6());
        assert_eq!(chosen, of_class(&reversed, class("checkout")));
    }

    #[test]
    fn classes_spread_and_few_move_when_one_is_added() {
        let three: Vec<IpAddr> = (1..=3)
            .map(|last| IpAddr::from([203, 0, 113, last]))
            .collect();
        let four: Vec<IpAddr> = (1..=4)
            .map(|last| IpAddr::from([203, 0, 113, last]))
            .collect();
        let mut moved = 0;
        for number in 0..100 {
            let class = class(&format!("a{number}"));
            let (before, after) = (of_class(&three, class), of_class(&four, class));
            assert!(before == after || after == [four[3]]);
            moved += usize::from(before != after);
        }
        assert!((10..45).contains(&moved), "{moved}");
    }
}
