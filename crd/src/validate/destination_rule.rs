//! Rules of a `DestinationRule`.

use std::collections::BTreeSet;

use super::host::{is_label, wildcard_domain};
use super::{Findings, scalar, traffic_policy};
use crate::istio::destination_rule::DestinationRule;
use crate::object::Resource;
use crate::tree::path::Path;

pub(super) fn check(
    resource: &Resource<DestinationRule>,
    spec: &Path<'_>,
    findings: &mut Findings,
) {
    let rule = &resource.spec;
    findings.check(&spec.key("host"), wildcard_domain(&rule.host));
    if let Some(policy) = &rule.traffic_policy {
        traffic_policy::check(policy, &spec.key("trafficPolicy"), findings);
    }
    let subsets = spec.key("subsets");
    let mut names = BTreeSet::new();
    for (index, subset) in rule.subsets.iter().enumerate() {
        let at = subsets.index(index);
        findings.check(&at.key("name"), subset_name(&subset.name));
        if !names.insert(&subset.name) {
            findings.error(
                &at.key("name"),
                format_args!("subset `{}` is there twice", subset.name),
            );
        }
        scalar::labels(&subset.labels, &at.key("labels"), findings);
        if let Some(policy) = &subset.traffic_policy {
            traffic_policy::check(policy, &at.key("trafficPolicy"), findings);
        }
    }
    let namespace = &resource.meta.namespace;
    let export_to = spec.key("exportTo");
    scalar::export_to(namespace, &rule.export_to, false, &export_to, findings);
    if let Some(selector) = &rule.workload_selector {
        let at = spec.key("workloadSelector");
        scalar::selector(&selector.match_labels, &at.key("matchLabels"), findings);
        if rule
            .export_to
            .iter()
            .any(|entry| entry != "." && entry != namespace)
        {
            let message = "with a workloadSelector, only the own namespace may be named";
            findings.error(&export_to, message);
        }
    }
}

pub(super) fn subset_name(name: &str) -> Result<(), String> {
    match name {
        "" => Err("a subset name is required".to_owned()),
        name if is_label(name) => Ok(()),
        name => Err(format!("subset name `{name}` is no DNS label")),
    }
}
