//! Where a service's endpoints are.

use std::{net::IpAddr, sync::Arc};

use sluice_crd::{
    core::service::{Service as KubernetesService, TargetPort},
    istio::{service_entry::ServiceEntry, workload_entry::WorkloadEntry},
    object::Resource,
};
use sluice_plan::destination::{Endpoint, EndpointAddress};

use super::Found;
use crate::{
    client::ProxyIdentity,
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

/// Endpoints to resolve: the entry's own, else its host.
pub(super) fn by_name(found: &Found) -> Vec<Endpoint> {
    let Origin::Entry(entry) = &found.service.origin else {
        return Vec::new();
    };
    if !entry.spec.endpoints.is_empty() {
        return inline(entry, found);
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
    let namespace = &entry.meta.namespace;
    let mut endpoints = if let Some(selector) = &entry.spec.workload_selector {
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
    } else if entry.spec.endpoints.is_empty() {
        let port = target_number(&found.port).unwrap_or(found.port.number);
        (found.service.addresses.iter())
            .filter(|address| address.is_single())
            .map(|address| at(address.address(), port))
            .collect()
    } else {
        inline(entry, found)
    };
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
            let pod = target
                .target_ref
                .as_ref()
                .filter(|target| target.kind == "Pod");
            let labels = pod.and_then(|target| {
                view.pods_of(&service.meta.namespace)
                    .iter()
                    .find(|pod| pod.meta.name == target.name)
            });
            if found
                .subset
                .as_ref()
                .is_some_and(|subset| !subset.labels.is_empty())
                && !labels.is_some_and(|pod| in_subset(found, &pod.meta.labels))
            {
                continue;
            }
            for ip in target
                .addresses
                .iter()
                .filter_map(|address| address.parse::<IpAddr>().ok())
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
    if workload.address.is_empty() || !in_subset(found, &workload.labels) {
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
