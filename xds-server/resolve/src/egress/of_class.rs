//! The policies that hold for one class, with what is wrong with them.

use std::{collections::BTreeMap, sync::Arc};

use sluice_crd::{
    diagnostic::{Severity, code},
    sluice::egress_policy::Action,
};
use sluice_plan::host::Host;

use super::{
    ClassRule, Egress,
    pool::{self, Unusable},
    rules::{Namespaces, Rule},
};
use crate::{
    builder::Builder,
    client::Class,
    policy::selects,
    protocol::PortProtocol,
    service::{Origin, Port, Service},
    visibility::Visibility,
};

impl Builder<'_, '_> {
    /// Reports what is wrong with policies whichever workloads there are.
    pub(crate) fn check_policies(&mut self) {
        for rule in self.view.egress_policies() {
            self.report_foreign_labels(rule);
            self.report_not_in_effect(rule);
            if let (Some(egress_ip), [from, ..]) = (&rule.egress_ip, rule.from.as_slice())
                && let Namespaces::One(namespace) = &from.namespaces
                && let Err(why) = pool::addresses(self.view, self.proxy, egress_ip, namespace)
            {
                self.report_unusable(rule, &why);
            }
        }
    }

    /// The policies of `class`.
    pub(crate) fn egress(&mut self, class: &Class) -> Egress {
        let mut egress = Egress::default();
        let policies = self.view.egress_policies();
        if policies.is_empty() {
            return egress;
        }
        let namespace_labels = self.view.namespace_labels(&class.namespace);
        for rule in policies {
            let is_meant = rule.from.iter().any(|from| {
                from.namespaces.has(&class.namespace, &namespace_labels)
                    && (from.service_accounts.is_empty()
                        || from.service_accounts.contains(&class.service_account))
                    && self.selects_class(rule.action, &from.labels, class)
            });
            if !is_meant {
                continue;
            }
            let source = rule.egress_ip.as_ref().map(|egress_ip| {
                pool::addresses(self.view, self.proxy, egress_ip, &class.namespace)
                    .map(|addresses| pool::of_class(&addresses, class.id))
            });
            if let Some(Err(why)) = &source {
                self.report_unusable(rule, why);
            }
            egress.rules.push(ClassRule {
                rule: rule.clone(),
                source: source.map(|source| source.map_err(|why| why.reason)),
            });
        }
        self.report_conflicts(&egress);
        egress.opened = opened(&egress);
        egress
    }

    /// Whether labels select a class. Labels that are no part of identity select nobody for an
    /// Allow, and do not narrow a Deny.
    fn selects_class(
        &self,
        action: Action,
        labels: &BTreeMap<String, String>,
        class: &Class,
    ) -> bool {
        match action {
            Action::Allow => selects(labels, &class.labels),
            Action::Deny => {
                let known = &self.view.mesh().sluice.identity_labels;
                (labels.iter())
                    .filter(|(key, _)| known.contains(key))
                    .all(|(key, value)| class.labels.get(key) == Some(value))
            }
        }
    }

    fn report_foreign_labels(&mut self, rule: &Rule) {
        let known = &self.view.mesh().sluice.identity_labels;
        for (index, from) in rule.from.iter().enumerate() {
            for key in from.labels.keys().filter(|key| !known.contains(key)) {
                let so = match rule.action {
                    Action::Allow => "no workload can be selected by it",
                    Action::Deny => "it does not narrow the Deny",
                };
                self.report(
                    Severity::Error,
                    "SLU0101",
                    &rule.object,
                    format_args!("spec.from[{index}].podSelector.matchLabels.{key}"),
                    format!("label {key} is no identity label, so {so}; add it to sluice.identityLabels of the mesh config"),
                );
            }
        }
    }

    fn report_not_in_effect(&mut self, rule: &Rule) {
        for (index, to) in rule.to.iter().enumerate() {
            if to.cidrs.is_empty() {
                continue;
            }
            let http =
                (to.ports.iter()).position(|(_, protocol)| *protocol == Some(PortProtocol::Http));
            match (rule.action, http) {
                (Action::Allow, Some(port)) => self.report(
                    Severity::Warning,
                    code::NOT_IN_EFFECT,
                    &rule.object,
                    format_args!("spec.to[{index}].ports[{port}].protocol"),
                    "requests to addresses are not routed yet: ranges are opened by TCP or TLS",
                ),
                (Action::Allow, None) => {}
                (Action::Deny, _) => self.report(
                    Severity::Info,
                    code::NOT_IN_EFFECT,
                    &rule.object,
                    format_args!("spec.to[{index}].cidrs"),
                    "denied to those who dial these addresses; not yet for hosts whose names resolve to them",
                ),
            }
        }
    }

    fn report_unusable(&mut self, rule: &Rule, why: &Unusable) {
        self.report(
            Severity::Error,
            "SLU0107",
            &rule.object,
            format_args!("{}", why.field),
            format!("{}, so its destinations are closed", why.reason),
        );
    }

    /// Two policies of one priority with different addresses for one destination.
    fn report_conflicts(&mut self, egress: &Egress) {
        let addressed: Vec<_> = (egress.rules.iter())
            .filter(|entry| entry.source.is_some())
            .collect();
        for (number, later) in addressed.iter().enumerate() {
            let rival = addressed[..number].iter().find(|first| {
                let overlap =
                    |to: &super::rules::To| later.rule.to.iter().any(|other| to.overlaps(other));
                first.rule.priority == later.rule.priority
                    && first.source != later.source
                    && first.rule.to.iter().any(overlap)
            });
            if let Some(rival) = rival {
                self.report(
                    Severity::Warning,
                    "SLU0108",
                    &later.rule.object,
                    format_args!("spec.egressIP"),
                    format!(
                        "{} gives the same workloads another address for the same destinations; it has the same priority and is older, so it holds",
                        rival.rule.name
                    ),
                );
            }
        }
    }
}

/// The exact hosts that policies name, each as if a ServiceEntry with resolution DNS declared it
/// for this class alone.
fn opened(egress: &Egress) -> BTreeMap<Host, Arc<Service>> {
    let mut opened: BTreeMap<Host, Service> = BTreeMap::new();
    let allows = (egress.rules.iter()).filter(|entry| entry.rule.action == Action::Allow);
    for entry in allows {
        for to in &entry.rule.to {
            for host in to.hosts.iter().filter(|host| !host.is_wildcard()) {
                let service = opened.entry(host.clone()).or_insert_with(|| Service {
                    host: host.clone(),
                    namespace: String::new(),
                    ports: Vec::new(),
                    addresses: Vec::new(),
                    visibility: Visibility::Public,
                    age: entry.rule.age.clone(),
                    origin: Origin::Policy(entry.rule.clone()),
                });
                for (number, protocol) in &to.ports {
                    let Some(protocol) = protocol else { continue };
                    if service.port(*number).is_none() {
                        service.ports.push(Port {
                            number: *number,
                            name: format!("port-{number}"),
                            protocol: *protocol,
                            target: None,
                        });
                    }
                }
            }
        }
    }
    (opened.into_iter())
        .map(|(host, service)| (host, Arc::new(service)))
        .collect()
}
