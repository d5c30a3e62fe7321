//! Rules of a `Telemetry`.

use super::{Findings, scalar, security};
use crate::istio::telemetry::{CustomTag, MetricsOverrides, ProviderRef, TagOperation, Telemetry};
use crate::tree::path::Path;

pub(super) fn check(telemetry: &Telemetry, spec: &Path<'_>, findings: &mut Findings) {
    let target_ref = telemetry.target_ref.as_ref();
    let selector = telemetry.selector.as_ref();
    security::target(selector, target_ref, &telemetry.target_refs, spec, findings);
    let list = spec.key("accessLogging");
    for (index, logging) in telemetry.access_logging.iter().enumerate() {
        providers(
            &logging.providers,
            &list.index(index).key("providers"),
            findings,
        );
    }
    let list = spec.key("tracing");
    if telemetry.tracing.len() > 1 {
        findings.warning(&list, "only the first item counts");
    }
    for (index, tracing) in telemetry.tracing.iter().enumerate() {
        let at = list.index(index);
        providers(&tracing.providers, &at.key("providers"), findings);
        if tracing.providers.len() > 1 {
            findings.warning(&at.key("providers"), "only the first provider counts");
        }
        let tags = at.key("customTags");
        for (name, tag) in &tracing.custom_tags {
            custom_tag(tag, &tags.key(name), findings);
        }
    }
    let list = spec.key("metrics");
    for (index, metrics) in telemetry.metrics.iter().enumerate() {
        let at = list.index(index);
        providers(&metrics.providers, &at.key("providers"), findings);
        scalar::optional_duration(
            metrics.reporting_interval,
            &at.key("reportingInterval"),
            findings,
        );
        let list = at.key("overrides");
        for (index, item) in metrics.overrides.iter().enumerate() {
            overrides(item, &list.index(index), findings);
        }
    }
}

fn providers(providers: &[ProviderRef], at: &Path<'_>, findings: &mut Findings) {
    for (index, provider) in providers.iter().enumerate() {
        if provider.name.is_empty() {
            findings.error(&at.index(index).key("name"), "a name is required");
        }
    }
}

fn custom_tag(tag: &CustomTag, at: &Path<'_>, findings: &mut Findings) {
    let set = [
        tag.literal.is_some(),
        tag.environment.is_some(),
        tag.header.is_some(),
        tag.formatter.is_some(),
    ];
    if set.into_iter().filter(|is_set| *is_set).count() != 1 {
        findings.error(
            at,
            "exactly one of literal, environment, header and formatter is required",
        );
    }
}

fn overrides(item: &MetricsOverrides, at: &Path<'_>, findings: &mut Findings) {
    if let Some(selector) = &item.matches {
        let at = at.key("match");
        if selector.metric.is_some() && selector.custom_metric.is_some() {
            findings.error(&at, "only one of metric and customMetric may be set");
        }
        if selector
            .custom_metric
            .as_ref()
            .is_some_and(String::is_empty)
        {
            findings.error(&at.key("customMetric"), "a name is required");
        }
    }
    let tags = at.key("tagOverrides");
    for (name, tag) in &item.tag_overrides {
        let at = tags.key(name);
        match (tag.operation, tag.value.is_empty()) {
            (TagOperation::Upsert, true) => findings.error(&at.key("value"), "a value is required"),
            (TagOperation::Remove, false) => {
                findings.error(&at.key("value"), "operation REMOVE allows no value");
            }
            (TagOperation::Upsert, false) | (TagOperation::Remove, true) => {}
        }
    }
}
