//! Rules that an object must keep by itself, as Istio's webhook checks them.

use crate::diagnostic::Diagnostic;
use crate::object::Object;

/// What breaks a rule, or is probably not meant.
pub fn validate(_object: &Object) -> Vec<Diagnostic> {
    Vec::new()
}

/// What is wrong with our own block of the mesh config: fields and messages.
pub(crate) fn mesh_config(
    _config: &crate::istio::mesh_config::MeshConfig,
) -> Vec<(String, String)> {
    Vec::new()
}
