//! `Namespace`: only its labels matter, and those are in the metadata.

use serde::{Deserialize, Serialize};

/// A `Namespace`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Namespace {}
