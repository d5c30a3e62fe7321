//! What proxies with equal inputs get: one plan, rendered once.

use std::{collections::BTreeMap, sync::Arc};

use sluice_ads::{Dangling, Resource, ResourceSet, TypeUrl, Version};
use sluice_plan::proxy::ProxyPlan;
use sluice_resolve::ProxyIdentity;
use sluice_translate::{Kind, Rendered, RenderedSet, render};

/// Proxies whose keys are equal get the same.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key {
    namespace: String,
    service_account: String,
    labels: BTreeMap<String, String>,
}

impl Key {
    /// The group that `proxy` belongs to: everything but its name counts.
    pub(super) fn of(proxy: &ProxyIdentity) -> Self {
        Self {
            namespace: proxy.namespace.clone(),
            service_account: proxy.service_account.clone(),
            labels: proxy.labels.clone(),
        }
    }

    /// A proxy of the group, without a name of its own.
    pub(super) fn proxy(&self) -> ProxyIdentity {
        ProxyIdentity {
            namespace: self.namespace.clone(),
            service_account: self.service_account.clone(),
            labels: self.labels.clone(),
            name: String::new(),
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
    /// Renders `plan`; what `previous` has already is shared with it.
    pub(super) fn new(plan: ProxyPlan, previous: Option<&Self>) -> Result<Self, Dangling> {
        if let Some(previous) = previous
            && *previous.plan == plan
        {
            return Ok(previous.clone());
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
