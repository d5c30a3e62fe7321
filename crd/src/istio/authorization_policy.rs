//! `AuthorizationPolicy`: which requests are allowed.

use serde::{Deserialize, Serialize};

use super::selector::{PolicyTargetReference, WorkloadSelector};

/// The spec of an `AuthorizationPolicy`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct AuthorizationPolicy {
    /// Workloads that it applies to; absent means the whole namespace.
    pub selector: Option<WorkloadSelector>,
    /// The object that it applies to; exclusive with `selector`.
    pub target_ref: Option<PolicyTargetReference>,
    /// Objects that it applies to; exclusive with `selector`.
    pub target_refs: Vec<PolicyTargetReference>,
    /// Rules, one of which must match; none never matches.
    pub rules: Vec<Rule>,
    /// What a match means; default ALLOW.
    pub action: Action,
    /// The external authorizer, for CUSTOM.
    pub provider: Option<Provider>,
}

/// What a match means.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Action {
    /// Allowed; without any ALLOW that matches, denied.
    #[default]
    Allow,
    /// Denied, whatever else allows it.
    Deny,
    /// Logged.
    Audit,
    /// Asked of an external authorizer.
    Custom,
}

/// An external authorizer of the mesh config.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Provider {
    /// Its name.
    pub name: String,
}

/// A rule: one of `from`, one of `to` and all of `when` must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Rule {
    /// Sources; empty means any.
    pub from: Vec<From>,
    /// Operations; empty means any.
    pub to: Vec<To>,
    /// Further conditions.
    pub when: Vec<Condition>,
}

/// One source of a rule.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct From {
    /// The source.
    pub source: Option<Source>,
}

/// One operation of a rule.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct To {
    /// The operation.
    pub operation: Option<Operation>,
}

/// A source; all fields set must hold, one value of each.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Source {
    /// Peer identities, `TRUST_DOMAIN/ns/NS/sa/SA`.
    pub principals: Vec<String>,
    /// Peer identities that do not match.
    pub not_principals: Vec<String>,
    /// JWT identities, `ISS/SUB`.
    pub request_principals: Vec<String>,
    /// JWT identities that do not match.
    pub not_request_principals: Vec<String>,
    /// Namespaces of the peer.
    pub namespaces: Vec<String>,
    /// Namespaces that do not match.
    pub not_namespaces: Vec<String>,
    /// Service accounts of the peer, `SA` or `NS/SA`.
    pub service_accounts: Vec<String>,
    /// Service accounts that do not match.
    pub not_service_accounts: Vec<String>,
    /// Addresses or CIDRs of the packet.
    pub ip_blocks: Vec<String>,
    /// Addresses that do not match.
    pub not_ip_blocks: Vec<String>,
    /// Addresses or CIDRs of the original client.
    pub remote_ip_blocks: Vec<String>,
    /// Original addresses that do not match.
    pub not_remote_ip_blocks: Vec<String>,
    /// Trust domains of the peer.
    pub trust_domains: Vec<String>,
    /// Trust domains that do not match.
    pub not_trust_domains: Vec<String>,
}

/// An operation; all fields set must hold, one value of each.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Operation {
    /// Hosts of the request.
    pub hosts: Vec<String>,
    /// Hosts that do not match.
    pub not_hosts: Vec<String>,
    /// Ports of the connection.
    pub ports: Vec<String>,
    /// Ports that do not match.
    pub not_ports: Vec<String>,
    /// Methods of the request.
    pub methods: Vec<String>,
    /// Methods that do not match.
    pub not_methods: Vec<String>,
    /// Paths of the request.
    pub paths: Vec<String>,
    /// Paths that do not match.
    pub not_paths: Vec<String>,
}

/// A condition on an attribute.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Condition {
    /// The attribute. Required.
    pub key: String,
    /// Values, one of which must match.
    pub values: Vec<String>,
    /// Values, none of which may match.
    pub not_values: Vec<String>,
}
