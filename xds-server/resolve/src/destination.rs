//! Destinations: from `host, port, subset` to a cluster of the plan.
//!
//! A destination is evaluated for a namespace: which object declares the host, which
//! DestinationRule holds, which secrets may be used. The mesh half's destinations therefore carry
//! the client's namespace in their name, so that no tenant's object changes another's routing.

pub(crate) mod credential;
mod endpoints;
mod settings;
mod tls;

use std::sync::Arc;

use sluice_crd::{
    istio::{
        destination_rule::{Subset, connection_pool::H2UpgradePolicy},
        service_entry::Resolution as Declared,
    },
    object::Resource,
};
use sluice_plan::{
    address::Cidr,
    destination::{
        Destination, Endpoint, EndpointAddress, Endpoints, LoadBalancing, Protocol, Resolution,
    },
    host::Host,
    route::HashPolicy,
};

use crate::{
    builder::{Builder, Half},
    forbidden::{is_forbidden, is_forbidden_name},
    policy::{self, Policy},
    protocol::PortProtocol,
    service::{Origin, Port, Service},
};

/// What a route names.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Target {
    pub(crate) host: Host,
    pub(crate) subset: String,
    pub(crate) port: u16,
}

impl Target {
    /// Istio's name of the cluster.
    pub(crate) fn istio_name(&self) -> String {
        format!("outbound|{}|{}|{}", self.port, self.subset, self.host)
    }

    /// Istio's default SNI for `ISTIO_MUTUAL`.
    pub(crate) fn istio_sni(&self) -> String {
        format!("outbound_.{}_.{}_.{}", self.port, self.subset, self.host)
    }
}

/// What a target turned out to be.
pub(crate) struct Found {
    pub(crate) service: Arc<Service>,
    pub(crate) port: Port,
    pub(crate) policy: Policy,
    pub(crate) subset: Option<Subset>,
    /// The namespace of the DestinationRules that hold.
    pub(crate) rules_of: Option<String>,
    /// Whether a DestinationRule selects clients by label, so that two classes of one namespace
    /// may differ.
    pub(crate) is_of_class: bool,
    /// The objects behind it, `KIND/NAMESPACE/NAME`.
    pub(crate) origins: Vec<String>,
}

/// Why a target is no destination, in one clause.
pub(crate) type Missing = String;

impl Builder<'_, '_> {
    /// Looks a target up, as `half` sees the world.
    pub(crate) fn find(&self, half: &Half<'_>, target: &Target) -> Result<Found, Missing> {
        let service = self.service_for(half, &target.host).ok_or_else(|| {
            format!(
                "host {} is not in the registry of namespace {}",
                target.host,
                half.namespace()
            )
        })?;
        let port = service
            .port(target.port)
            .cloned()
            .ok_or_else(|| format!("host {} has no port {}", target.host, target.port))?;
        let rules = policy::rules(self.view, half, &target.host, &service.namespace);
        let subset = match target.subset.as_str() {
            "" => None,
            name => Some(
                (rules.as_ref())
                    .and_then(|rules| rules.subset(name))
                    .ok_or_else(|| no_subset(half, target))?,
            ),
        };
        let policy: Policy = rules
            .as_ref()
            .map(|rules| rules.policy(subset, target.port))
            .unwrap_or_default();
        let mut origins = vec![service.origin.rule()];
        origins.extend(rules.iter().flat_map(|rules| {
            rules
                .objects()
                .map(|rule| format!("DestinationRule/{}/{}", rule.meta.namespace, rule.meta.name))
        }));
        Ok(Found {
            service,
            port,
            policy,
            subset: subset.cloned(),
            rules_of: (rules.iter())
                .flat_map(policy::Rules::objects)
                .map(|rule| rule.meta.namespace.clone())
                .next(),
            is_of_class: (rules.iter())
                .flat_map(policy::Rules::objects)
                .any(|rule| rule.spec.workload_selector.is_some()),
            origins,
        })
    }

    /// The name of the plan's destination for a target, which is made if it is new, and what
    /// consistent hashing hashes there.
    pub(crate) fn destination(
        &mut self,
        half: &Half<'_>,
        target: &Target,
    ) -> Result<(String, Vec<HashPolicy>), Missing> {
        let found = self.find(half, target)?;
        match (half, self.own_service_port(&found)) {
            (Half::Mesh(class), Some(port)) => {
                return Ok((self.hop(class, target, &found, port)?, Vec::new()));
            }
            // What the gateway sends to its own port would come back here without end.
            (Half::Gateway(_), Some(_)) => {
                return Err(format!(
                    "host {} is this gateway's own Service; a route for the gateway must lead on, a route to it belongs under match.gateways [mesh]",
                    target.host
                ));
            }
            (_, None) => {}
        }
        let hash = found
            .policy
            .load_balancer
            .as_ref()
            .map(settings::hash_policies)
            .unwrap_or_default();
        let name = match half {
            Half::Mesh(class) if found.is_of_class => {
                format!("{}@{}", target.istio_name(), class.id)
            }
            Half::Mesh(class) => format!("{}@{}", target.istio_name(), class.namespace),
            Half::Gateway(_) => target.istio_name(),
        };
        let dialled = self.dialled.clone();
        let is_allowed_address =
            |range: &Cidr| (found.service.addresses.iter()).any(|allowed| allowed.covers(range));
        let is_original = found.service.resolution() == Declared::None
            && matches!(found.service.origin, Origin::Entry(_))
            && found.port.protocol == PortProtocol::Tcp
            && !found.service.addresses.is_empty();
        if matches!(half, Half::Mesh(_))
            && is_original
            && !dialled
                .is_some_and(|ranges| !ranges.is_empty() && ranges.iter().all(is_allowed_address))
        {
            return Err(format!(
                "host {} has resolution NONE: only connections to its own addresses can be sent there; match them with destinationSubnets",
                target.host
            ));
        }
        self.targets.insert(name.clone(), target.clone());
        if self.plan.destinations.contains_key(&name) {
            return Ok((name, hash));
        }
        let (resolution, endpoints) = self.resolution(half, target, &found)?;
        let mut destination = Destination::new(&name, resolution);
        if matches!(half, Half::Mesh(_)) {
            destination.stat_name = Some(target.istio_name());
        }
        if let Some(timeout) = self.view.mesh().connect_timeout {
            destination.connect_timeout = timeout.0;
        }
        destination.protocol = protocol(&found);
        destination.tls = self.upstream_tls(half, target, &found)?;
        settings::apply(&mut destination, &found.policy);
        if matches!(destination.resolution, Resolution::Original { .. }) {
            destination.load_balancing = LoadBalancing::ByResolution;
        }
        if let Some(endpoints) = endpoints {
            self.plan.add_endpoints(Endpoints {
                name: name.clone(),
                endpoints,
            });
        }
        self.plan.origins.insert(name.clone(), found.origins);
        self.plan.add_destination(destination);
        Ok((name, hash))
    }

    /// The service that `half` sees under exactly this host, else the one that an EgressPolicy
    /// opens for the class that is being built.
    pub(crate) fn service_for(&self, half: &Half<'_>, host: &Host) -> Option<Arc<Service>> {
        (self.view.service(host, half.namespace()))
            .or_else(|| self.egress.opened.get(host).cloned())
    }

    fn resolution(
        &self,
        half: &Half<'_>,
        target: &Target,
        found: &Found,
    ) -> Result<(Resolution, Option<Vec<Endpoint>>), Missing> {
        let by_name = |found: &Found| -> Result<Vec<Endpoint>, Missing> {
            let endpoints = endpoints::by_name(self.view, found);
            if endpoints.is_empty() {
                return Err(format!(
                    "host {} has no endpoint whose name could be resolved",
                    target.host
                ));
            }
            Ok(endpoints)
        };
        if let Origin::Entry(entry) = &found.service.origin {
            endpoints::check(entry)?;
        }
        match (&found.service.origin, found.service.resolution()) {
            (Origin::Kubernetes(service), _) => match service.spec.external_name.as_str() {
                "" => Ok((
                    Resolution::Discovered,
                    Some(endpoints::of_service(self.view, service, found)),
                )),
                name if is_forbidden_name(name) || name.parse().is_ok_and(is_forbidden) => {
                    Err(format!("host {} leads to the gateway itself", target.host))
                }
                name => Ok((
                    Resolution::Dns(vec![Endpoint {
                        address: EndpointAddress::Name(name.to_owned(), target.port),
                        weight: 1,
                        locality: None,
                    }]),
                    None,
                )),
            },
            (Origin::Policy(_), _) if is_forbidden_name(target.host.as_str()) => {
                Err(format!("host {} leads to the gateway itself", target.host))
            }
            (Origin::Policy(_), _) => Ok((Resolution::Dns(by_name(found)?), None)),
            (Origin::Entry(_), Declared::Dns) => Ok((Resolution::Dns(by_name(found)?), None)),
            (Origin::Entry(_), Declared::DnsRoundRobin) => {
                Ok((Resolution::LogicalDns(by_name(found)?.swap_remove(0)), None))
            }
            (Origin::Entry(entry), Declared::Static) => Ok((
                Resolution::Discovered,
                Some(endpoints::of_entry(self.view, entry, found)),
            )),
            // The client's choice of address decides only where the entry itself lists addresses.
            (Origin::Entry(_), Declared::None) => match half {
                Half::Gateway(_) => Err(format!(
                    "host {} has resolution NONE, which a gateway cannot route to; use DNS or STATIC",
                    target.host
                )),
                Half::Mesh(_)
                    if found.port.protocol == PortProtocol::Tcp
                        && !found.service.addresses.is_empty() =>
                {
                    Ok((
                        // Always said: a route may take connections to other ports.
                        Resolution::Original {
                            port: Some(
                                endpoints::target_number(&found.port).unwrap_or(found.port.number),
                            ),
                        },
                        None,
                    ))
                }
                Half::Mesh(_) => Ok((Resolution::Dns(by_name(found)?), None)),
            },
            (Origin::Entry(_), Declared::DynamicDns) => Err(format!(
                "host {} has resolution DYNAMIC_DNS, which is not in effect yet",
                target.host
            )),
        }
    }

    /// The port on which this gateway's own pods listen, if the target is a Service of theirs.
    fn own_service_port(&self, found: &Found) -> Option<u16> {
        let Origin::Kubernetes(service) = &found.service.origin else {
            return None;
        };
        self.own_port(service, &found.port)
    }

    /// The port on which this gateway's pods listen for `port` of `service`; `None` if the
    /// Service does not select them.
    pub(crate) fn own_port(
        &self,
        service: &Resource<sluice_crd::core::service::Service>,
        port: &Port,
    ) -> Option<u16> {
        let selector = &service.spec.selector;
        let selected = service.meta.namespace == self.proxy.namespace
            && !selector.is_empty()
            && policy::selects(selector, &self.proxy.labels);
        selected.then(|| endpoints::pod_port(self.view, self.proxy, port))
    }
}

fn no_subset(half: &Half<'_>, target: &Target) -> Missing {
    format!(
        "no DestinationRule of host {} that namespace {} uses has subset {}",
        target.host,
        half.namespace(),
        target.subset
    )
}

fn protocol(found: &Found) -> Protocol {
    let http = found
        .policy
        .connection_pool
        .as_ref()
        .and_then(|pool| pool.http.as_ref());
    if http.is_some_and(|http| http.use_client_protocol) {
        return Protocol::AsDownstream;
    }
    match (found.port.protocol, http.map(|http| http.h2_upgrade_policy)) {
        (PortProtocol::Http2, _) | (PortProtocol::Http, Some(H2UpgradePolicy::Upgrade)) => {
            Protocol::Http2
        }
        _ => Protocol::Http1,
    }
}
