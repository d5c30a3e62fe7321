//! All that one proxy gets, encoded.

use std::{collections::BTreeMap, sync::Arc};

use bytes::Bytes;
use prost::{Message, Name};
use sluice_plan::{
    destination::{Destination, Endpoints, Resolution},
    fingerprint::Fingerprint,
    listener::{Filter, Listener},
    proxy::{BLACK_HOLE, ProxyPlan},
    route::RouteTable,
};

use crate::{cluster, companions, envoy, listener, load_assignment, route_configuration, secret};

/// The kinds of resources.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// CDS.
    Cluster,
    /// EDS.
    Endpoints,
    /// LDS.
    Listener,
    /// RDS.
    Route,
    /// SDS.
    Secret,
}

impl Kind {
    /// The type URL of the kind's messages.
    pub fn type_url(self) -> String {
        match self {
            Self::Cluster => envoy::Cluster::type_url(),
            Self::Endpoints => envoy::ClusterLoadAssignment::type_url(),
            Self::Listener => envoy::Listener::type_url(),
            Self::Route => envoy::RouteConfiguration::type_url(),
            Self::Secret => envoy::Secret::type_url(),
        }
    }
}

/// One resource, as it goes to a proxy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rendered {
    /// Its kind.
    pub kind: Kind,
    /// The name under which it is asked for.
    pub name: Arc<str>,
    /// Equal for equal plan nodes translated by equal builds.
    pub version: Fingerprint,
    /// The encoded message, `value` of an `Any`.
    pub body: Bytes,
    /// What Envoy asks for when it has this; always in the same set.
    pub requires: Arc<[(Kind, Arc<str>)]>,
}

/// The resources of one proxy.
pub type RenderedSet = BTreeMap<(Kind, Arc<str>), Arc<Rendered>>;

/// What `plan` says, encoded. A node that is in `previous` with the same version is shared with it
/// and not translated again.
pub fn render(plan: &ProxyPlan, previous: Option<&RenderedSet>) -> RenderedSet {
    let mut pass = Pass {
        previous,
        set: RenderedSet::new(),
    };
    for node in plan.destinations.values() {
        pass.destination(node);
    }
    for node in plan.endpoints.values() {
        pass.endpoints(node);
    }
    for node in plan.listeners.values() {
        pass.listener(node);
    }
    for node in plan.routes.values() {
        pass.routes(node);
    }
    for node in plan.secrets.values() {
        let version = Fingerprint::of(&**node, BUILD);
        pass.add(Kind::Secret, &node.name, version, Vec::new(), || {
            secret(node).encode_to_vec()
        });
    }
    pass.complete();
    pass.set
}

/// The build, part of every version.
const BUILD: &str = env!("SLUICE_TRANSLATE_BUILD");

struct Pass<'a> {
    previous: Option<&'a RenderedSet>,
    set: RenderedSet,
}

impl Pass<'_> {
    fn destination(&mut self, node: &Destination) {
        let requires = match node.resolution {
            Resolution::Discovered => vec![(Kind::Endpoints, Arc::from(node.name.as_str()))],
            Resolution::Dns(_)
            | Resolution::LogicalDns(_)
            | Resolution::Original { .. }
            | Resolution::Hop { .. }
            | Resolution::Nowhere => Vec::new(),
        };
        let version = Fingerprint::of(node, BUILD);
        self.add(Kind::Cluster, &node.name, version, requires, || {
            cluster(node).encode_to_vec()
        });
    }

    fn endpoints(&mut self, node: &Endpoints) {
        let version = Fingerprint::of(node, BUILD);
        self.add(Kind::Endpoints, &node.name, version, Vec::new(), || {
            load_assignment(node).encode_to_vec()
        });
    }

    fn listener(&mut self, node: &Listener) {
        let version = Fingerprint::of(node, BUILD);
        self.add(
            Kind::Listener,
            &node.name,
            version,
            route_tables(node),
            || listener(node).encode_to_vec(),
        );
        let companions = companions(node);
        for listener in companions.listeners {
            self.add(Kind::Listener, &listener.name, version, Vec::new(), || {
                listener.encode_to_vec()
            });
        }
        for cluster in companions.clusters {
            self.add(Kind::Cluster, &cluster.name, version, Vec::new(), || {
                cluster.encode_to_vec()
            });
        }
    }

    fn routes(&mut self, node: &RouteTable) {
        let version = Fingerprint::of(node, BUILD);
        self.add(Kind::Route, &node.name, version, Vec::new(), || {
            route_configuration(node).encode_to_vec()
        });
    }

    fn add(
        &mut self,
        kind: Kind,
        name: &str,
        version: Fingerprint,
        requires: Vec<(Kind, Arc<str>)>,
        body: impl FnOnce() -> Vec<u8>,
    ) {
        let name: Arc<str> = name.into();
        let key = (kind, name.clone());
        let rendered = self
            .previous
            .and_then(|previous| previous.get(&key))
            .filter(|known| known.version == version)
            .map_or_else(
                || {
                    Arc::new(Rendered {
                        kind,
                        name,
                        version,
                        body: body().into(),
                        requires: requires.into(),
                    })
                },
                Arc::clone,
            );
        self.set.insert(key, rendered);
    }

    /// Adds what every plan needs, and empty endpoints and route tables where the plan has none:
    /// Envoy would wait for those that never come, and hold back everything else meanwhile.
    fn complete(&mut self) {
        if !self.set.contains_key(&(Kind::Cluster, BLACK_HOLE.into())) {
            self.destination(&black_hole());
        }
        let missing: Vec<_> = self
            .set
            .values()
            .flat_map(|rendered| rendered.requires.iter())
            .filter(|required| !self.set.contains_key(*required))
            .cloned()
            .collect();
        for (kind, name) in missing {
            let name = name.to_string();
            match kind {
                Kind::Endpoints => self.endpoints(&Endpoints {
                    name,
                    endpoints: Vec::new(),
                }),
                Kind::Route => self.routes(&RouteTable {
                    name,
                    virtual_hosts: Vec::new(),
                }),
                Kind::Cluster | Kind::Listener | Kind::Secret => {}
            }
        }
    }
}

/// Where refused connections go; listeners name it without the plan's doing.
pub(crate) fn black_hole() -> Destination {
    Destination::new(BLACK_HOLE, Resolution::Nowhere)
}

/// The route tables that the chains of `listener` name.
fn route_tables(listener: &Listener) -> Vec<(Kind, Arc<str>)> {
    let mut tables: Vec<_> = listener
        .chains
        .iter()
        .map(|chain| &chain.filter)
        .chain(&listener.otherwise)
        .filter_map(|filter| match filter {
            Filter::Http(http) => Some((Kind::Route, Arc::from(http.route_table.as_str()))),
            Filter::Tcp(_) | Filter::Deny(_) => None,
        })
        .collect();
    tables.sort();
    tables.dedup();
    tables
}

#[cfg(test)]
mod tests {
    use sluice_plan::listener::Role;

    use super::*;

    fn plan() -> ProxyPlan {
        let mut plan = ProxyPlan::default();
        plan.add_destination(Destination::new("a", Resolution::Nowhere));
        plan.add_destination(Destination::new("b", Resolution::Discovered));
        plan.add_listener(Listener {
            name: "tunnel".to_owned(),
            role: Role::TunnelServer { port: 15008 },
            chains: Vec::new(),
            otherwise: None,
            server_first_ports: Vec::new(),
            access_log: Default::default(),
        });
        plan
    }

    #[test]
    fn an_unchanged_node_is_shared_and_a_changed_one_is_not() {
        let first = render(&plan(), None);
        let mut changed = plan();
        changed.add_destination(Destination {
            connect_timeout: std::time::Duration::from_secs(3),
            ..Destination::new("a", Resolution::Nowhere)
        });
        let second = render(&changed, Some(&first));

        for (key, rendered) in &second {
            let same = Arc::ptr_eq(rendered, &first[key]);
            assert_eq!(same, &*key.1 != "a", "{key:?}");
        }
    }

    #[test]
    fn a_discovered_cluster_has_endpoints_if_only_none() {
        let set = render(&plan(), None);

        let cluster = &set[&(Kind::Cluster, "b".into())];
        for required in cluster.requires.iter() {
            assert!(set.contains_key(required), "{required:?}");
        }
    }

    #[test]
    fn a_tunnel_server_brings_its_dispatch_listener_and_the_way_to_it() {
        let set = render(&plan(), None);

        assert!(set.contains_key(&(Kind::Listener, "tunnel-dispatch".into())));
        assert!(set.contains_key(&(Kind::Cluster, "tunnel-dispatch".into())));
    }

    #[test]
    fn equal_plans_have_equal_versions() {
        let versions = |set: RenderedSet| -> Vec<_> {
            set.into_iter().map(|(key, r)| (key, r.version)).collect()
        };

        assert_eq!(
            versions(render(&plan(), None)),
            versions(render(&plan(), None))
        );
    }
}
