//! How a cluster finds its endpoints.

use std::{net::IpAddr, time::Duration};

use sluice_plan::destination::{Destination, Resolution};

use crate::{
    endpoints::{assignment, internal},
    envoy::{Cluster, any, cluster, dns, dns_family::DnsLookupFamily, duration, number},
    tls,
};

/// Sets what Envoy calls the cluster's type, and the endpoints that are known already.
pub(super) fn discover(cluster: &mut Cluster, destination: &Destination) {
    use cluster::cluster::{ClusterDiscoveryType, DiscoveryType};
    let name = &destination.name;
    let kind = match &destination.resolution {
        Resolution::Dns(endpoints) => {
            cluster.load_assignment = Some(assignment(name, endpoints));
            ClusterDiscoveryType::ClusterType(strict_dns(&destination.source))
        }
        Resolution::LogicalDns(endpoint) => {
            cluster.load_assignment = Some(assignment(name, std::slice::from_ref(endpoint)));
            ClusterDiscoveryType::ClusterType(logical_dns(&destination.source))
        }
        Resolution::Discovered => {
            cluster.eds_cluster_config = Some(cluster::cluster::EdsClusterConfig {
                eds_config: Some(tls::ads()),
                ..Default::default()
            });
            ClusterDiscoveryType::Type(DiscoveryType::Eds.into())
        }
        Resolution::Original { port } => {
            cluster.lb_config = Some(cluster::cluster::LbConfig::OriginalDstLbConfig(
                cluster::cluster::OriginalDstLbConfig {
                    upstream_port_override: port.and_then(|port| number(port.into())),
                    ..Default::default()
                },
            ));
            ClusterDiscoveryType::Type(DiscoveryType::OriginalDst.into())
        }
        Resolution::Hop { listener, .. } => {
            cluster.load_assignment = Some(internal(name, listener));
            ClusterDiscoveryType::Type(DiscoveryType::Static.into())
        }
        Resolution::Nowhere => ClusterDiscoveryType::Type(DiscoveryType::Static.into()),
    };
    cluster.cluster_discovery_type = Some(kind);
}

/// Every answer is an endpoint. With both families as endpoints every second connection of a
/// gateway without IPv6 would fail, so the second family is only asked when the first has nothing.
fn strict_dns(source: &[IpAddr]) -> cluster::cluster::CustomClusterType {
    dns_cluster(family(source, DnsLookupFamily::V4Preferred), false)
}

/// All answers are one endpoint, tried in turn (happy eyeballs), so both families are asked.
fn logical_dns(source: &[IpAddr]) -> cluster::cluster::CustomClusterType {
    dns_cluster(family(source, DnsLookupFamily::All), true)
}

/// A connection from a fixed address can only reach its own family.
fn family(source: &[IpAddr], unbound: DnsLookupFamily) -> DnsLookupFamily {
    let v4 = source.iter().any(IpAddr::is_ipv4);
    let v6 = source.iter().any(IpAddr::is_ipv6);
    match (v4, v6) {
        (true, false) => DnsLookupFamily::V4Only,
        (false, true) => DnsLookupFamily::V6Only,
        (true, true) | (false, false) => unbound,
    }
}

/// The resolver itself is the bootstrap's business: one that is named here would go round the
/// filtering one.
fn dns_cluster(
    family: DnsLookupFamily,
    all_addresses_in_single_endpoint: bool,
) -> cluster::cluster::CustomClusterType {
    let seconds = |seconds| Some(duration(Duration::from_secs(seconds)));
    let config = dns::DnsCluster {
        dns_refresh_rate: seconds(60),
        // Else a name that failed once is asked for again after a minute.
        dns_failure_refresh_rate: Some(dns::dns_cluster::RefreshRate {
            base_interval: seconds(1),
            max_interval: seconds(10),
        }),
        respect_dns_ttl: true,
        dns_jitter: Some(duration(Duration::from_millis(100))),
        dns_lookup_family: family.into(),
        all_addresses_in_single_endpoint,
        ..Default::default()
    };
    cluster::cluster::CustomClusterType {
        name: "envoy.cluster.dns".to_owned(),
        typed_config: Some(any(&config)),
    }
}
