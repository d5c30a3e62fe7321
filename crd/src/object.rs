//! Objects of every kind that Sluice reads, and references to them.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::core::config_map::ConfigMap;
use crate::core::endpoint_slice::EndpointSlice;
use crate::core::namespace::Namespace;
use crate::core::pod::Pod;
use crate::core::secret::Secret;
use crate::core::service::Service;
use crate::istio::authorization_policy::AuthorizationPolicy;
use crate::istio::destination_rule::DestinationRule;
use crate::istio::gateway::Gateway;
use crate::istio::peer_authentication::PeerAuthentication;
use crate::istio::request_authentication::RequestAuthentication;
use crate::istio::service_entry::ServiceEntry;
use crate::istio::sidecar::Sidecar;
use crate::istio::telemetry::Telemetry;
use crate::istio::virtual_service::VirtualService;
use crate::istio::workload_entry::WorkloadEntry;
use crate::sluice::egress_ip_pool::EgressIPPool;
use crate::sluice::egress_policy::{ClusterEgressPolicy, EgressPolicy};
use crate::source::Source;

/// What every object has, from its `metadata`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Meta {
    /// Its name.
    pub name: String,
    /// Its namespace; empty for a cluster-scoped kind.
    pub namespace: String,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// Its annotations.
    pub annotations: BTreeMap<String, String>,
    /// When it was made, in RFC 3339, which sorts as text; absent in files.
    pub creation_timestamp: Option<String>,
    /// Its uid; absent in files.
    pub uid: Option<String>,
    /// Counts changes of its spec; absent in files.
    pub generation: Option<i64>,
    /// The API server's version of it; absent in files.
    pub resource_version: Option<String>,
}

/// An object of one kind.
#[derive(Clone, Debug)]
pub struct Resource<T> {
    /// Its metadata.
    pub meta: Meta,
    /// What it says.
    pub spec: T,
    /// Where it was written, if in a file.
    pub source: Option<Source>,
}

/// Equal if they mean the same: the place and the API server's version do not count.
impl<T: PartialEq> PartialEq for Resource<T> {
    fn eq(&self, other: &Self) -> bool {
        let Meta {
            name,
            namespace,
            labels,
            annotations,
            creation_timestamp,
            uid,
            generation,
            resource_version: _,
        } = &self.meta;
        *name == other.meta.name
            && *namespace == other.meta.namespace
            && *labels == other.meta.labels
            && *annotations == other.meta.annotations
            && *creation_timestamp == other.meta.creation_timestamp
            && *uid == other.meta.uid
            && *generation == other.meta.generation
            && self.spec == other.spec
    }
}

impl<T: Eq> Eq for Resource<T> {}

/// The types that objects of our kinds have as spec.
pub trait Spec: Clone + fmt::Debug + Eq {
    /// The kind.
    const KIND: Kind;
}

impl<T: Spec> Resource<T> {
    /// What names this object.
    pub fn reference(&self) -> ObjectRef {
        ObjectRef {
            kind: T::KIND,
            namespace: self.meta.namespace.clone(),
            name: self.meta.name.clone(),
        }
    }
}

macro_rules! kinds {
    ($($kind:ident: $what:literal,)*) => {
        /// A kind of object that Sluice reads.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum Kind {
            $(#[doc = $what] $kind,)*
        }

        impl Kind {
            /// Every kind.
            pub const ALL: &'static [Self] = &[$(Self::$kind,)*];

            /// Its name in Kubernetes.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$kind => stringify!($kind),)*
                }
            }
        }

        /// An object of any kind; cheap to clone.
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub enum Object {
            $(#[doc = $what] $kind(Arc<Resource<$kind>>),)*
        }

        impl Object {
            /// Its kind.
            pub const fn kind(&self) -> Kind {
                match self {
                    $(Self::$kind(_) => Kind::$kind,)*
                }
            }

            /// Its metadata.
            pub fn meta(&self) -> &Meta {
                match self {
                    $(Self::$kind(resource) => &resource.meta,)*
                }
            }

            /// Where it was written, if in a file.
            pub fn source(&self) -> Option<&Source> {
                match self {
                    $(Self::$kind(resource) => resource.source.as_ref(),)*
                }
            }
        }

        $(
            impl Spec for $kind {
                const KIND: Kind = Kind::$kind;
            }

            impl From<Resource<$kind>> for Object {
                fn from(resource: Resource<$kind>) -> Self {
                    Self::$kind(Arc::new(resource))
                }
            }

            impl From<Arc<Resource<$kind>>> for Object {
                fn from(resource: Arc<Resource<$kind>>) -> Self {
                    Self::$kind(resource)
                }
            }
        )*
    };
}

kinds! {
    Gateway: "Istio's Gateway.",
    VirtualService: "Istio's VirtualService.",
    ServiceEntry: "Istio's ServiceEntry.",
    DestinationRule: "Istio's DestinationRule.",
    Sidecar: "Istio's Sidecar.",
    WorkloadEntry: "Istio's WorkloadEntry.",
    AuthorizationPolicy: "Istio's AuthorizationPolicy.",
    RequestAuthentication: "Istio's RequestAuthentication.",
    PeerAuthentication: "Istio's PeerAuthentication.",
    Telemetry: "Istio's Telemetry.",
    EgressIPPool: "Our EgressIPPool.",
    EgressPolicy: "Our EgressPolicy.",
    ClusterEgressPolicy: "Our ClusterEgressPolicy.",
    Service: "Kubernetes' Service.",
    EndpointSlice: "Kubernetes' EndpointSlice.",
    Secret: "Kubernetes' Secret.",
    Namespace: "Kubernetes' Namespace.",
    Pod: "Kubernetes' Pod.",
    ConfigMap: "Kubernetes' ConfigMap.",
}

impl Kind {
    /// Whether its objects live in a namespace.
    pub const fn is_namespaced(self) -> bool {
        !matches!(
            self,
            Self::Namespace | Self::EgressIPPool | Self::ClusterEgressPolicy
        )
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Object {
    /// What names this object.
    pub fn reference(&self) -> ObjectRef {
        let meta = self.meta();
        ObjectRef {
            kind: self.kind(),
            namespace: meta.namespace.clone(),
            name: meta.name.clone(),
        }
    }
}

/// What names an object.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ObjectRef {
    /// Its kind.
    pub kind: Kind,
    /// Its namespace; empty for a cluster-scoped kind.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

impl fmt::Display for ObjectRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.namespace.is_empty() {
            write!(f, "{} {}", self.kind, self.name)
        } else {
            write!(f, "{} {}/{}", self.kind, self.namespace, self.name)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn place_and_resource_version_do_not_make_objects_differ() {
        let one = Resource {
            meta: Meta::default(),
            spec: Namespace::default(),
            source: None,
        };
        let mut other = one.clone();
        other.meta.resource_version = Some("7".to_owned());
        other.source = Some(Source::document("file.yaml", 1, ""));
        assert_eq!(one, other);
        other.meta.labels.insert("a".to_owned(), "b".to_owned());
        assert_ne!(one, other);
    }
}
