//! Names that several resources, and people who read configs and logs, must agree on.

/// Cluster of the pod-local agent that serves secrets (in the bootstrap).
pub(crate) const SDS_CLUSTER: &str = "sds-grpc";

/// Filter state: the client's SPIFFE id.
pub(crate) const PEER: &str = "sluice.peer";
/// Filter state: the DNS name of the client's class.
pub(crate) const CLASS: &str = "sluice.class";
/// Filter state: all DNS names of the client's certificate.
pub(crate) const DNS_NAMES: &str = "sluice.names";
/// Filter state: `POD.NAMESPACE`, from the certificate.
pub(crate) const POD: &str = "sluice.pod";
/// Filter state that Envoy's TCP proxy reads: the cluster to use.
pub(crate) const CHOSEN_CLUSTER: &str = "envoy.tcp_proxy.cluster";

/// Route metadata of ours, and in it the object that decides.
pub(crate) const METADATA: &str = "sluice";
/// The key in [`METADATA`].
pub(crate) const RULE: &str = "rule";

/// The internal listener behind the tunnel listener `name`, and the cluster that leads to it.
pub(crate) fn dispatch(name: &str) -> String {
    format!("{name}-dispatch")
}

/// Istio's form: the trailing `;` ends the name in a flat list of statistics.
pub(crate) fn stat(name: &str) -> String {
    format!("{name};")
}
