//! Rules of the mesh config.

use std::collections::BTreeSet;

use super::host::{fqdn, is_label};
use super::{Findings, log_format, scalar, traffic_policy};
use crate::istio::mesh_config::MeshConfig;
use crate::tree::path::Path;

/// Fields of the mesh config that break a rule, with what is wrong.
pub(crate) fn mesh_config(config: &MeshConfig) -> Vec<(String, String)> {
    let mut findings = Findings::default();
    check(config, &mut findings);
    findings
        .list
        .into_iter()
        .map(|finding| (finding.field, finding.message))
        .collect()
}

/// The field that is not kept when it is wrong: nothing would be served with it.
pub(crate) const ACCESS_LOG_FORMAT: &str = "accessLogFormat";

fn check(config: &MeshConfig, findings: &mut Findings) {
    let root = Path::Root;
    if !is_label(&config.root_namespace) {
        let message = format!("`{}` is no namespace", config.root_namespace);
        findings.error(&root.key("rootNamespace"), message);
    }
    let format = log_format::check(&config.access_log_format);
    findings.check(&root.key(ACCESS_LOG_FORMAT), format);
    findings.check(&root.key("trustDomain"), fqdn(&config.trust_domain));
    let aliases = root.key("trustDomainAliases");
    for (index, alias) in config.trust_domain_aliases.iter().enumerate() {
        findings.check(&aliases.index(index), fqdn(alias));
    }
    scalar::optional_duration(
        config.connect_timeout,
        &root.key("connectTimeout"),
        findings,
    );
    scalar::optional_duration(
        config.dns_refresh_rate,
        &root.key("dnsRefreshRate"),
        findings,
    );
    if let Some(settings) = &config.tcp_keepalive {
        traffic_policy::keepalive(settings, &root.key("tcpKeepalive"), findings);
    }
    if let Some(policy) = &config.default_traffic_policy {
        let at = root.key("defaultTrafficPolicy");
        if let Some(settings) = &policy.connection_pool {
            traffic_policy::connection_pool(settings, &at.key("connectionPool"), findings);
        }
        if let Some(settings) = &policy.outlier_detection {
            traffic_policy::outlier_detection(settings, &at.key("outlierDetection"), findings);
        }
    }
    for (field, export_to) in [
        ("defaultServiceExportTo", &config.default_service_export_to),
        (
            "defaultVirtualServiceExportTo",
            &config.default_virtual_service_export_to,
        ),
        (
            "defaultDestinationRuleExportTo",
            &config.default_destination_rule_export_to,
        ),
    ] {
        scalar::export_to(".", export_to, true, &root.key(field), findings);
    }
    sluice(config, &root.key("sluice"), findings);
}

fn sluice(config: &MeshConfig, at: &Path<'_>, findings: &mut Findings) {
    let list = at.key("gateways");
    for (index, gateway) in config.sluice.gateways.iter().enumerate() {
        let at = list.index(index);
        if !is_label(&gateway.namespace) {
            findings.error(
                &at.key("namespace"),
                format_args!("`{}` is no namespace", gateway.namespace),
            );
        }
        // Service accounts are DNS subdomains.
        findings.check(&at.key("serviceAccount"), fqdn(&gateway.service_account));
    }
    let list = at.key("identityLabels");
    let mut seen = BTreeSet::new();
    for (index, label) in config.sluice.identity_labels.iter().enumerate() {
        let at = list.index(index);
        if !scalar::is_label_key(label) {
            findings.error(&at, format_args!("`{label}` is no label key"));
        }
        if !seen.insert(label) {
            findings.error(&at, format_args!("`{label}` is there twice"));
        }
    }
}
