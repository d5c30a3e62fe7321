//! What proxies with equal inputs get: one plan, rendered once.

use std::sync::Arc;

use sluice_ads::{Dangling, Resource, ResourceSet, TypeUrl, Version};
use sluice_plan::proxy::ProxyPlan;
use sluice_resolve::{Catalog, Class, ProxyIdentity, ProxyRole, role};
use sluice_translate::{Kind, Rendered, RenderedSet, render};

/// Proxies whose keys are equal get the same.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Key {
    /// Sidecars of one class: only what is in their certificates counts.
    Class(Class),
    /// One gateway: Gateways select by any label, and a named port is the pod's own.
    Gateway(ProxyIdentity),
}

impl Key {
    /// The group that `proxy` belongs to.
    pub(super) fn of(catalog: &Catalog, proxy: &ProxyIdentity) -> Self {
        let ProxyIdentity {
            namespace,
            service_account,
            labels,
            name: _,
        } = proxy;
        match role(catalog, namespace, service_account) {
            ProxyRole::Gateway => Self::Gateway(proxy.clone()),
            ProxyRole::Sidecar => Self::Class(Class::new(
                catalog.mesh(),
                namespace,
                service_account,
                labels,
            )),
        }
    }

    /// A proxy of the group.
    pub(super) fn proxy(&self) -> ProxyIdentity {
        match self {
            Self::Gateway(proxy) => proxy.clone(),
            Self::Class(class) => ProxyIdentity {
                namespace: class.namespace.clone(),
                service_account: class.service_account.clone(),
                labels: class.labels.clone(),
                name: String::new(),
            },
        }
    }
}

/// What a group gets.
#[derive(Clone)]
pub(super) struct Group {
    pub(super) plan: Arc<ProxyPlan>,
    pub(super) resources: Arc<ResourceSet>,
    rendered: Arc<RenderedSet>,
}

impl Group {
    /// Renders `plan`; what `previous` has already is shared with it. A group of `others` that
    /// has the same plan is taken as it is: a fleet is rendered once.
    pub(super) fn new<'a>(
        plan: ProxyPlan,
        previous: Option<&'a Self>,
        others: impl IntoIterator<Item = &'a Self>,
    ) -> Result<Self, Dangling> {
        let mut candidates = previous.into_iter().chain(others);
        if let Some(equal) = candidates.find(|group| *group.plan == plan) {
            return Ok(equal.clone());
        }
        let rendered = render(&plan, previous.map(|group| &*group.rendered));
        let resources = rendered.values().map(|rendered| {
            let kind = type_url(rendered.kind);
            let known = previous.and_then(|group| group.resources.get(kind, &rendered.name));
            match known {
                Some(known) if known.version == version(rendered) => (kind, known.clone()),
                Some(_) | None => (kind, Arc::new(resource(rendered))),
            }
        });
        let set = ResourceSet::new(resources)?;
        let set = match previous {
            Some(previous) => set.following(&previous.resources),
            None => set,
        };
        Ok(Self {
            plan: Arc::new(plan),
            resources: Arc::new(set),
            rendered: Arc::new(rendered),
        })
    }
}

fn resource(rendered: &Rendered) -> Resource {
    Resource {
        name: rendered.name.clone(),
        version: version(rendered),
        body: rendered.body.clone(),
        requires: rendered
            .requires
            .iter()
            .map(|(kind, name)| (type_url(*kind), name.clone()))
            .collect(),
    }
}

fn version(rendered: &Rendered) -> Version {
    Version(rendered.version.0)
}

fn type_url(kind: Kind) -> TypeUrl {
    match kind {
        Kind::Cluster => TypeUrl::Cluster,
        Kind::Endpoints => TypeUrl::Endpoints,
        Kind::Listener => TypeUrl::Listener,
        Kind::Route => TypeUrl::Route,
        Kind::Secret => TypeUrl::Secret,
    }
}
