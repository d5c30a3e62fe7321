//! `RequestAuthentication`: which JWTs are accepted.

use serde::{Deserialize, Serialize};

use super::selector::{PolicyTargetReference, WorkloadSelector};
use crate::common::duration::Duration;

/// The spec of a `RequestAuthentication`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct RequestAuthentication {
    /// Workloads that it applies to; absent means the whole namespace.
    pub selector: Option<WorkloadSelector>,
    /// The object that it applies to; exclusive with `selector`.
    pub target_ref: Option<PolicyTargetReference>,
    /// Objects that it applies to; exclusive with `selector`.
    pub target_refs: Vec<PolicyTargetReference>,
    /// Issuers whose tokens are accepted.
    pub jwt_rules: Vec<JwtRule>,
}

/// One issuer.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct JwtRule {
    /// The `iss` claim. Required.
    pub issuer: String,
    /// Accepted `aud` claims; empty accepts any.
    pub audiences: Vec<String>,
    /// Where the keys are; exclusive with `jwks`.
    #[serde(alias = "jwks_uri")]
    pub jwks_uri: String,
    /// The keys themselves.
    pub jwks: String,
    /// Headers that may hold the token.
    pub from_headers: Vec<JwtHeader>,
    /// Query parameters that may hold the token.
    pub from_params: Vec<String>,
    /// Header that gets the verified payload.
    pub output_payload_to_header: String,
    /// Cookies that may hold the token.
    pub from_cookies: Vec<String>,
    /// Keep the token in the request.
    pub forward_original_token: bool,
    /// Claims that are copied to headers.
    pub output_claim_to_headers: Vec<ClaimToHeader>,
    /// Time to fetch the keys; absent means 5 s.
    pub timeout: Option<Duration>,
    /// Claims whose value is a list by spaces.
    pub space_delimited_claims: Vec<String>,
    /// Whether a request without a token is refused; default OPTIONAL.
    pub presence: Presence,
}

/// Whether a token must be there.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Presence {
    /// Only a token that is there is checked.
    #[default]
    Optional,
    /// A request without one is refused.
    Required,
}

/// A header that may hold a token.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct JwtHeader {
    /// Its name. Required.
    pub name: String,
    /// The prefix before the token.
    pub prefix: String,
}

/// A claim copied to a header.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ClaimToHeader {
    /// The header. Required.
    pub header: String,
    /// The claim. Required.
    pub claim: String,
}
