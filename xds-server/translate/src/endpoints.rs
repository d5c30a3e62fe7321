//! Endpoints of a cluster.

use std::collections::BTreeMap;

use sluice_plan::destination::{self as plan, EndpointAddress};

use crate::envoy::{self, ClusterLoadAssignment, core, endpoint};

/// The endpoints of a discovered destination, for EDS.
pub fn load_assignment(endpoints: &plan::Endpoints) -> ClusterLoadAssignment {
    assignment(&endpoints.name, &endpoints.endpoints)
}

/// The endpoints of the cluster `name`, by locality.
pub(crate) fn assignment(name: &str, endpoints: &[plan::Endpoint]) -> ClusterLoadAssignment {
    let mut localities: BTreeMap<Option<&str>, Vec<&plan::Endpoint>> = BTreeMap::new();
    for endpoint in endpoints {
        localities
            .entry(endpoint.locality.as_deref())
            .or_default()
            .push(endpoint);
    }
    ClusterLoadAssignment {
        cluster_name: name.to_owned(),
        endpoints: localities
            .into_iter()
            .map(|(name, endpoints)| locality(name, &endpoints))
            .collect(),
        ..Default::default()
    }
}

fn locality(name: Option<&str>, endpoints: &[&plan::Endpoint]) -> endpoint::LocalityLbEndpoints {
    // Sums above 32 bits are refused by Envoy.
    let weight = endpoints.iter().fold(0_u32, |sum, endpoint| {
        sum.saturating_add(endpoint.weight.max(1))
    });
    let lb_endpoints = endpoints
        .iter()
        .map(|endpoint| lb_endpoint(address(&endpoint.address), endpoint.weight))
        .collect();
    endpoint::LocalityLbEndpoints {
        locality: name.map(|name| {
            let mut parts = name.splitn(3, '/').map(str::to_owned);
            core::Locality {
                region: parts.next().unwrap_or_default(),
                zone: parts.next().unwrap_or_default(),
                sub_zone: parts.next().unwrap_or_default(),
            }
        }),
        lb_endpoints,
        load_balancing_weight: envoy::number(weight),
        ..Default::default()
    }
}

/// The endpoint that is an internal listener of the same Envoy. The id keeps apart clusters that
/// lead to one listener.
pub(crate) fn internal(cluster: &str, listener: &str) -> ClusterLoadAssignment {
    let address = core::Address {
        address: Some(core::address::Address::EnvoyInternalAddress(
            core::EnvoyInternalAddress {
                endpoint_id: cluster.to_owned(),
                address_name_specifier: Some(
                    core::envoy_internal_address::AddressNameSpecifier::ServerListenerName(
                        listener.to_owned(),
                    ),
                ),
            },
        )),
    };
    ClusterLoadAssignment {
        cluster_name: cluster.to_owned(),
        endpoints: vec![endpoint::LocalityLbEndpoints {
            lb_endpoints: vec![lb_endpoint(address, 1)],
            ..Default::default()
        }],
        ..Default::default()
    }
}

fn lb_endpoint(address: core::Address, weight: u32) -> endpoint::LbEndpoint {
    endpoint::LbEndpoint {
        // Zero is not allowed; one is the least.
        load_balancing_weight: envoy::number(weight.max(1)),
        host_identifier: Some(endpoint::lb_endpoint::HostIdentifier::Endpoint(
            endpoint::Endpoint {
                address: Some(address),
                ..Default::default()
            },
        )),
        ..Default::default()
    }
}

fn address(address: &EndpointAddress) -> core::Address {
    match address {
        EndpointAddress::Ip(ip, port) => envoy::address(*ip, *port),
        EndpointAddress::Name(name, port) => core::Address {
            address: Some(core::address::Address::SocketAddress(
                envoy::socket_address(name.clone(), *port),
            )),
        },
        EndpointAddress::Unix(path) => core::Address {
            address: Some(core::address::Address::Pipe(core::Pipe {
                path: path.clone(),
                ..Default::default()
            })),
        },
    }
}
