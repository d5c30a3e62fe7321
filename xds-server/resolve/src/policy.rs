//! DestinationRules: which one applies, and what it says for one port and subset.

use std::{collections::BTreeMap, sync::Arc};

use sluice_crd::{
    istio::destination_rule::{
        ClientTlsSettings, DestinationRule, Subset, TrafficPolicy,
        connection_pool::{ConnectionPoolSettings, OutlierDetection},
        load_balancer::LoadBalancerSettings,
    },
    object::Resource,
};
use sluice_plan::host::Host;

use crate::{builder::Half, view::View, visibility::Visibility};

/// The DestinationRules of one namespace for one host, joined; never empty.
pub(crate) struct Rules<'a>(Vec<&'a Arc<Resource<DestinationRule>>>);

/// What applies to one port and subset; a part is absent where Istio's default holds.
#[derive(Clone, Debug, Default)]
pub(crate) struct Policy {
    pub(crate) load_balancer: Option<LoadBalancerSettings>,
    pub(crate) connection_pool: Option<ConnectionPoolSettings>,
    pub(crate) outlier_detection: Option<OutlierDetection>,
    pub(crate) tls: Option<ClientTlsSettings>,
}

/// The rules for `host`: of the client's namespace, else of the service's, else of the root
/// namespace; in each the most specific host.
pub(crate) fn rules<'a>(
    view: &View<'a>,
    half: &Half<'_>,
    host: &Host,
    service_namespace: &str,
) -> Option<Rules<'a>> {
    let mesh = view.mesh();
    let client = half.namespace();
    let applies = |rule: &Resource<DestinationRule>| {
        let selected = (rule.spec.workload_selector.as_ref()).is_none_or(|selector| {
            rule.meta.namespace == client && selects(&selector.match_labels, half.labels())
        });
        let visibility = match rule.spec.workload_selector {
            // A rule with a selector is private to its namespace, whatever it exports.
            Some(_) => Visibility::new(&[".".to_owned()], &[], &rule.meta.namespace),
            None => Visibility::new(
                &rule.spec.export_to,
                &mesh.default_destination_rule_export_to,
                &rule.meta.namespace,
            ),
        };
        selected && visibility.includes(client)
    };
    let chain = host.lookup_chain();
    [client, service_namespace, &mesh.root_namespace]
        .into_iter()
        .find_map(|namespace| {
            chain.iter().find_map(|host| {
                let mut found: Vec<_> = (view.rules(host).iter())
                    .filter(|rule| rule.meta.namespace == namespace && applies(rule))
                    .collect();
                // Rules with a selector come first; the sort keeps age otherwise.
                found.sort_by_key(|rule| rule.spec.workload_selector.is_none());
                (!found.is_empty()).then_some(Rules(found))
            })
        })
}

/// Whether labels carry all that a selector asks for.
pub(crate) fn selects(
    selector: &BTreeMap<String, String>,
    labels: &BTreeMap<String, String>,
) -> bool {
    selector
        .iter()
        .all(|(key, value)| labels.get(key) == Some(value))
}

impl<'a> Rules<'a> {
    /// The objects, for logs and reports.
    pub(crate) fn objects(&self) -> impl Iterator<Item = &'a Arc<Resource<DestinationRule>>> + '_ {
        self.0.iter().copied()
    }

    /// The subset of this name; of duplicates the first.
    pub(crate) fn subset(&self, name: &str) -> Option<&'a Subset> {
        self.0
            .iter()
            .flat_map(|rule| &rule.spec.subsets)
            .find(|subset| subset.name == name)
    }

    /// What applies to `port`, and to `subset` where one is meant.
    pub(crate) fn policy(&self, subset: Option<&Subset>, port: u16) -> Policy {
        let top = self
            .0
            .iter()
            .find_map(|rule| rule.spec.traffic_policy.as_ref());
        let mut policy = top.map(whole).unwrap_or_default();
        if let Some(at_port) = top.and_then(|top| at_port(top, port)) {
            policy = at_port;
        }
        let Some(over) = subset.and_then(|subset| subset.traffic_policy.as_ref()) else {
            return policy;
        };
        // A port's settings take no part from the level above: what they omit is the default.
        at_port(over, port).unwrap_or_else(|| Policy {
            load_balancer: over.load_balancer.clone().or(policy.load_balancer),
            connection_pool: over.connection_pool.clone().or(policy.connection_pool),
            outlier_detection: over.outlier_detection.clone().or(policy.outlier_detection),
            tls: over.tls.clone().or(policy.tls),
        })
    }
}

fn whole(policy: &TrafficPolicy) -> Policy {
    Policy {
        load_balancer: policy.load_balancer.clone(),
        connection_pool: policy.connection_pool.clone(),
        outlier_detection: policy.outlier_detection.clone(),
        tls: policy.tls.clone(),
    }
}

fn at_port(policy: &TrafficPolicy, port: u16) -> Option<Policy> {
    let settings = (policy.port_level_settings.iter()).find(|settings| {
        settings
            .port
            .as_ref()
            .is_some_and(|selector| selector.number == u32::from(port))
    })?;
    Some(Policy {
        load_balancer: settings.load_balancer.clone(),
        connection_pool: settings.connection_pool.clone(),
        outlier_detection: settings.outlier_detection.clone(),
        tls: settings.tls.clone(),
    })
}
