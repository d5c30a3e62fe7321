//! The names that a workload's certificate vouches for.
//!
//! One URI, `spiffe://TRUST_DOMAIN/ns/NAMESPACE/sa/SERVICE_ACCOUNT`, then DNS names in this order, each
//! at most once: the class, the Pod, the Pod's uid. Gateways read the FIRST DNS name as the class, so
//! the order is part of the contract, and whatever does not follow it is refused when read back.
//! A certificate of Istio's own CA has the URI alone: a workload without class and Pod.

use sluice_plan::identity::{
    CLASS_SUFFIX, ClassId, IdentityError, POD_SUFFIX, SpiffeId, UID_SUFFIX, is_dns_label,
    is_dns_subdomain,
};

/// The names in one workload's certificate. The Pod is in the namespace of the SPIFFE id.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct WorkloadNames {
    spiffe: SpiffeId,
    class: Option<ClassId>,
    pod: Option<String>,
    uid: Option<String>,
}

/// Why names are not those of a workload.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NamesError {
    /// Exactly one URI is expected, the SPIFFE id.
    #[error("a workload's certificate has one URI, this one has {0}")]
    UriCount(usize),
    /// The URI or the class is malformed.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// A Pod's name is a DNS subdomain.
    #[error("`{0}` is not the name of a pod")]
    Pod(String),
    /// A Pod's uid is letters, digits and dashes.
    #[error("`{0}` is not the uid of a pod")]
    Uid(String),
    /// The Pod's name does not belong to the namespace of the SPIFFE id.
    #[error("`{name}` is not a pod of namespace {namespace}")]
    OtherNamespace {
        /// The DNS name.
        name: String,
        /// The namespace of the SPIFFE id.
        namespace: String,
    },
    /// Not a name of ours, a second one of a kind, or out of order.
    #[error("unexpected DNS name `{0}`")]
    UnexpectedDns(String),
}

impl WorkloadNames {
    /// The names of the workload `spiffe`; a gateway fleet has no class, a foreign proxy no Pod.
    pub fn new(
        spiffe: SpiffeId,
        class: Option<ClassId>,
        pod: Option<&str>,
        uid: Option<&str>,
    ) -> Result<Self, NamesError> {
        if let Some(pod) = pod.filter(|pod| !is_dns_subdomain(pod)) {
            return Err(NamesError::Pod(pod.to_owned()));
        }
        if let Some(uid) = uid.filter(|uid| !is_dns_label(uid)) {
            return Err(NamesError::Uid(uid.to_owned()));
        }
        Ok(Self {
            spiffe,
            class,
            pod: pod.map(str::to_owned),
            uid: uid.map(str::to_owned),
        })
    }

    /// Reads the names back from a certificate's subject alternative names, in their order.
    pub fn from_sans<'a>(
        uris: impl IntoIterator<Item = &'a str>,
        dns_names: impl IntoIterator<Item = &'a str>,
    ) -> Result<Self, NamesError> {
        let uris: Vec<&str> = uris.into_iter().collect();
        let [uri] = uris.as_slice() else {
            return Err(NamesError::UriCount(uris.len()));
        };
        let spiffe = SpiffeId::parse(uri)?;

        let mut dns_names = dns_names.into_iter().peekable();
        let class = dns_names
            .next_if(|name| name.ends_with(CLASS_SUFFIX))
            .map(|name| ClassId::parse(without(name, CLASS_SUFFIX)))
            .transpose()?;
        let pod = dns_names
            .next_if(|name| name.ends_with(POD_SUFFIX))
            .map(|name| pod_of(name, spiffe.namespace()))
            .transpose()?;
        let uid = dns_names
            .next_if(|name| name.ends_with(UID_SUFFIX))
            .map(|name| without(name, UID_SUFFIX));
        match dns_names.next() {
            Some(name) => Err(NamesError::UnexpectedDns(name.to_owned())),
            None => Self::new(spiffe, class, pod, uid),
        }
    }

    /// The workload's SPIFFE id.
    pub fn spiffe(&self) -> &SpiffeId {
        &self.spiffe
    }

    /// The class that gateways key their rules on; absent for gateway fleets.
    pub fn class(&self) -> Option<ClassId> {
        self.class
    }

    /// The Pod's namespace and name.
    pub fn pod(&self) -> Option<(&str, &str)> {
        let name = self.pod.as_deref()?;
        Some((self.spiffe.namespace(), name))
    }

    /// The Pod's uid.
    pub fn uid(&self) -> Option<&str> {
        self.uid.as_deref()
    }

    /// The certificate's one URI.
    pub fn uri(&self) -> String {
        self.spiffe.to_string()
    }

    /// The certificate's DNS names, in their order.
    pub fn dns_names(&self) -> Vec<String> {
        let class = self.class.map(ClassId::dns_name);
        let pod = self
            .pod()
            .map(|(namespace, name)| format!("{name}.{namespace}{POD_SUFFIX}"));
        let uid = self.uid().map(|uid| format!("{uid}{UID_SUFFIX}"));
        [class, pod, uid].into_iter().flatten().collect()
    }
}

/// A Pod's name may hold dots, a namespace may not: the last label is the namespace.
fn pod_of<'a>(name: &'a str, namespace: &str) -> Result<&'a str, NamesError> {
    without(name, POD_SUFFIX)
        .strip_suffix(namespace)
        .and_then(|rest| rest.strip_suffix('.'))
        .ok_or_else(|| NamesError::OtherNamespace {
            name: name.to_owned(),
            namespace: namespace.to_owned(),
        })
}

fn without<'a>(name: &'a str, suffix: &str) -> &'a str {
    name.strip_suffix(suffix).unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    const UID: &str = "7f6c2a52-3a5e-4a0e-9b0f-0d3c9b1f2a11";

    fn spiffe() -> SpiffeId {
        SpiffeId::new("cluster.local", "shop", "checkout").unwrap()
    }

    fn class() -> ClassId {
        ClassId::of("shop", "checkout", [("app", "web")])
    }

    fn read(uris: &[&str], dns_names: &[&str]) -> Result<WorkloadNames, NamesError> {
        WorkloadNames::from_sans(uris.iter().copied(), dns_names.iter().copied())
    }

    #[test]
    fn class_comes_first_then_pod_then_uid() {
        let names =
            WorkloadNames::new(spiffe(), Some(class()), Some("web-0.a"), Some(UID)).unwrap();

        assert_eq!(
            names.dns_names(),
            [
                "a067f63bc714296d6a52593de58399e1.class.sluice.internal".to_owned(),
                "web-0.a.shop.pod.sluice.internal".to_owned(),
                format!("{UID}.uid.sluice.internal"),
            ]
        );
    }

    #[test]
    fn names_read_what_they_write() {
        let whole = WorkloadNames::new(spiffe(), Some(class()), Some("web-0"), Some(UID)).unwrap();
        let gateway = WorkloadNames::new(spiffe(), None, Some("egress.1"), None).unwrap();
        let foreign = WorkloadNames::new(spiffe(), None, None, None).unwrap();

        for names in [whole, gateway, foreign] {
            let dns_names = names.dns_names();
            let again =
                WorkloadNames::from_sans([&*names.uri()], dns_names.iter().map(String::as_str));
            assert_eq!(again.unwrap(), names);
        }
    }

    #[test]
    fn names_out_of_order_or_twice_are_refused() {
        let uri = spiffe().to_string();
        let class = class().dns_name();
        let pod = "web-0.shop.pod.sluice.internal";

        assert!(read(&[&uri], &[&class, pod]).is_ok());
        assert!(read(&[&uri], &[pod, &class]).is_err());
        assert!(read(&[&uri], &[&class, &class]).is_err());
        assert!(read(&[&uri], &[&class, pod, pod]).is_err());
        assert!(read(&[&uri], &["sluice.sluice-system.svc"]).is_err());
        assert!(read(&[], &[&class]).is_err());
        assert!(read(&[&uri, &uri], &[&class]).is_err());
    }

    #[test]
    fn pod_of_another_namespace_is_refused() {
        let uri = spiffe().to_string();

        for name in [
            "web-0.bank.pod.sluice.internal",
            "web-0shop.pod.sluice.internal",
            "shop.pod.sluice.internal",
            ".shop.pod.sluice.internal",
            "Web-0.shop.pod.sluice.internal",
            "*.shop.pod.sluice.internal",
        ] {
            assert!(read(&[&uri], &[name]).is_err(), "{name}");
        }
    }

    #[test]
    fn malformed_class_or_uid_is_refused() {
        let uri = spiffe().to_string();

        assert!(read(&[&uri], &["00.class.sluice.internal"]).is_err());
        assert!(read(&[&uri], &[".uid.sluice.internal"]).is_err());
        assert!(read(&[&uri], &["a.b.uid.sluice.internal"]).is_err());
    }
}
