//! The questions a derivation may ask of the world.
//!
//! Facts are questions, not objects: whoever asked for the DestinationRules of `a.b.com` has read
//! [`Fact::Rules`] for that host, whether or not any existed, so a rule that appears later finds
//! its readers.

use sluice_plan::host::Host;

/// A question that a derivation asked, or that a change gives a new answer to.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Fact {
    /// Which services (ServiceEntries and Kubernetes Services) have this host?
    Host(Host),
    /// Which services may a namespace see?
    Services,
    /// Which DestinationRules are written for exactly this host?
    Rules(Host),
    /// Which VirtualServices are bound to the mesh?
    MeshRoutes,
    /// Which VirtualServices are bound to this Gateway (`NAMESPACE/NAME`)?
    GatewayRoutes(String),
    /// Which Gateways are there?
    Gateways,
    /// Which Sidecars are in this namespace?
    Sidecars(String),
    /// Which endpoints has this Kubernetes Service (`NAMESPACE/NAME`)?
    Endpoints(String),
    /// Which WorkloadEntries and Pods are in this namespace?
    Workloads(String),
    /// Which AuthorizationPolicies are in this namespace?
    AuthorizationPolicies(String),
    /// Which pods are there, of which account?
    Pods,
    /// What does this Secret (`NAMESPACE/NAME`) hold?
    Secret(String),
    /// Which policies, pools and namespaces say who leaves where, from which address?
    Egress,
    /// What does the mesh config say?
    Mesh,
}
