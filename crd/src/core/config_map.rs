//! `ConfigMap`: the mesh config, and CA certificates.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// A `ConfigMap`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ConfigMap {
    /// Its texts by key.
    pub data: BTreeMap<String, String>,
}
