//! Rules that an object must keep by itself, as Istio's webhook checks them.
//!
//! An error drops the object, as the webhook would have refused it; a warning does not. Rules
//! that need other objects belong to `sluice-resolve`.

mod destination_rule;
mod egress;
mod gateway;
mod host;
mod http_route;
mod log_format;
mod mesh_config;
mod re2;
mod scalar;
mod security;
mod service_entry;
mod sidecar;
mod telemetry;
mod tls;
mod traffic_policy;
mod virtual_service;

use std::fmt;

use crate::diagnostic::{Diagnostic, Severity, code};
use crate::object::Object;
use crate::tree::path::Path;

pub(crate) use mesh_config::{ACCESS_LOG_FORMAT, mesh_config};

/// Istio's code for a rule that a rule before it hides.
const UNREACHABLE_RULE: &str = "IST0130";

/// What breaks a rule, or is probably not meant.
pub fn validate(object: &Object) -> Vec<Diagnostic> {
    let mut findings = Findings::default();
    let spec = Path::Key(&Path::Root, "spec");
    match object {
        Object::Gateway(resource) => gateway::check(resource, &spec, &mut findings),
        Object::VirtualService(resource) => virtual_service::check(resource, &spec, &mut findings),
        Object::ServiceEntry(resource) => service_entry::check(resource, &spec, &mut findings),
        Object::DestinationRule(resource) => {
            destination_rule::check(resource, &spec, &mut findings);
        }
        Object::Sidecar(resource) => sidecar::check(resource, &spec, &mut findings),
        Object::WorkloadEntry(resource) => {
            service_entry::workload_entry(&resource.spec, &spec, &mut findings);
        }
        Object::AuthorizationPolicy(resource) => {
            security::authorization_policy(&resource.spec, &spec, &mut findings);
        }
        Object::RequestAuthentication(resource) => {
            security::request_authentication(&resource.spec, &spec, &mut findings);
        }
        Object::PeerAuthentication(resource) => {
            security::peer_authentication(&resource.spec, &spec, &mut findings);
        }
        Object::Telemetry(resource) => telemetry::check(&resource.spec, &spec, &mut findings),
        Object::EgressIPPool(resource) => egress::pool(&resource.spec, &spec, &mut findings),
        Object::EgressPolicy(resource) => egress::policy(&resource.spec, &spec, &mut findings),
        Object::ClusterEgressPolicy(resource) => {
            egress::policy(&resource.spec, &spec, &mut findings);
        }
        // The API server has checked Kubernetes' own kinds.
        Object::Service(_)
        | Object::EndpointSlice(_)
        | Object::Secret(_)
        | Object::Namespace(_)
        | Object::Pod(_)
        | Object::ConfigMap(_) => {}
    }
    findings
        .list
        .into_iter()
        .map(|finding| {
            Diagnostic::new(
                finding.severity,
                finding.code,
                object,
                finding.field,
                finding.message,
            )
        })
        .collect()
}

/// What was found so far.
#[derive(Default)]
struct Findings {
    list: Vec<Finding>,
}

struct Finding {
    severity: Severity,
    code: &'static str,
    field: String,
    message: String,
}

impl Findings {
    fn add(
        &mut self,
        severity: Severity,
        code: &'static str,
        at: &Path<'_>,
        message: impl fmt::Display,
    ) {
        let (field, message) = (at.to_string(), message.to_string());
        self.list.push(Finding {
            severity,
            code,
            field,
            message,
        });
    }

    /// A broken rule.
    fn error(&mut self, at: &Path<'_>, message: impl fmt::Display) {
        self.add(Severity::Error, code::INVALID, at, message);
    }

    /// Something that is probably not meant.
    fn warning(&mut self, at: &Path<'_>, message: impl fmt::Display) {
        self.add(Severity::Warning, code::DISCOURAGED, at, message);
    }

    /// An error where the check failed.
    fn check(&mut self, at: &Path<'_>, result: Result<(), impl fmt::Display>) {
        if let Err(message) = result {
            self.error(at, message);
        }
    }
}

#[cfg(test)]
mod tests;
