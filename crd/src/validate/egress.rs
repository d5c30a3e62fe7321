//! Rules of our own kinds.

use super::{Findings, host, scalar};
use crate::istio::selector::WorkloadSelector;
use crate::sluice::egress_ip_pool::EgressIPPool;
use crate::sluice::egress_policy::{
    Action, ClusterWorkloads, Destinations, EgressIp, Rules, Workloads,
};
use crate::tree::path::Path;

pub(super) fn pool(pool: &EgressIPPool, spec: &Path<'_>, findings: &mut Findings) {
    if pool.addresses.is_empty() {
        findings.error(&spec.key("addresses"), "at least one address is required");
    }
    for (field, selector) in [
        ("gatewaySelector", &pool.gateway_selector),
        ("namespaceSelector", &pool.namespace_selector),
    ] {
        labels(selector.as_ref(), &spec.key(field), findings);
    }
    if pool.namespace_selector.is_none() {
        findings.warning(
            &spec.key("namespaceSelector"),
            "without a namespaceSelector no namespace may use the pool; {} admits all",
        );
    }
    let Some(attachment) = &pool.attachment else {
        return;
    };
    let at = spec.key("attachment");
    let set = [
        attachment.host_network.is_some(),
        attachment.macvlan.is_some(),
        attachment.external.is_some(),
    ];
    if set.into_iter().filter(|is_set| *is_set).count() != 1 {
        findings.error(
            &at,
            "exactly one of hostNetwork, macvlan and external is required",
        );
    }
    if let Some(host_network) = &attachment.host_network
        && host_network.interface.is_empty()
    {
        let at = at.key("hostNetwork");
        findings.error(&at.key("interface"), "an interface is required");
    }
    if let Some(macvlan) = &attachment.macvlan
        && macvlan.parent.is_empty()
    {
        let at = at.key("macvlan");
        findings.error(&at.key("parent"), "an interface is required");
    }
}

/// How each kind of policy names workloads.
pub(super) trait From: Default {
    fn check(&self, at: &Path<'_>, findings: &mut Findings);
}

impl From for Workloads {
    fn check(&self, at: &Path<'_>, findings: &mut Findings) {
        workloads(
            &self.service_accounts,
            self.pod_selector.as_ref(),
            at,
            findings,
        );
    }
}

impl From for ClusterWorkloads {
    fn check(&self, at: &Path<'_>, findings: &mut Findings) {
        let namespaces = at.key("namespaceSelector");
        if self.namespace_selector.is_none() {
            findings.error(
                &namespaces,
                "a namespaceSelector is required; {} selects every namespace",
            );
        }
        labels(self.namespace_selector.as_ref(), &namespaces, findings);
        workloads(
            &self.service_accounts,
            self.pod_selector.as_ref(),
            at,
            findings,
        );
    }
}

pub(super) fn policy<W: From>(policy: &Rules<W>, spec: &Path<'_>, findings: &mut Findings) {
    let at = spec.key("from");
    if policy.from.is_empty() {
        findings.error(
            &at,
            "at least one entry is required; {} selects every workload",
        );
    }
    for (index, from) in policy.from.iter().enumerate() {
        from.check(&at.index(index), findings);
    }
    let at = spec.key("to");
    if policy.to.is_empty() {
        findings.error(&at, "at least one destination is required");
    }
    for (index, to) in policy.to.iter().enumerate() {
        destinations(to, policy.action, &at.index(index), findings);
    }
    let at = spec.key("egressIP");
    match (&policy.egress_ip, policy.action) {
        (Some(_), Action::Deny) => findings.error(&at, "a Deny has no egressIP"),
        (Some(egress_ip), Action::Allow) => addresses(egress_ip, &at, findings),
        (None, Action::Allow | Action::Deny) => {}
    }
}

fn workloads(
    service_accounts: &[String],
    pods: Option<&WorkloadSelector>,
    at: &Path<'_>,
    findings: &mut Findings,
) {
    let accounts = at.key("serviceAccounts");
    for (index, account) in service_accounts.iter().enumerate() {
        if account.is_empty() || account.contains(['/', '*']) {
            findings.error(
                &accounts.index(index),
                format_args!("`{account}` is no name of a service account"),
            );
        }
    }
    labels(pods, &at.key("podSelector"), findings);
}

/// Unlike Istio's selectors, an empty one is how everything is selected.
fn labels(selector: Option<&WorkloadSelector>, at: &Path<'_>, findings: &mut Findings) {
    if let Some(selector) = selector.filter(|selector| !selector.match_labels.is_empty()) {
        scalar::selector(&selector.match_labels, &at.key("matchLabels"), findings);
    }
}

fn destinations(to: &Destinations, action: Action, at: &Path<'_>, findings: &mut Findings) {
    if to.hosts.is_empty() && to.cidrs.is_empty() {
        findings.error(at, "hosts or cidrs is required");
    }
    let hosts = at.key("hosts");
    for (index, name) in to.hosts.iter().enumerate() {
        let at = hosts.index(index);
        if host::is_ip(name) {
            findings.error(&at, format_args!("`{name}` is an address; use cidrs"));
            continue;
        }
        findings.check(
            &at,
            host::wildcard_domain(name).and_then(|()| host::whole_label_wildcard(name)),
        );
    }
    for (field, ranges) in [("cidrs", &to.cidrs), ("except", &to.except)] {
        let at = at.key(field);
        for (index, range) in ranges.iter().enumerate() {
            findings.check(&at.index(index), scalar::subnet(range));
        }
    }
    if to.cidrs.is_empty() && !to.except.is_empty() {
        findings.error(&at.key("except"), "except needs cidrs");
    }
    let ports = at.key("ports");
    if to.ports.is_empty() && action == Action::Allow {
        findings.error(&ports, "at least one port is required with action Allow");
    }
    for (index, port) in to.ports.iter().enumerate() {
        let at = ports.index(index);
        findings.check(&at.key("port"), scalar::port(port.port));
        let protocol = at.key("protocol");
        match (port.protocol.as_str(), action) {
            ("HTTP" | "TLS" | "TCP", _) | ("", Action::Deny) => {}
            ("", Action::Allow) => findings.error(&protocol, "a protocol is required"),
            (other, _) => findings.error(
                &protocol,
                format_args!("unknown protocol `{other}`, expected HTTP, TLS or TCP"),
            ),
        }
    }
}

fn addresses(egress_ip: &EgressIp, at: &Path<'_>, findings: &mut Findings) {
    if egress_ip.pool.is_empty() {
        findings.error(&at.key("pool"), "a pool is required");
    }
    if egress_ip.addresses.is_empty() {
        findings.error(&at.key("addresses"), "at least one address is required");
    }
}
