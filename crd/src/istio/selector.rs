//! Selection of workloads, in the two spellings that Istio has.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Workloads by `matchLabels` (security, telemetry, DestinationRule).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct WorkloadSelector {
    /// Labels that the pod must carry; empty selects all.
    pub match_labels: BTreeMap<String, String>,
}

/// Workloads by `labels` (ServiceEntry, Sidecar).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct LabelSelector {
    /// Labels that the pod must carry; empty selects all.
    pub labels: BTreeMap<String, String>,
}

/// An object that a policy attaches to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PolicyTargetReference {
    /// Its API group; empty means core.
    pub group: String,
    /// Its kind. Required.
    pub kind: String,
    /// Its name. Required.
    pub name: String,
    /// Its namespace; must be empty or the policy's own.
    pub namespace: String,
}
