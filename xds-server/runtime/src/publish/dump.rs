//! What a proxy gets, for people.

use serde_json::Value;
use sluice_plan::proxy::ProxyPlan;
use sluice_translate::{
    print::{PrintError, Redaction, resources},
    render,
};

/// The resources of `plan`, as JSON, without key material.
pub(super) fn dump(plan: &ProxyPlan) -> Result<Value, PrintError> {
    let rendered = render(plan, None);
    resources(
        rendered.values().map(|rendered| &**rendered),
        Redaction::Hide,
    )
}
