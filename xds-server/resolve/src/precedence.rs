//! Which of several objects comes first.
//!
//! Istio sorts by creation timestamp, then name, then namespace. Objects from files without a
//! timestamp count as equally old, and older than any with one.

use std::sync::Arc;

use sluice_crd::object::{Meta, Resource};

/// Sorts older objects first.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Age {
    timestamp: Option<String>,
    name: String,
    namespace: String,
}

impl Age {
    pub(crate) fn of(meta: &Meta) -> Self {
        Self {
            timestamp: meta.creation_timestamp.clone(),
            name: meta.name.clone(),
            namespace: meta.namespace.clone(),
        }
    }
}

/// Sorts `resources` so that the older come first.
pub(crate) fn sort<T>(resources: &mut [Arc<Resource<T>>]) {
    resources.sort_by_cached_key(|resource| Age::of(&resource.meta));
}
