//! `WorkloadEntry`: one endpoint, as an object or inside a ServiceEntry.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The spec of a `WorkloadEntry`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct WorkloadEntry {
    /// IP address, DNS name (resolution DNS) or `unix://` path; may be empty where a network is set.
    pub address: String,
    /// Port numbers by the name of the service's port.
    pub ports: BTreeMap<String, u32>,
    /// Labels, for subsets and selectors.
    pub labels: BTreeMap<String, String>,
    /// Name of the network.
    pub network: String,
    /// Locality, `region/zone/subzone`.
    pub locality: String,
    /// Share of the traffic, relative to the sum; 0 means 1.
    pub weight: u32,
    /// The service account of its workload.
    pub service_account: String,
}
