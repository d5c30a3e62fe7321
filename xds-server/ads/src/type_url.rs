//! The resource types that this server serves.

use std::fmt;

/// A type of xDS resource, in make-before-break order: what comes first must be in place before
/// what comes later may refer to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TypeUrl {
    /// `envoy.config.cluster.v3.Cluster`, by CDS.
    Cluster,
    /// `envoy.config.endpoint.v3.ClusterLoadAssignment`, by EDS.
    Endpoints,
    /// `envoy.config.listener.v3.Listener`, by LDS.
    Listener,
    /// `envoy.config.route.v3.RouteConfiguration`, by RDS.
    Route,
    /// `envoy.extensions.transport_sockets.tls.v3.Secret`, by SDS.
    Secret,
}

impl TypeUrl {
    /// Every type, in order.
    pub const ALL: [Self; 5] = [
        Self::Cluster,
        Self::Endpoints,
        Self::Listener,
        Self::Route,
        Self::Secret,
    ];

    /// The URL on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Cluster => "type.googleapis.com/envoy.config.cluster.v3.Cluster",
            Self::Endpoints => "type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment",
            Self::Listener => "type.googleapis.com/envoy.config.listener.v3.Listener",
            Self::Route => "type.googleapis.com/envoy.config.route.v3.RouteConfiguration",
            Self::Secret => "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret",
        }
    }

    /// The short name that Envoy's documentation and people use, for metrics and logs.
    pub const fn short(self) -> &'static str {
        match self {
            Self::Cluster => "CDS",
            Self::Endpoints => "EDS",
            Self::Listener => "LDS",
            Self::Route => "RDS",
            Self::Secret => "SDS",
        }
    }

    /// The type with this URL, if this server serves it.
    pub fn parse(url: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == url)
    }

    pub(crate) const fn index(self) -> usize {
        self as usize
    }

    /// Clusters and listeners: an empty first subscription means all of them, and a
    /// state-of-the-world response without one of them removes it.
    pub(crate) const fn is_full_state(self) -> bool {
        match self {
            Self::Cluster | Self::Listener => true,
            Self::Endpoints | Self::Route | Self::Secret => false,
        }
    }
}

impl fmt::Display for TypeUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.short())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn url_and_type_are_inverse() {
        for kind in TypeUrl::ALL {
            assert_eq!(TypeUrl::parse(kind.as_str()), Some(kind));
            assert_eq!(TypeUrl::ALL[kind.index()], kind);
        }
        assert_eq!(
            TypeUrl::parse("type.googleapis.com/envoy.service.runtime.v3.Runtime"),
            None
        );
    }
}
