//! Where a service's endpoints are.

use std::{net::IpAddr, sync::Arc};

use sluice_crd::{
    core::service::{Service as KubernetesService, TargetPort},
    istio::{service_entry::ServiceEntry, workload_entry::WorkloadEntry},
    object::Resource,
};
use sluice_plan::destination::{Endpoint, EndpointAddress};

use super::{Found, Missing};
use crate::{
    client::ProxyIdentity,
    forbidden::{is_forbidden, is_forbidden_name},
    policy::selects,
    service::{Origin, Port},
    view::View,
};

/// The number of a port's target, where it is a number that differs from the port.
pub(super) fn target_number(port: &Port) -> Option<u16> {
    match port.target {
        Some(TargetPort::Number(number)) if number != port.number => Some(number),
        _ => None,
    }
}

/// The port on which a gateway's pod listens for a Service's port: the target's number, or the
/// container port of that name.
pub(super) fn pod_port(view: &View<'_>, proxy: &ProxyIdentity, port: &Port) -> u16 {
    match &port.target {
        Some(TargetPort::Number(number)) => *number,
        Some(TargetPort::Name(name)) => (view.pods_of(&proxy.namespace).iter())
            .filter(|pod| pod.meta.name == proxy.name)
            .flat_map(|pod| &pod.spec.container_ports)
            .find(|container| container.name == *name)
            .map_or(port.number, |container| container.container_port),
        None => port.number,
    }
}

/// What is wrong with the endpoints that an entry lists, if anything: a gateway connects to none
/// of its own addresses or sockets for a tenant.
pub(super) fn check(entry: &Resource<ServiceEntry>) -> Result<(), Missing> {
    let mut listed = entry.spec.endpoints.iter();
    match listed.find(|workload| is_forbidden_address(&workload.address)) {
        Some(workload) => Err(format!(
            "endpoint {} means the gateway itself, which connects to none of its own addresses for others",
            workload.address
        )),
        None => Ok(()),
    }
}

fn is_forbidden_address(address: &str) -> bool {
    match address.parse() {
        Ok(ip) => is_forbidden(ip),
        Err(_) => address.starts_with("unix://") || is_forbidden_name(address),
    }
}

/// Endpoints to resolve: the entry's own, those that its selector finds, else its host.
pub(super) fn by_name(view: &View<'_>, found: &Found) -> Vec<Endpoint> {
    match &found.service.origin {
        Origin::Kubernetes(_) => return Vec::new(),
        Origin::Policy(_) => {}
        Origin::Entry(entry) if !entry.spec.endpoints.is_empty() => {
            return weighted(inline(entry, found));
        }
        Origin::Entry(entry) if entry.spec.workload_selector.is_some() => {
            return weighted(selected(view, entry, found));
        }
        Origin::Entry(_) => {}
    }
    if found.service.host.is_wildcard()
        || found
            .subset
            .as_ref()
            .is_some_and(|subset| !subset.labels.is_empty())
    {
        return Vec::new();
    }
    let port = target_number(&found.port).unwrap_or(found.port.number);
    vec![Endpoint {
        address: EndpointAddress::Name(found.service.host.as_str().to_owned(), port),
        weight: 1,
        locality: None,
    }]
}

/// Endpoints of a STATIC entry: its own, those that its selector finds, else its addresses.
pub(super) fn of_entry(
    view: &View<'_>,
    entry: &Arc<Resource<ServiceEntry>>,
    found: &Found,
) -> Vec<Endpoint> {
    let mut endpoints = if entry.spec.workload_selector.is_some() {
        selected(view, entry, found)
    } else if entry.spec.endpoints.is_empty() {
        let port = target_number(&found.port).unwrap_or(found.port.number);
        (found.service.addresses.iter())
            .filter(|address| address.is_single())
            .map(|address| at(address.address(), port))
            .collect()
    } else {
        inline(entry, found)
    };
    // What is no address could only be looked up, and Envoy would refuse all endpoints for it.
    endpoints.retain(|endpoint| match endpoint.address {
        EndpointAddress::Ip(ip, _) => !is_forbidden(ip),
        EndpointAddress::Name(..) | EndpointAddress::Unix(_) => false,
    });
    weighted(endpoints)
}

/// The WorkloadEntries and pods that an entry's selector finds.
fn selected(view: &View<'_>, entry: &Resource<ServiceEntry>, found: &Found) -> Vec<Endpoint> {
    let Some(selector) = &entry.spec.workload_selector else {
        return Vec::new();
    };
    let namespace = &entry.meta.namespace;
    let entries = (view.workload_entries(namespace).iter())
        .filter(|workload| {
            selects(&selector.labels, &workload.spec.labels)
                || selects(&selector.labels, &workload.meta.labels)
        })
        .filter_map(|workload| endpoint(&workload.spec, found));
    let pods = (view.pods_of(namespace).iter())
        .filter(|pod| pod.spec.ready && selects(&selector.labels, &pod.meta.labels))
        .filter(|pod| in_subset(found, &pod.meta.labels))
        .flat_map(|pod| &pod.spec.pod_ips)
        .map(|ip| at(*ip, target_number(&found.port).unwrap_or(found.port.number)));
    entries.chain(pods).collect()
}

/// The endpoints in order, each once, with weights whose sum Envoy can count.
fn weighted(mut endpoints: Vec<Endpoint>) -> Vec<Endpoint> {
    let sum: u64 = endpoints
        .iter()
        .map(|endpoint| u64::from(endpoint.weight))
        .sum();
    // Every weight stays at least 1, so there must be room for as many more.
    let room = u64::from(u32::MAX) - endpoints.len() as u64;
    if sum > room {
        for endpoint in &mut endpoints {
            let share = u64::from(endpoint.weight) * (room / 2) / sum;
            endpoint.weight = u32::try_from(share).unwrap_or(1).max(1);
        }
    }
    endpoints.sort();
    endpoints.dedup();
    endpoints
}

/// Endpoints of a Kubernetes Service, from its EndpointSlices.
pub(super) fn of_service(
    view: &View<'_>,
    service: &Resource<KubernetesService>,
    found: &Found,
) -> Vec<Endpoint> {
    let key = format!("{}/{}", service.meta.namespace, service.meta.name);
    let mut endpoints: Vec<Endpoint> = Vec::new();
    for slice in view.slices(&key) {
        let ports: Vec<u16> = (slice.spec.ports.iter())
            .filter(|port| port.name == found.port.name)
            .filter_map(|port| port.port)
            .collect();
        for target in slice
            .spec
            .endpoints
            .iter()
            .filter(|endpoint| endpoint.conditions.is_ready())
        {
            let pod = || {
                let target = target.target_ref.as_ref()?;
                let mut pods = view.pods_of(&service.meta.namespace).iter();
                pods.find(|pod| target.kind == "Pod" && pod.meta.name == target.name)
            };
            if found
                .subset
                .as_ref()
                .is_some_and(|subset| !subset.labels.is_empty())
                && !pod().is_some_and(|pod| in_subset(found, &pod.meta.labels))
            {
                continue;
            }
            for ip in target
                .addresses
                .iter()
                .filter_map(|address| address.parse::<IpAddr>().ok())
                .filter(|ip| !is_forbidden(*ip))
            {
                endpoints.extend(ports.iter().map(|port| at(ip, *port)));
            }
        }
    }
    endpoints.sort();
    endpoints.dedup();
    endpoints
}

fn inline(entry: &Resource<ServiceEntry>, found: &Found) -> Vec<Endpoint> {
    entry
        .spec
        .endpoints
        .iter()
        .filter_map(|workload| endpoint(workload, found))
        .collect()
}

fn in_subset(found: &Found, labels: &std::collections::BTreeMap<String, String>) -> bool {
    found
        .subset
        .as_ref()
        .is_none_or(|subset| selects(&subset.labels, labels))
}

/// A WorkloadEntry as an endpoint. Its port is, in this order: none for a Unix socket, the
/// entry's own for the port's name, the target port, the port.
fn endpoint(workload: &WorkloadEntry, found: &Found) -> Option<Endpoint> {
    if workload.address.is_empty()
        || is_forbidden_address(&workload.address)
        || !in_subset(found, &workload.labels)
    {
        return None;
    }
    let port = (workload.ports.get(&found.port.name))
        .and_then(|port| u16::try_from(*port).ok())
        .or_else(|| target_number(&found.port))
        .unwrap_or(found.port.number);
    let address = match workload.address.strip_prefix("unix://") {
        Some(path) => EndpointAddress::Unix(path.to_owned()),
        None => match workload.address.parse() {
            Ok(ip) => EndpointAddress::Ip(ip, port),
            Err(_) => EndpointAddress::Name(workload.address.clone(), port),
        },
    };
    Some(Endpoint {
        address,
        weight: workload.weight.max(1),
        locality: Some(workload.locality.clone()).filter(|locality| !locality.is_empty()),
    })
}

fn at(ip: IpAddr, port: u16) -> Endpoint {
    Endpoint {
        address: EndpointAddress::Ip(ip, port),
        weight: 1,
        locality: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_are_scaled_to_what_envoy_can_count() {
        let endpoint = |last: u8, weight| Endpoint {
            weight,
            ..at([198, 51, 100, last].into(), 80)
        };
        let endpoints = weighted(vec![
            endpoint(1, u32::MAX),
            endpoint(2, u32::MAX / 2),
            endpoint(3, 1),
        ]);
        let weights: Vec<u64> = endpoints.iter().map(|e| e.weight.into()).collect();
        assert!(weights.iter().sum::<u64>() <= u64::from(u32::MAX));
        assert_eq!(weights[0] / weights[1], 2);
        assert_eq!(weights[2], 1);
    }
}
