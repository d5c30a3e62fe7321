//! EgressPolicies and ClusterEgressPolicies, read once: one shape for both.

use std::{collections::BTreeMap, sync::Arc};

use sluice_crd::{
    diagnostic::Subject,
    istio::selector::WorkloadSelector,
    object::{ObjectRef, Resource},
    sluice::egress_policy::{
        Action, ClusterEgressPolicy, Destinations, EgressIp, EgressPolicy, PolicyPort, Rules,
    },
    source::Source,
};
use sluice_plan::{address::Cidr, host::Host};

use crate::{policy::selects, precedence::Age, protocol::PortProtocol};

/// A policy.
#[derive(Clone, Debug)]
pub(crate) struct Rule {
    /// `EgressPolicy/shop/checkout`, as logs and `explain` show it.
    pub(crate) name: String,
    pub(crate) object: Written,
    pub(crate) priority: i32,
    pub(crate) age: Age,
    pub(crate) action: Action,
    pub(super) from: Vec<From>,
    pub(crate) to: Vec<To>,
    pub(super) egress_ip: Option<EgressIp>,
}

/// The object that a policy is written as.
#[derive(Clone, Debug)]
pub(crate) enum Written {
    Own(Arc<Resource<EgressPolicy>>),
    Cluster(Arc<Resource<ClusterEgressPolicy>>),
}

impl Subject for Written {
    fn subject(&self) -> ObjectRef {
        match self {
            Self::Own(policy) => policy.subject(),
            Self::Cluster(policy) => policy.subject(),
        }
    }

    fn origin(&self) -> Option<&Source> {
        match self {
            Self::Own(policy) => policy.origin(),
            Self::Cluster(policy) => policy.origin(),
        }
    }
}

/// Workloads: all parts must hold.
#[derive(Clone, Debug)]
pub(super) struct From {
    pub(super) namespaces: Namespaces,
    pub(super) service_accounts: Vec<String>,
    pub(super) labels: BTreeMap<String, String>,
}

/// Namespaces of workloads.
#[derive(Clone, Debug)]
pub(super) enum Namespaces {
    One(String),
    Labelled(BTreeMap<String, String>),
}

/// Destinations: one of the hosts or ranges, on one of the ports.
#[derive(Clone, Debug)]
pub(crate) struct To {
    pub(crate) hosts: Vec<Host>,
    pub(crate) cidrs: Vec<Cidr>,
    pub(crate) except: Vec<Cidr>,
    /// Empty is all; without a protocol, any.
    pub(crate) ports: Vec<(u16, Option<PortProtocol>)>,
}

impl To {
    pub(crate) fn has_port(&self, port: u16) -> bool {
        self.ports.is_empty() || self.ports.iter().any(|(number, _)| *number == port)
    }

    /// Whether the ranges cover all of `range`.
    pub(super) fn has_range(&self, range: &Cidr) -> bool {
        self.cidrs.iter().any(|named| named.covers(range))
            && !self.except.iter().any(|named| named.covers(range))
    }

    /// Whether connections of a protocol are meant; TCP means any bytes.
    pub(super) fn takes(&self, port: u16, first: PortProtocol) -> bool {
        let takes = |declared: Option<PortProtocol>| {
            declared.is_none_or(|declared| declared == PortProtocol::Tcp || declared == first)
        };
        self.ports.is_empty()
            || (self.ports.iter()).any(|(number, declared)| *number == port && takes(*declared))
    }

    /// Whether some destination belongs to both.
    pub(super) fn overlaps(&self, other: &Self) -> bool {
        let ports = self.ports.is_empty()
            || other.ports.is_empty()
            || self.ports.iter().any(|(port, _)| other.has_port(*port));
        let hosts = (self.hosts.iter()).any(|a| other.hosts.iter().any(|b| a.overlaps(b)));
        let ranges =
            (self.cidrs.iter()).any(|a| other.cidrs.iter().any(|b| a.covers(b) || b.covers(a)));
        ports && (hosts || ranges)
    }
}

impl Rule {
    pub(crate) fn of_namespace(policy: &Arc<Resource<EgressPolicy>>) -> Self {
        let namespace = &policy.meta.namespace;
        let from = (policy.spec.from.iter())
            .map(|from| From {
                namespaces: Namespaces::One(namespace.clone()),
                service_accounts: from.service_accounts.clone(),
                labels: labels(from.pod_selector.as_ref()),
            })
            .collect();
        let name = format!("EgressPolicy/{namespace}/{}", policy.meta.name);
        Self::new(
            name,
            Written::Own(policy.clone()),
            Age::of(&policy.meta),
            &policy.spec,
            from,
        )
    }

    pub(crate) fn of_cluster(policy: &Arc<Resource<ClusterEgressPolicy>>) -> Self {
        let from = (policy.spec.from.iter())
            .map(|from| From {
                namespaces: Namespaces::Labelled(labels(from.namespace_selector.as_ref())),
                service_accounts: from.service_accounts.clone(),
                labels: labels(from.pod_selector.as_ref()),
            })
            .collect();
        let name = format!("ClusterEgressPolicy/{}", policy.meta.name);
        Self::new(
            name,
            Written::Cluster(policy.clone()),
            Age::of(&policy.meta),
            &policy.spec,
            from,
        )
    }

    fn new<W: Default>(
        name: String,
        object: Written,
        age: Age,
        spec: &Rules<W>,
        from: Vec<From>,
    ) -> Self {
        Self {
            name,
            object,
            priority: spec.priority,
            age,
            action: spec.action,
            from,
            to: spec.to.iter().map(destinations).collect(),
            egress_ip: spec.egress_ip.clone(),
        }
    }
}

impl Namespaces {
    pub(super) fn has(&self, namespace: &str, labels: &BTreeMap<String, String>) -> bool {
        match self {
            Self::One(only) => only == namespace,
            Self::Labelled(selector) => selects(selector, labels),
        }
    }
}

fn labels(selector: Option<&WorkloadSelector>) -> BTreeMap<String, String> {
    selector
        .map(|selector| selector.match_labels.clone())
        .unwrap_or_default()
}

fn destinations(declared: &Destinations) -> To {
    let ranges = |texts: &[String]| texts.iter().filter_map(|text| text.parse().ok()).collect();
    let port = |port: &PolicyPort| {
        let protocol = match port.protocol.as_str() {
            "" => None,
            protocol => Some(PortProtocol::parse(protocol)),
        };
        Some((u16::try_from(port.port).ok()?, protocol))
    };
    To {
        hosts: declared.hosts.iter().map(|host| Host::new(host)).collect(),
        cidrs: ranges(&declared.cidrs),
        except: ranges(&declared.except),
        ports: declared.ports.iter().filter_map(port).collect(),
    }
}
