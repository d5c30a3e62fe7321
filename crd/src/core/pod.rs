//! `Pod`: a workload, its account and its addresses. Labels are in the metadata.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

/// A `Pod`, from its `spec` and `status`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Wire", rename_all = "camelCase")]
pub struct Pod {
    /// Its service account; `default` where the object does not say.
    pub service_account_name: String,
    /// The node that it runs on; empty while it waits for one.
    pub node_name: String,
    /// Whether it shares the network of its node.
    pub host_network: bool,
    /// The ports that its containers name.
    pub container_ports: Vec<ContainerPort>,
    /// Its addresses.
    pub pod_ips: Vec<IpAddr>,
    /// Where it is in its life, such as `Running`; empty without a status.
    pub phase: String,
    /// Whether it takes traffic; a Pod without a status, as in a file, does.
    pub ready: bool,
}

/// A port that a container names.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ContainerPort {
    /// Its name; may be empty.
    pub name: String,
    /// The number.
    pub container_port: u16,
    /// TCP, UDP or SCTP; empty means TCP.
    pub protocol: String,
}

#[derive(Default, Deserialize)]
#[serde(rename = "Pod", default)]
struct Wire {
    spec: WireSpec,
    status: Option<WireStatus>,
}

#[derive(Default, Deserialize)]
#[serde(rename = "PodSpec", rename_all = "camelCase", default)]
struct WireSpec {
    service_account_name: String,
    node_name: String,
    host_network: bool,
    containers: Vec<WireContainer>,
    init_containers: Vec<WireContainer>,
}

#[derive(Default, Deserialize)]
#[serde(rename = "Container", default)]
struct WireContainer {
    ports: Vec<ContainerPort>,
}

#[derive(Default, Deserialize)]
#[serde(rename = "PodStatus", default)]
struct WireStatus {
    phase: String,
    conditions: Vec<WireCondition>,
    #[serde(rename = "podIP")]
    pod_ip: Option<IpAddr>,
    #[serde(rename = "podIPs")]
    pod_ips: Vec<WireAddress>,
}

#[derive(Default, Deserialize)]
#[serde(rename = "PodCondition", default)]
struct WireCondition {
    r#type: String,
    status: String,
}

#[derive(Deserialize)]
#[serde(rename = "PodIP")]
struct WireAddress {
    ip: IpAddr,
}

impl From<Wire> for Pod {
    fn from(Wire { spec, status }: Wire) -> Self {
        let ready = status.as_ref().is_none_or(is_ready);
        let status = status.unwrap_or_default();
        let mut pod_ips: Vec<IpAddr> = status.pod_ips.iter().map(|address| address.ip).collect();
        if pod_ips.is_empty() {
            pod_ips.extend(status.pod_ip);
        }
        let account = spec.service_account_name;
        Self {
            service_account_name: if account.is_empty() {
                "default".to_owned()
            } else {
                account
            },
            node_name: spec.node_name,
            host_network: spec.host_network,
            container_ports: [spec.containers, spec.init_containers]
                .into_iter()
                .flatten()
                .flat_map(|container| container.ports)
                .collect(),
            pod_ips,
            phase: status.phase,
            ready,
        }
    }
}

/// A status that lists no conditions, as people write it into files, counts as ready.
fn is_ready(status: &WireStatus) -> bool {
    let over = matches!(status.phase.as_str(), "Succeeded" | "Failed");
    let mut conditions = status.conditions.iter();
    !over
        && (status.conditions.is_empty()
            || conditions
                .any(|condition| condition.r#type == "Ready" && condition.status == "True"))
}
