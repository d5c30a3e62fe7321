//! Istio's node ids: `sidecar~IP~POD.NS~NS.svc.cluster.local`, `router~…` for gateways.

use std::{fmt, str::FromStr};

use sluice_resolve::ProxyRole;

/// What a proxy says of itself. Nothing of it is believed; it must agree with what is proven.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeId {
    /// Gateway or sidecar.
    pub role: ProxyRole,
    /// The pod's address, as text.
    pub address: String,
    /// The pod's name.
    pub pod: String,
    /// The pod's namespace.
    pub namespace: String,
}

/// Why a text is no node id.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is not of the form router~IP~POD.NS~NS.svc.cluster.local or sidecar~IP~POD.NS~NS.svc.cluster.local"
)]
pub struct NodeIdError(String);

impl FromStr for NodeId {
    type Err = NodeIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        parse(text).ok_or_else(|| NodeIdError(text.to_owned()))
    }
}

fn parse(text: &str) -> Option<NodeId> {
    let parts: Vec<&str> = text.split('~').collect();
    let [role, address, workload, domain] = parts.as_slice() else {
        return None;
    };
    let role = match *role {
        "router" => ProxyRole::Gateway,
        "sidecar" => ProxyRole::Sidecar,
        _ => return None,
    };
    let (namespace, _) = domain.split_once(".svc.")?;
    // A pod's name may hold dots, a namespace may not.
    let (pod, of) = workload.rsplit_once('.')?;
    (of == namespace && !pod.is_empty() && !namespace.is_empty()).then(|| NodeId {
        role,
        address: (*address).to_owned(),
        pod: pod.to_owned(),
        namespace: namespace.to_owned(),
    })
}

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            role,
            address,
            pod,
            namespace,
        } = self;
        let role = prefix(*role);
        write!(
            f,
            "{role}~{address}~{pod}.{namespace}~{namespace}.svc.cluster.local"
        )
    }
}

/// How node ids of this role begin.
pub fn prefix(role: ProxyRole) -> &'static str {
    match role {
        ProxyRole::Gateway => "router",
        ProxyRole::Sidecar => "sidecar",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn node_id_reads_what_it_writes() {
        let text = "router~10.0.0.7~egress.v1-0.istio-system~istio-system.svc.cluster.local";
        let id: NodeId = text.parse().unwrap();

        assert_eq!(id.role, ProxyRole::Gateway);
        assert_eq!(id.pod, "egress.v1-0");
        assert_eq!(id.namespace, "istio-system");
        assert_eq!(id.to_string(), text);
    }

    #[test]
    fn other_forms_are_refused() {
        for text in [
            "",
            "router~10.0.0.7~a.shop",
            "waypoint~10.0.0.7~a.shop~shop.svc.cluster.local",
            "router~10.0.0.7~a.shop~bank.svc.cluster.local",
            "router~10.0.0.7~.shop~shop.svc.cluster.local",
            "router~10.0.0.7~a.shop~shop.svc.cluster.local~x",
        ] {
            assert!(text.parse::<NodeId>().is_err(), "{text}");
        }
    }
}
