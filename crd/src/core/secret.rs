//! `Secret`: certificates and keys.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::common::bytes::SecretBytes;

/// A `Secret`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Wire")]
pub struct Secret {
    /// Its type, such as `kubernetes.io/tls`; empty means `Opaque`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Its values by key, decoded; `stringData` wins over `data`.
    pub data: BTreeMap<String, SecretBytes>,
}

#[derive(Default, Deserialize)]
#[serde(rename = "Secret", rename_all = "camelCase", default)]
struct Wire {
    r#type: String,
    data: Option<BTreeMap<String, SecretBytes>>,
    string_data: Option<BTreeMap<String, String>>,
}

impl From<Wire> for Secret {
    fn from(wire: Wire) -> Self {
        let mut data = wire.data.unwrap_or_default();
        let texts = wire.string_data.unwrap_or_default();
        data.extend(
            texts
                .into_iter()
                .map(|(key, text)| (key, SecretBytes::new(text))),
        );
        Self {
            kind: wire.r#type,
            data,
        }
    }
}
