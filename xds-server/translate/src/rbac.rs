//! Authorization: Envoy's RBAC filters, one for each action that a chain has policies of.
//!
//! For HTTP they come first, so a refused request meets no fault and no route. For bytes the
//! filter judges the client's first data, and the TCP proxy behind it waits for that before it
//! dials ([`crate::listener`]): a refused connection causes no SYN.

use std::collections::HashMap;

use sluice_plan::{
    address::Cidr,
    authorization::{
        Action, Authorization, Condition, Operation, Rule, Rules, Source, Stage, TextMatch,
    },
};

use crate::envoy::{
    self, any, core, hcm, http_rbac, listener, matcher, network_rbac, number, rbac, regex, route,
};

/// The name of the HTTP filter, by which routes turn it off.
pub(crate) const HTTP_FILTER: &str = "envoy.filters.http.rbac";
/// The name of the network filter.
const NETWORK_FILTER: &str = "envoy.filters.network.rbac";

/// The HTTP filters of a chain's authorization.
pub(crate) fn http_filters(authorization: &Authorization) -> Vec<hcm::HttpFilter> {
    let filter = |stage: &Stage| {
        let config = http_rbac::Rbac {
            rules: rules(stage, &stage.enforced),
            shadow_rules: rules(stage, &stage.dry_run),
            shadow_rules_stat_prefix: dry_run_prefix(stage),
            ..Default::default()
        };
        hcm::HttpFilter {
            name: HTTP_FILTER.to_owned(),
            config_type: Some(hcm::http_filter::ConfigType::TypedConfig(any(&config))),
            ..Default::default()
        }
    };
    authorization.stages.iter().map(filter).collect()
}

/// What turns the HTTP filters off on a route.
pub(crate) fn off() -> http_rbac::RbacPerRoute {
    http_rbac::RbacPerRoute { rbac: None }
}

/// The network filters of a chain's authorization.
pub(crate) fn network_filters(authorization: &Authorization) -> Vec<listener::Filter> {
    let filter = |stage: &Stage| {
        let config = network_rbac::Rbac {
            stat_prefix: "tcp.".to_owned(),
            rules: rules(stage, &stage.enforced),
            shadow_rules: rules(stage, &stage.dry_run),
            shadow_rules_stat_prefix: dry_run_prefix(stage),
            ..Default::default()
        };
        envoy::filter(NETWORK_FILTER, &config)
    };
    authorization.stages.iter().map(filter).collect()
}

/// What the filters found and let pass, as fields of the access log: key and format.
pub(crate) fn log_fields(authorization: &Authorization, http: bool) -> Vec<(&'static str, String)> {
    let filter = match http {
        true => HTTP_FILTER,
        false => NETWORK_FILTER,
    };
    let mut fields = Vec::new();
    for stage in &authorization.stages {
        if stage.action == Action::Audit && stage.enforced.is_some() {
            let format = "%DYNAMIC_METADATA(envoy.common:access_log_hint)%";
            fields.push(("audit", format.to_owned()));
        }
        if stage.dry_run.is_some() {
            let key = match stage.action {
                Action::Audit => "dry_run_audit",
                Action::Deny => "dry_run_deny",
                Action::Allow => "dry_run_allow",
            };
            let prefix = dry_run_prefix(stage);
            let format = format!("%DYNAMIC_METADATA({filter}:{prefix}shadow_engine_result)%");
            fields.push((key, format));
        }
    }
    fields
}

/// Istio's prefix of the statistics and metadata of rules on trial.
fn dry_run_prefix(stage: &Stage) -> String {
    match (stage.action, &stage.dry_run) {
        (_, None) => "",
        (Action::Audit, Some(_)) => "istio_dry_run_audit_",
        (Action::Deny, Some(_)) => "istio_dry_run_deny_",
        (Action::Allow, Some(_)) => "istio_dry_run_allow_",
    }
    .to_owned()
}

fn rules(stage: &Stage, rules: &Option<Rules>) -> Option<rbac::Rbac> {
    let rules = rules.as_ref()?;
    let action = match stage.action {
        Action::Audit => rbac::rbac::Action::Log,
        Action::Deny => rbac::rbac::Action::Deny,
        Action::Allow => rbac::rbac::Action::Allow,
    };
    Some(rbac::Rbac {
        action: action.into(),
        policies: rules.rules.iter().map(policy).collect::<HashMap<_, _>>(),
        ..Default::default()
    })
}

fn policy(rule: &Rule) -> (String, rbac::Policy) {
    let policy = rbac::Policy {
        permissions: vec![permission(&rule.operation)],
        principals: vec![principal(&rule.source)],
        ..Default::default()
    };
    (rule.name.clone(), policy)
}

fn principal(condition: &Condition<Source>) -> rbac::Principal {
    use rbac::principal::{Authenticated, Identifier, Set};
    let set = |conditions: &[Condition<Source>]| Set {
        ids: conditions.iter().map(principal).collect(),
    };
    let identifier = match condition {
        // Envoy takes no empty sets.
        Condition::All(conditions) if conditions.is_empty() => Identifier::Any(true),
        Condition::Any(conditions) if conditions.is_empty() => {
            Identifier::NotId(Box::new(principal(&Condition::constant(true))))
        }
        Condition::All(conditions) => Identifier::AndIds(set(conditions)),
        Condition::Any(conditions) => Identifier::OrIds(set(conditions)),
        Condition::Not(condition) => Identifier::NotId(Box::new(principal(condition))),
        Condition::Is(Source::Peer(wanted)) => Identifier::Authenticated(Authenticated {
            principal_name: Some(string(&as_uri(wanted))),
        }),
        Condition::Is(Source::DirectAddress(block)) => Identifier::DirectRemoteIp(range(block)),
        Condition::Is(Source::RemoteAddress(block)) => Identifier::RemoteIp(range(block)),
    };
    rbac::Principal {
        identifier: Some(identifier),
    }
}

fn permission(condition: &Condition<Operation>) -> rbac::Permission {
    use rbac::permission::{Rule, Set};
    let set = |conditions: &[Condition<Operation>]| Set {
        rules: conditions.iter().map(permission).collect(),
    };
    let rule = match condition {
        Condition::All(conditions) if conditions.is_empty() => Rule::Any(true),
        Condition::Any(conditions) if conditions.is_empty() => {
            Rule::NotRule(Box::new(permission(&Condition::constant(true))))
        }
        Condition::All(conditions) => Rule::AndRules(set(conditions)),
        Condition::Any(conditions) => Rule::OrRules(set(conditions)),
        Condition::Not(condition) => Rule::NotRule(Box::new(permission(condition))),
        Condition::Is(Operation::Address(block)) => Rule::DestinationIp(range(block)),
        Condition::Is(Operation::ServerName(wanted)) => Rule::RequestedServerName(string(wanted)),
        Condition::Is(Operation::Header(name, wanted)) => Rule::Header(header(name, wanted)),
        Condition::Is(Operation::Path(wanted)) => Rule::UrlPath(matcher::PathMatcher {
            rule: Some(matcher::path_matcher::Rule::Path(string(wanted))),
        }),
    };
    rbac::Permission { rule: Some(rule) }
}

fn header(name: &str, wanted: &TextMatch) -> route::HeaderMatcher {
    route::HeaderMatcher {
        name: name.to_owned(),
        header_match_specifier: Some(route::header_matcher::HeaderMatchSpecifier::StringMatch(
            string(wanted),
        )),
        ..Default::default()
    }
}

/// A principal as certificates write it.
fn as_uri(wanted: &TextMatch) -> TextMatch {
    const SCHEME: &str = "spiffe://";
    match wanted {
        TextMatch::Exact(text) => TextMatch::Exact(format!("{SCHEME}{text}")),
        TextMatch::Prefix(text) => TextMatch::Prefix(format!("{SCHEME}{text}")),
        TextMatch::Regex(pattern) => TextMatch::Regex(format!("{SCHEME}{pattern}")),
        TextMatch::Suffix(_) | TextMatch::Present => wanted.clone(),
    }
}

fn string(wanted: &TextMatch) -> matcher::StringMatcher {
    use matcher::string_matcher::MatchPattern;
    let pattern = match wanted {
        TextMatch::Exact(text) => MatchPattern::Exact(text.clone()),
        TextMatch::Prefix(text) => MatchPattern::Prefix(text.clone()),
        TextMatch::Suffix(text) => MatchPattern::Suffix(text.clone()),
        TextMatch::Present => MatchPattern::SafeRegex(regex(".+")),
        TextMatch::Regex(pattern) => MatchPattern::SafeRegex(regex(pattern)),
    };
    matcher::StringMatcher {
        match_pattern: Some(pattern),
        ..Default::default()
    }
}

fn range(block: &Cidr) -> core::CidrRange {
    core::CidrRange {
        address_prefix: block.address().to_string(),
        prefix_len: number(block.prefix_len().into()),
    }
}
