//! `PeerAuthentication`: whether servers of the mesh demand mTLS.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::selector::WorkloadSelector;

/// The spec of a `PeerAuthentication`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PeerAuthentication {
    /// Workloads that it applies to; absent means the whole namespace.
    pub selector: Option<WorkloadSelector>,
    /// The mode of all ports.
    pub mtls: Option<MutualTls>,
    /// Modes of single ports of the workload.
    pub port_level_mtls: BTreeMap<u32, MutualTls>,
}

/// Whether mTLS is demanded.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct MutualTls {
    /// The mode; default inherited.
    pub mode: MutualTlsMode,
}

/// Modes of mTLS.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum MutualTlsMode {
    /// Inherited; PERMISSIVE at the top.
    #[default]
    Unset,
    /// Plaintext only.
    Disable,
    /// Plaintext or mTLS.
    Permissive,
    /// mTLS only.
    Strict,
}
