//! Rules of the security kinds.

use super::{Findings, scalar};
use crate::istio::authorization_policy::{Action, AuthorizationPolicy, Condition, Rule, Source};
use crate::istio::peer_authentication::PeerAuthentication;
use crate::istio::request_authentication::{JwtRule, RequestAuthentication};
use crate::istio::selector::{PolicyTargetReference, WorkloadSelector};
use crate::tree::path::Path;

/// What a policy applies to: a selector or references, not both.
pub(super) fn target(
    selector: Option<&WorkloadSelector>,
    target_ref: Option<&PolicyTargetReference>,
    target_refs: &[PolicyTargetReference],
    spec: &Path<'_>,
    findings: &mut Findings,
) {
    let set = [
        selector.is_some(),
        target_ref.is_some(),
        !target_refs.is_empty(),
    ];
    if set.into_iter().filter(|is_set| *is_set).count() > 1 {
        findings.error(
            spec,
            "only one of selector, targetRef and targetRefs may be set",
        );
    }
    if let Some(selector) = selector {
        let at = spec.key("selector");
        scalar::selector(&selector.match_labels, &at.key("matchLabels"), findings);
    }
    if let Some(reference) = target_ref {
        target_reference(reference, &spec.key("targetRef"), findings);
    }
    let at = spec.key("targetRefs");
    for (index, reference) in target_refs.iter().enumerate() {
        target_reference(reference, &at.index(index), findings);
    }
}

fn target_reference(reference: &PolicyTargetReference, at: &Path<'_>, findings: &mut Findings) {
    if reference.name.is_empty() {
        findings.error(&at.key("name"), "a name is required");
    }
    if !reference.namespace.is_empty() {
        findings.error(
            &at.key("namespace"),
            "another namespace cannot be referenced",
        );
    }
    let allowed = matches!(
        (reference.group.as_str(), reference.kind.as_str()),
        ("" | "core", "Service")
            | ("networking.istio.io", "ServiceEntry")
            | ("gateway.networking.k8s.io", "Gateway" | "GatewayClass")
    );
    if !allowed {
        let message = format!(
            "`{}` of group `{}` cannot be referenced",
            reference.kind, reference.group
        );
        findings.error(&at.key("kind"), message);
    }
}

pub(super) fn authorization_policy(
    policy: &AuthorizationPolicy,
    spec: &Path<'_>,
    findings: &mut Findings,
) {
    let target_ref = policy.target_ref.as_ref();
    target(
        policy.selector.as_ref(),
        target_ref,
        &policy.target_refs,
        spec,
        findings,
    );
    match (policy.action, &policy.provider) {
        (Action::Custom, None) => {
            findings.error(&spec.key("provider"), "action CUSTOM requires a provider");
        }
        (Action::Custom, Some(provider)) if provider.name.is_empty() => {
            findings.error(&spec.key("provider").key("name"), "a name is required");
        }
        (Action::Allow | Action::Deny | Action::Audit, Some(_)) => {
            findings.error(&spec.key("provider"), "a provider needs action CUSTOM");
        }
        (Action::Custom, Some(_)) | (Action::Allow | Action::Deny | Action::Audit, None) => {}
    }
    if policy.action == Action::Deny && policy.rules.is_empty() {
        findings.warning(spec, "a DENY without rules denies nothing");
    }
    let at = spec.key("rules");
    for (index, item) in policy.rules.iter().enumerate() {
        rule(item, &at.index(index), findings);
    }
}

fn rule(rule: &Rule, at: &Path<'_>, findings: &mut Findings) {
    let from = at.key("from");
    for (index, item) in rule.from.iter().enumerate() {
        let item_at = from.index(index);
        let at = item_at.key("source");
        match &item.source {
            None => findings.error(&at, "a source is required"),
            Some(item) => source(item, &at, findings),
        }
    }
    let to = at.key("to");
    for (index, item) in rule.to.iter().enumerate() {
        let item_at = to.index(index);
        let at = item_at.key("operation");
        let Some(operation) = &item.operation else {
            findings.error(&at, "an operation is required");
            continue;
        };
        for (field, ports) in [
            ("ports", &operation.ports),
            ("notPorts", &operation.not_ports),
        ] {
            let at = at.key(field);
            for (index, port) in ports.iter().enumerate() {
                let number = port.parse::<u32>().unwrap_or(0);
                if scalar::port(number).is_err() {
                    findings.error(&at.index(index), format_args!("`{port}` is no port"));
                }
            }
        }
    }
    let when = at.key("when");
    for (index, item) in rule.when.iter().enumerate() {
        condition(item, &when.index(index), findings);
    }
}

fn source(source: &Source, at: &Path<'_>, findings: &mut Findings) {
    if *source == Source::default() {
        findings.error(at, "an empty source is not allowed");
    }
    let by_account = !source.service_accounts.is_empty() || !source.not_service_accounts.is_empty();
    let by_other = [
        &source.principals,
        &source.not_principals,
        &source.namespaces,
        &source.not_namespaces,
    ];
    if by_account && by_other.iter().any(|names| !names.is_empty()) {
        findings.error(at, "serviceAccounts exclude principals and namespaces");
    }
    for (field, blocks) in [
        ("ipBlocks", &source.ip_blocks),
        ("notIpBlocks", &source.not_ip_blocks),
        ("remoteIpBlocks", &source.remote_ip_blocks),
        ("notRemoteIpBlocks", &source.not_remote_ip_blocks),
    ] {
        let at = at.key(field);
        for (index, block) in blocks.iter().enumerate() {
            findings.check(&at.index(index), scalar::subnet(block));
        }
    }
}

fn condition(condition: &Condition, at: &Path<'_>, findings: &mut Findings) {
    if condition.key.is_empty() {
        findings.error(&at.key("key"), "a key is required");
    }
    if condition.values.is_empty() && condition.not_values.is_empty() {
        findings.error(at, "values or notValues is required");
    }
}

pub(super) fn request_authentication(
    policy: &RequestAuthentication,
    spec: &Path<'_>,
    findings: &mut Findings,
) {
    let target_ref = policy.target_ref.as_ref();
    target(
        policy.selector.as_ref(),
        target_ref,
        &policy.target_refs,
        spec,
        findings,
    );
    let at = spec.key("jwtRules");
    for (index, rule) in policy.jwt_rules.iter().enumerate() {
        jwt_rule(rule, &at.index(index), findings);
    }
}

fn jwt_rule(rule: &JwtRule, at: &Path<'_>, findings: &mut Findings) {
    if rule.issuer.is_empty() {
        findings.error(&at.key("issuer"), "an issuer is required");
    }
    let is_url = rule.jwks_uri.starts_with("https://") || rule.jwks_uri.starts_with("http://");
    if !rule.jwks_uri.is_empty() && !is_url {
        findings.error(
            &at.key("jwksUri"),
            format_args!("`{}` is no http or https URL", rule.jwks_uri),
        );
    }
    if !rule.jwks_uri.is_empty() && !rule.jwks.is_empty() {
        findings.error(at, "only one of jwks and jwksUri may be set");
    }
    for (field, texts) in [
        ("audiences", &rule.audiences),
        ("fromParams", &rule.from_params),
        ("fromCookies", &rule.from_cookies),
        ("spaceDelimitedClaims", &rule.space_delimited_claims),
    ] {
        let at = at.key(field);
        for index in texts
            .iter()
            .enumerate()
            .filter(|(_, text)| text.is_empty())
            .map(|(index, _)| index)
        {
            findings.error(&at.index(index), "an empty text is not allowed");
        }
    }
    let headers = at.key("fromHeaders");
    for (index, header) in rule.from_headers.iter().enumerate() {
        if header.name.is_empty() {
            findings.error(&headers.index(index).key("name"), "a name is required");
        }
    }
    let claims = at.key("outputClaimToHeaders");
    for (index, claim) in rule.output_claim_to_headers.iter().enumerate() {
        let at = claims.index(index);
        for (field, text) in [("header", &claim.header), ("claim", &claim.claim)] {
            if text.is_empty() {
                findings.error(&at.key(field), format_args!("a {field} is required"));
            }
        }
    }
    scalar::optional_duration(rule.timeout, &at.key("timeout"), findings);
}

pub(super) fn peer_authentication(
    policy: &PeerAuthentication,
    spec: &Path<'_>,
    findings: &mut Findings,
) {
    if let Some(selector) = &policy.selector {
        let at = spec.key("selector");
        scalar::selector(&selector.match_labels, &at.key("matchLabels"), findings);
    }
    let at = spec.key("portLevelMtls");
    let selects = policy
        .selector
        .as_ref()
        .is_some_and(|selector| !selector.match_labels.is_empty());
    if !policy.port_level_mtls.is_empty() && !selects {
        findings.error(&at, "portLevelMtls needs a selector");
    }
    for number in policy.port_level_mtls.keys() {
        findings.check(&at.key(&number.to_string()), scalar::port(*number));
    }
}
