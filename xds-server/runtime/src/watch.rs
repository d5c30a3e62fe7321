//! Where objects come from.
//!
//! A source tells what changed as [`Update`]s, each of which leaves the world consistent, over a
//! bounded channel: while one is being published the source waits, and what changes meanwhile
//! comes with the next. The directory of YAML is [`files`]; a Kubernetes API server will be
//! another source of the same updates.

use sluice_crd::{diagnostic::Diagnostic, istio::mesh_config::MeshConfig};
use sluice_resolve::Change;

pub mod files;

/// What changed since the update before.
#[derive(Debug, Default)]
pub struct Update {
    /// Objects that came, changed or went.
    pub changes: Vec<Change>,
    /// The mesh config, if it changed.
    pub mesh: Option<MeshConfig>,
    /// Everything the source has to say about its objects now, not only what is new; sorted.
    pub diagnostics: Vec<Diagnostic>,
    /// How many objects there are now.
    pub objects: usize,
}
