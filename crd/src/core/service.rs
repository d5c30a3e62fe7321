//! `Service`: a host of the cluster and its ports.

use std::collections::BTreeMap;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

/// A `Service`, from its `spec`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Wire", rename_all = "camelCase")]
pub struct Service {
    /// Its type; default ClusterIP.
    pub kind: ServiceType,
    /// Its ports.
    pub ports: Vec<ServicePort>,
    /// Labels of its pods; empty means that its endpoints are written by hand.
    pub selector: BTreeMap<String, String>,
    /// Its virtual addresses; empty for a headless one.
    pub cluster_ips: Vec<IpAddr>,
    /// Whether it has no virtual address on purpose (`clusterIP: None`).
    pub headless: bool,
    /// The name that an ExternalName one stands for.
    pub external_name: String,
    /// Further addresses that reach it.
    pub external_ips: Vec<IpAddr>,
}

/// A port of a Service.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ServicePort {
    /// Its name; may be empty on a single port. Its first word names the protocol.
    pub name: String,
    /// TCP, UDP or SCTP; empty means TCP.
    pub protocol: String,
    /// Its protocol, where the name does not say.
    pub app_protocol: Option<String>,
    /// The number.
    pub port: u16,
    /// The port of the pods; absent means `port`.
    pub target_port: Option<TargetPort>,
}

/// A port of a pod, by number or name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum TargetPort {
    /// By number.
    Number(u16),
    /// By the name of a container's port.
    Name(String),
}

/// Types of Services.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum ServiceType {
    /// A virtual address inside the cluster.
    #[default]
    ClusterIP,
    /// Also a port of every node.
    NodePort,
    /// Also an address from outside.
    LoadBalancer,
    /// An alias of a DNS name.
    ExternalName,
}

#[derive(Default, Deserialize)]
#[serde(rename = "Service", default)]
struct Wire {
    spec: WireSpec,
}

#[derive(Default, Deserialize)]
#[serde(rename = "ServiceSpec", rename_all = "camelCase", default)]
struct WireSpec {
    r#type: ServiceType,
    ports: Vec<ServicePort>,
    selector: BTreeMap<String, String>,
    #[serde(rename = "clusterIP")]
    cluster_ip: String,
    #[serde(rename = "clusterIPs")]
    cluster_ips: Vec<String>,
    external_name: String,
    #[serde(rename = "externalIPs")]
    external_ips: Vec<IpAddr>,
}

impl From<Wire> for Service {
    fn from(Wire { spec }: Wire) -> Self {
        let mut addresses: Vec<&str> = spec.cluster_ips.iter().map(String::as_str).collect();
        if addresses.is_empty() {
            addresses.push(&spec.cluster_ip);
        }
        Self {
            headless: addresses.contains(&"None"),
            cluster_ips: addresses
                .iter()
                .filter_map(|address| address.parse().ok())
                .collect(),
            kind: spec.r#type,
            ports: spec.ports,
            selector: spec.selector,
            external_name: spec.external_name,
            external_ips: spec.external_ips,
        }
    }
}
