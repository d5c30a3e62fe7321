//! One model for what may be reached: the hosts of ServiceEntries and of Kubernetes Services.

use std::sync::Arc;

use sluice_crd::{
    core::service::{Service as KubernetesService, TargetPort},
    istio::{
        mesh_config::MeshConfig,
        service_entry::{Resolution, ServiceEntry},
    },
    object::Resource,
};
use sluice_plan::{address::Cidr, host::Host};

use crate::{egress::Rule, precedence::Age, protocol::PortProtocol, visibility::Visibility};

/// A host that may be reached, as one object declares it.
#[derive(Clone, Debug)]
pub(crate) struct Service {
    pub(crate) host: Host,
    pub(crate) namespace: String,
    pub(crate) ports: Vec<Port>,
    pub(crate) addresses: Vec<Cidr>,
    pub(crate) visibility: Visibility,
    pub(crate) age: Age,
    pub(crate) origin: Origin,
}

/// A port of a [`Service`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Port {
    pub(crate) number: u16,
    pub(crate) name: String,
    pub(crate) protocol: PortProtocol,
    /// Port of the endpoints where they do not say.
    pub(crate) target: Option<TargetPort>,
}

/// The object that declares a [`Service`].
#[derive(Clone, Debug)]
pub(crate) enum Origin {
    Entry(Arc<Resource<ServiceEntry>>),
    Kubernetes(Arc<Resource<KubernetesService>>),
    /// Opened for one class only.
    Policy(Arc<Rule>),
}

impl Origin {
    /// `ServiceEntry/shop/partner`, as logs and `explain` show it.
    pub(crate) fn rule(&self) -> String {
        match self {
            Self::Entry(entry) => {
                format!("ServiceEntry/{}/{}", entry.meta.namespace, entry.meta.name)
            }
            Self::Kubernetes(service) => {
                format!("Service/{}/{}", service.meta.namespace, service.meta.name)
            }
            Self::Policy(rule) => rule.name.clone(),
        }
    }
}

impl Service {
    pub(crate) fn is_kubernetes(&self) -> bool {
        matches!(self.origin, Origin::Kubernetes(_))
    }

    pub(crate) fn port(&self, number: u16) -> Option<&Port> {
        self.ports.iter().find(|port| port.number == number)
    }

    pub(crate) fn resolution(&self) -> Resolution {
        match &self.origin {
            Origin::Entry(entry) => entry.spec.resolution,
            Origin::Kubernetes(_) => Resolution::Static,
            Origin::Policy(_) => Resolution::Dns,
        }
    }

    /// Whether two objects may contribute ports to one host.
    fn merges_with(&self, other: &Self) -> bool {
        !self.is_kubernetes()
            && !other.is_kubernetes()
            && self.namespace == other.namespace
            && self.resolution() == other.resolution()
            && self.visibility == other.visibility
    }
}

/// The services that a ServiceEntry declares, one for each host.
pub(crate) fn of_entry(entry: &Arc<Resource<ServiceEntry>>, mesh: &MeshConfig) -> Vec<Service> {
    let spec = &entry.spec;
    let visibility = Visibility::new(
        &spec.export_to,
        &mesh.default_service_export_to,
        &entry.meta.namespace,
    );
    spec.hosts
        .iter()
        .map(|host| Service {
            host: Host::new(host),
            namespace: entry.meta.namespace.clone(),
            ports: spec
                .ports
                .iter()
                .filter_map(|port| {
                    let target = u16::try_from(port.target_port)
                        .ok()
                        .filter(|target| *target != 0);
                    Some(Port {
                        number: u16::try_from(port.number).ok()?,
                        name: port.name.clone(),
                        protocol: PortProtocol::parse(&port.protocol),
                        target: target.map(TargetPort::Number),
                    })
                })
                .collect(),
            addresses: (spec.addresses.iter())
                .chain(
                    (spec.allocated_addresses.iter())
                        .filter(|allocated| allocated.host.eq_ignore_ascii_case(host))
                        .map(|allocated| &allocated.value),
                )
                .filter_map(|address| address.parse().ok())
                .collect(),
            visibility: visibility.clone(),
            age: Age::of(&entry.meta),
            origin: Origin::Entry(entry.clone()),
        })
        .collect()
}

/// The service that a Kubernetes Service declares.
pub(crate) fn of_kubernetes(
    service: &Arc<Resource<KubernetesService>>,
    mesh: &MeshConfig,
) -> Service {
    let meta = &service.meta;
    let export_to: Vec<String> = (meta.annotations.get("networking.istio.io/exportTo"))
        .map(|list| {
            list.split(',')
                .map(|entry| entry.trim().to_owned())
                .collect()
        })
        .unwrap_or_default();
    Service {
        host: Host::new(&format!(
            "{}.{}.svc.cluster.local",
            meta.name, meta.namespace
        )),
        namespace: meta.namespace.clone(),
        ports: (service.spec.ports.iter())
            .map(|port| Port {
                number: port.port,
                name: port.name.clone(),
                protocol: PortProtocol::of_kubernetes(
                    &port.name,
                    port.app_protocol.as_deref(),
                    &port.protocol,
                ),
                target: port.target_port.clone(),
            })
            .collect(),
        addresses: service
            .spec
            .cluster_ips
            .iter()
            .filter_map(|ip| ip.to_string().parse().ok())
            .collect(),
        visibility: Visibility::new(&export_to, &mesh.default_service_export_to, &meta.namespace),
        age: Age::of(meta),
        origin: Origin::Kubernetes(service.clone()),
    }
}

/// The service that `namespace` gets for a host that several declare: Kubernetes' before
/// ServiceEntries', its own namespace's before others', the oldest before the younger; ports of
/// ServiceEntries that agree in namespace, resolution and `exportTo` are joined.
pub(crate) fn winner(candidates: &[Arc<Service>], namespace: &str) -> Option<Arc<Service>> {
    let mut visible: Vec<&Arc<Service>> = candidates
        .iter()
        .filter(|service| service.visibility.includes(namespace))
        .collect();
    visible.sort_by_key(|service| {
        (
            !service.is_kubernetes(),
            service.namespace != namespace,
            &service.age,
        )
    });
    let (first, rest) = visible.split_first()?;
    let mut joined = (*first).clone();
    for other in rest.iter().filter(|other| first.merges_with(other)) {
        for port in &other.ports {
            if joined.port(port.number).is_none() {
                Arc::make_mut(&mut joined).ports.push(port.clone());
            }
        }
    }
    Some(joined)
}
