//! Everything that one client shall hold, as one immutable value.
//!
//! A set never refers to a route configuration or to endpoints that it lacks: Envoy would keep
//! the listener or cluster in warming until they come. Sets that follow one another share what
//! is equal, and carry the names that differ, so that a session looks at those only.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Weak},
};

use crate::{Resource, TypeUrl};

/// The resources of one client, by type and name.
#[derive(Clone, Default)]
pub struct ResourceSet {
    collections: [Arc<Collection>; TypeUrl::ALL.len()],
}

/// A set that would leave a resource waiting for another for ever.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{kind} resource {name} requires {missing_kind} resource {missing}, which is not in the set"
)]
pub struct Dangling {
    /// The type of the resource that refers.
    pub kind: TypeUrl,
    /// The name of the resource that refers.
    pub name: Arc<str>,
    /// The type of what is missing.
    pub missing_kind: TypeUrl,
    /// The name of what is missing.
    pub missing: Arc<str>,
}

/// The resources of one type.
#[derive(Default)]
pub(crate) struct Collection {
    entries: BTreeMap<Arc<str>, Arc<Resource>>,
    followed: Option<Followed>,
}

/// The collection before, and the names by which the two differ.
struct Followed {
    previous: Weak<Collection>,
    changed: Box<[Arc<str>]>,
}

impl ResourceSet {
    /// The set of these resources. Of two with the same type and name the later counts.
    ///
    /// # Errors
    /// When a resource requires a route configuration or endpoints that are not among them.
    /// Clusters and secrets may be absent: Envoy goes on without them.
    pub fn new(
        resources: impl IntoIterator<Item = (TypeUrl, Arc<Resource>)>,
    ) -> Result<Self, Dangling> {
        let mut entries: [BTreeMap<_, _>; TypeUrl::ALL.len()] = Default::default();
        for (kind, resource) in resources {
            entries[kind.index()].insert(resource.name.clone(), resource);
        }
        let set = Self {
            collections: entries.map(|entries| {
                Arc::new(Collection {
                    entries,
                    ..Default::default()
                })
            }),
        };
        set.check()?;
        Ok(set)
    }

    /// The same set, sharing with `previous` what is equal, and knowing what is not.
    #[must_use]
    pub fn following(self, previous: &Self) -> Self {
        let mut old = previous.collections.iter();
        let collections = self.collections.map(|new| match old.next() {
            Some(old) => new.following(old),
            None => new,
        });
        Self { collections }
    }

    fn check(&self) -> Result<(), Dangling> {
        for kind in TypeUrl::ALL {
            for resource in self.iter(kind) {
                for (missing_kind, missing) in resource.requires.iter() {
                    let must_exist = match missing_kind {
                        TypeUrl::Endpoints | TypeUrl::Route => true,
                        TypeUrl::Cluster | TypeUrl::Listener | TypeUrl::Secret => false,
                    };
                    if must_exist && self.get(*missing_kind, missing).is_none() {
                        return Err(Dangling {
                            kind,
                            name: resource.name.clone(),
                            missing_kind: *missing_kind,
                            missing: missing.clone(),
                        });
                    }
                }
            }
        }
        Ok(())
    }

    /// The resource with this type and name.
    pub fn get(&self, kind: TypeUrl, name: &str) -> Option<&Arc<Resource>> {
        self.collection(kind).get(name)
    }

    /// The resources of a type, by name.
    pub fn iter(&self, kind: TypeUrl) -> impl ExactSizeIterator<Item = &Arc<Resource>> {
        self.collection(kind).entries.values()
    }

    /// How many resources of a type there are.
    pub fn len(&self, kind: TypeUrl) -> usize {
        self.collection(kind).entries.len()
    }

    /// Whether there is no resource of any type.
    pub fn is_empty(&self) -> bool {
        TypeUrl::ALL.into_iter().all(|kind| self.len(kind) == 0)
    }

    /// The size of all bodies of a type.
    pub fn bytes(&self, kind: TypeUrl) -> usize {
        self.iter(kind).map(|resource| resource.body.len()).sum()
    }

    pub(crate) fn collection(&self, kind: TypeUrl) -> &Arc<Collection> {
        &self.collections[kind.index()]
    }
}

impl Collection {
    pub(crate) fn get(&self, name: &str) -> Option<&Arc<Resource>> {
        self.entries.get(name)
    }

    pub(crate) fn iter(&self) -> impl ExactSizeIterator<Item = (&Arc<str>, &Arc<Resource>)> {
        self.entries.iter()
    }

    /// The names by which this differs from `seen`, if this was made to follow it.
    pub(crate) fn changed_since(&self, seen: &Weak<Self>) -> Option<&[Arc<str>]> {
        let followed = self.followed.as_ref()?;
        Weak::ptr_eq(&followed.previous, seen).then_some(&*followed.changed)
    }

    fn following(self: Arc<Self>, old: &Arc<Self>) -> Arc<Self> {
        let mut changed: Vec<Arc<str>> = old
            .entries
            .keys()
            .filter(|name| !self.entries.contains_key(*name))
            .cloned()
            .collect();
        let mut entries = BTreeMap::new();
        for (name, resource) in &self.entries {
            let shared = match old.entries.get(name) {
                Some(known) if known.version == resource.version => known,
                Some(_) | None => {
                    changed.push(name.clone());
                    resource
                }
            };
            entries.insert(shared.name.clone(), shared.clone());
        }
        if changed.is_empty() {
            return old.clone();
        }
        changed.sort();
        let followed = Some(Followed {
            previous: Arc::downgrade(old),
            changed: changed.into(),
        });
        Arc::new(Self { entries, followed })
    }
}

impl fmt::Debug for ResourceSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut map = f.debug_map();
        for kind in TypeUrl::ALL {
            map.entry(&kind, &self.iter(kind).collect::<Vec<_>>());
        }
        map.finish()
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::Version;

    fn resource(
        kind: TypeUrl,
        name: &str,
        version: u128,
        requires: &[(TypeUrl, &str)],
    ) -> (TypeUrl, Arc<Resource>) {
        let requires = requires
            .iter()
            .map(|(kind, name)| (*kind, Arc::from(*name)))
            .collect();
        let body = Bytes::from_static(b"12345");
        (
            kind,
            Arc::new(Resource {
                name: name.into(),
                version: Version(version),
                body,
                requires,
            }),
        )
    }

    fn cluster(name: &str, version: u128) -> (TypeUrl, Arc<Resource>) {
        resource(TypeUrl::Cluster, name, version, &[])
    }

    #[test]
    fn listener_without_its_route_config_is_refused() {
        let refused = ResourceSet::new([resource(
            TypeUrl::Listener,
            "l",
            1,
            &[(TypeUrl::Route, "r")],
        )])
        .unwrap_err();
        assert_eq!(
            refused.to_string(),
            "LDS resource l requires RDS resource r, which is not in the set"
        );
    }

    #[test]
    fn cluster_without_its_endpoints_is_refused() {
        let cluster = resource(TypeUrl::Cluster, "c", 1, &[(TypeUrl::Endpoints, "e")]);
        assert!(ResourceSet::new([cluster.clone()]).is_err());
        assert!(ResourceSet::new([cluster, resource(TypeUrl::Endpoints, "e", 1, &[])]).is_ok());
    }

    #[test]
    fn secrets_and_clusters_may_be_missing() {
        let requires = [(TypeUrl::Secret, "s"), (TypeUrl::Cluster, "c")];
        assert!(ResourceSet::new([resource(TypeUrl::Listener, "l", 1, &requires)]).is_ok());
    }

    #[test]
    fn following_set_shares_what_is_equal_and_knows_the_rest() {
        let old = ResourceSet::new([cluster("a", 1), cluster("b", 1), cluster("c", 1)]).unwrap();
        let new = ResourceSet::new([cluster("a", 1), cluster("b", 2), cluster("d", 1)]).unwrap();
        let new = new.following(&old);
        let shared = |name| {
            let (old, new) = (
                old.get(TypeUrl::Cluster, name),
                new.get(TypeUrl::Cluster, name),
            );
            old.zip(new).is_some_and(|(old, new)| Arc::ptr_eq(old, new))
        };
        assert!(shared("a") && !shared("b"));
        let seen = Arc::downgrade(old.collection(TypeUrl::Cluster));
        let changed = new
            .collection(TypeUrl::Cluster)
            .changed_since(&seen)
            .unwrap();
        assert_eq!(changed, ["b".into(), "c".into(), "d".into()]);
        let listeners = new.collection(TypeUrl::Listener);
        assert!(Arc::ptr_eq(listeners, old.collection(TypeUrl::Listener)));
    }

    #[test]
    fn set_made_without_a_predecessor_claims_no_difference() {
        let old = ResourceSet::new([cluster("a", 1)]).unwrap();
        let new = ResourceSet::new([cluster("a", 2)]).unwrap();
        let seen = Arc::downgrade(old.collection(TypeUrl::Cluster));
        assert_eq!(new.collection(TypeUrl::Cluster).changed_since(&seen), None);
    }

    #[test]
    fn set_counts_resources_and_bytes_by_type() {
        let set = ResourceSet::new([cluster("a", 1), cluster("b", 1)]).unwrap();
        assert_eq!(
            (set.len(TypeUrl::Cluster), set.bytes(TypeUrl::Cluster)),
            (2, 10)
        );
        assert!(!set.is_empty() && ResourceSet::default().is_empty());
    }
}
