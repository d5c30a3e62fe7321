//! Who may fetch what: a proxy gets the configuration of its own identity, and no other.
//!
//! The certificate proves namespace, service account and Pod. The Pod object, by that name, gives
//! labels, role and class. What the proxy says of itself only has to agree: a mismatch is a proxy
//! that runs with somebody else's certificate, or a certificate older than the Pod's labels.

use sluice_ads::{Node, Peer};
use sluice_crd::{core::pod::Pod, object::Resource};
use sluice_identity::{WorkloadNames, names::NamesError};
use sluice_plan::identity::{ClassId, SpiffeId};
use sluice_resolve::{Catalog, ProxyIdentity, class_of, role};
use tonic::Status;

use crate::node::{NodeId, NodeIdError, prefix};

/// Why a proxy gets nothing.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refused {
    #[error(
        "xDS needs a workload certificate; get one by istio.v1.auth.IstioCertificateService/CreateCertificate"
    )]
    NoCertificate,
    #[error("the certificate is not of a workload: {0}")]
    NotAWorkload(#[from] NamesError),
    #[error("{spiffe} is not of this mesh, whose trust domain is {trust_domain}")]
    TrustDomain {
        spiffe: SpiffeId,
        trust_domain: String,
    },
    #[error("the certificate of {0} names no pod")]
    NoPod(SpiffeId),
    #[error("pod {0} is not known")]
    UnknownPod(String),
    #[error("pod {pod} runs as service account {present}, not {proven}")]
    ServiceAccount {
        pod: String,
        present: String,
        proven: String,
    },
    #[error(
        "the certificate is of a pod {pod} with uid {proven}, which is gone; now it has uid {present}"
    )]
    Uid {
        pod: String,
        present: String,
        proven: String,
    },
    #[error("the certificate of pod {pod} is of {}, the pod is now of {}; get a new certificate",
        class_text(*proven), class_text(*present))]
    Class {
        pod: String,
        present: Option<ClassId>,
        proven: Option<ClassId>,
    },
    #[error("node id: {0}")]
    NodeId(#[from] NodeIdError),
    #[error("node id is of pod {said}, the certificate is of pod {proven}")]
    OtherPod { said: String, proven: String },
    #[error("node id says {said}, but pod {pod} is a {present} by its service account")]
    Role {
        pod: String,
        said: &'static str,
        present: &'static str,
    },
}

impl From<Refused> for Status {
    fn from(refused: Refused) -> Self {
        let message = refused.to_string();
        match refused {
            Refused::NoCertificate | Refused::NotAWorkload(_) => Self::unauthenticated(message),
            Refused::NodeId(_) => Self::invalid_argument(message),
            Refused::UnknownPod(_) => Self::not_found(message),
            Refused::TrustDomain { .. }
            | Refused::NoPod(_)
            | Refused::ServiceAccount { .. }
            | Refused::Uid { .. }
            | Refused::Class { .. }
            | Refused::OtherPod { .. }
            | Refused::Role { .. } => Self::permission_denied(message),
        }
    }
}

/// The proxy at the other end of `peer`, or why its stream is refused.
pub(crate) fn admit(catalog: &Catalog, peer: &Peer, node: &Node) -> Result<ProxyIdentity, Refused> {
    if peer.uri_sans.is_empty() {
        return Err(Refused::NoCertificate);
    }
    let uris = peer.uri_sans.iter().map(String::as_str);
    let dns = peer.dns_sans.iter().map(String::as_str);
    let names = WorkloadNames::from_sans(uris, dns)?;
    check_trust_domain(catalog, names.spiffe())?;
    let Some((namespace, name)) = names.pod() else {
        return Err(Refused::NoPod(names.spiffe().clone()));
    };
    let pod = pod(catalog, namespace, name, names.spiffe().service_account())?;
    check_still_the_same(catalog, &names, pod)?;
    let identity = ProxyIdentity::of(pod);
    check_node(catalog, &identity, node)?;
    Ok(identity)
}

/// The Pod `namespace/name`, if it runs as `service_account`.
pub(crate) fn pod<'a>(
    catalog: &'a Catalog,
    namespace: &str,
    name: &str,
    service_account: &str,
) -> Result<&'a Resource<Pod>, Refused> {
    let Some(pod) = catalog.pod(namespace, name) else {
        return Err(Refused::UnknownPod(format!("{namespace}/{name}")));
    };
    let present = &pod.spec.service_account_name;
    if present != service_account {
        return Err(Refused::ServiceAccount {
            pod: format!("{namespace}/{name}"),
            present: present.clone(),
            proven: service_account.to_owned(),
        });
    }
    Ok(pod)
}

fn check_trust_domain(catalog: &Catalog, spiffe: &SpiffeId) -> Result<(), Refused> {
    let mesh = catalog.mesh();
    let mut known = std::iter::once(&mesh.trust_domain).chain(&mesh.trust_domain_aliases);
    if known.any(|domain| domain == spiffe.trust_domain()) {
        return Ok(());
    }
    Err(Refused::TrustDomain {
        spiffe: spiffe.clone(),
        trust_domain: mesh.trust_domain.clone(),
    })
}

/// A Pod may be another of the same name by now, or have other labels.
fn check_still_the_same(
    catalog: &Catalog,
    names: &WorkloadNames,
    pod: &Resource<Pod>,
) -> Result<(), Refused> {
    let name = || format!("{}/{}", pod.meta.namespace, pod.meta.name);
    if let (Some(proven), Some(present)) = (names.uid(), pod.meta.uid.as_deref())
        && proven != present
    {
        return Err(Refused::Uid {
            pod: name(),
            present: present.to_owned(),
            proven: proven.to_owned(),
        });
    }
    let present = class_of(catalog, pod);
    if names.class() != present {
        return Err(Refused::Class {
            pod: name(),
            present,
            proven: names.class(),
        });
    }
    Ok(())
}

fn check_node(catalog: &Catalog, proven: &ProxyIdentity, node: &Node) -> Result<(), Refused> {
    let ProxyIdentity {
        namespace, name, ..
    } = proven;
    let said: NodeId = node.id.parse()?;
    if (&said.namespace, &said.pod) != (namespace, name) {
        return Err(Refused::OtherPod {
            said: format!("{}/{}", said.namespace, said.pod),
            proven: format!("{namespace}/{name}"),
        });
    }
    let present = role(catalog, namespace, &proven.service_account);
    if said.role != present {
        return Err(Refused::Role {
            pod: format!("{namespace}/{name}"),
            said: prefix(said.role),
            present: prefix(present),
        });
    }
    Ok(())
}

fn class_text(class: Option<ClassId>) -> String {
    class.map_or_else(|| "no class".to_owned(), |class| format!("class {class}"))
}
