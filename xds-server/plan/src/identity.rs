//! Who a workload is: its SPIFFE id, and the class that gateways key their rules on.
//!
//! Both are signed into the workload's certificate, so they are the only facts about a client that
//! a gateway believes. The names of this file are rendered into certificates by `sluice-identity`,
//! and compared by the matchers that `sluice-translate` writes: that is why they live here.

use std::{collections::BTreeMap, fmt, str::FromStr, sync::Arc};

use serde::{Serialize, Serializer};
use sha2::{Digest, Sha256};

/// Follows the 32 hex digits of a class in a certificate's DNS name.
pub const CLASS_SUFFIX: &str = ".class.sluice.internal";

/// Follows `POD.NAMESPACE` in a certificate's DNS name.
pub const POD_SUFFIX: &str = ".pod.sluice.internal";

/// Follows the Pod's uid in a certificate's DNS name.
pub const UID_SUFFIX: &str = ".uid.sluice.internal";

/// `spiffe://TRUST_DOMAIN/ns/NAMESPACE/sa/SERVICE_ACCOUNT`, each part checked.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SpiffeId {
    trust_domain: Arc<str>,
    namespace: Arc<str>,
    service_account: Arc<str>,
}

/// Why a string is no identity of a workload.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IdentityError {
    /// Not of the form that Istio gives to workloads.
    #[error("`{0}` is not of the form spiffe://TRUST_DOMAIN/ns/NAMESPACE/sa/SERVICE_ACCOUNT")]
    Form(String),
    /// Lower-case letters, digits, `.`, `-` and `_` only, at most 255 of them.
    #[error("`{0}` is not a trust domain")]
    TrustDomain(String),
    /// A namespace is a DNS label.
    #[error("`{0}` is not the name of a namespace")]
    Namespace(String),
    /// A service account's name is a DNS subdomain.
    #[error("`{0}` is not the name of a service account")]
    ServiceAccount(String),
    /// 32 lower-case hexadecimal digits.
    #[error("`{0}` is not a class id")]
    Class(String),
}

impl SpiffeId {
    /// The identity of `service_account` in `namespace`.
    pub fn new(
        trust_domain: &str,
        namespace: &str,
        service_account: &str,
    ) -> Result<Self, IdentityError> {
        if !is_trust_domain(trust_domain) {
            return Err(IdentityError::TrustDomain(trust_domain.to_owned()));
        }
        if !is_dns_label(namespace) {
            return Err(IdentityError::Namespace(namespace.to_owned()));
        }
        if !is_dns_subdomain(service_account) {
            return Err(IdentityError::ServiceAccount(service_account.to_owned()));
        }
        Ok(Self {
            trust_domain: trust_domain.into(),
            namespace: namespace.into(),
            service_account: service_account.into(),
        })
    }

    /// Reads what [`Display`](fmt::Display) writes, and nothing else: there is one spelling.
    pub fn parse(uri: &str) -> Result<Self, IdentityError> {
        let form = || IdentityError::Form(uri.to_owned());
        let path = uri.strip_prefix("spiffe://").ok_or_else(form)?;
        let parts: Vec<&str> = path.split('/').collect();
        match parts.as_slice() {
            [trust_domain, "ns", namespace, "sa", service_account] => {
                Self::new(trust_domain, namespace, service_account)
            }
            _ => Err(form()),
        }
    }

    /// The trust domain, such as `cluster.local`.
    pub fn trust_domain(&self) -> &str {
        &self.trust_domain
    }

    /// The namespace of the workload.
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    /// The service account that the workload runs as.
    pub fn service_account(&self) -> &str {
        &self.service_account
    }

    /// `TRUST_DOMAIN/ns/NAMESPACE/sa/SERVICE_ACCOUNT`, as an AuthorizationPolicy's `principals` spell it.
    pub fn principal(&self) -> String {
        format!(
            "{}/ns/{}/sa/{}",
            self.trust_domain, self.namespace, self.service_account
        )
    }
}

impl fmt::Display for SpiffeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "spiffe://{}", self.principal())
    }
}

impl FromStr for SpiffeId {
    type Err = IdentityError;

    fn from_str(uri: &str) -> Result<Self, IdentityError> {
        Self::parse(uri)
    }
}

impl Serialize for SpiffeId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// All clients with the same namespace, service account and identity labels.
///
/// Which labels count is the mesh config's `identityLabels`; the caller passes those that the Pod has.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClassId([u8; 16]);

impl ClassId {
    /// The class of the Pods of `service_account` in `namespace` with these identity labels, in any order.
    pub fn of<'a>(
        namespace: &str,
        service_account: &str,
        identity_labels: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Self {
        let labels: BTreeMap<&str, &str> = identity_labels.into_iter().collect();
        let mut hash = Sha256::new_with_prefix(b"sluice class 1\0");
        let fields = [namespace, service_account].into_iter();
        for field in fields.chain(labels.into_iter().flat_map(|(key, value)| [key, value])) {
            // The length keeps `a` + `bc` apart from `ab` + `c`.
            hash.update((field.len() as u64).to_be_bytes());
            hash.update(field);
        }
        let digest: [u8; 32] = hash.finalize().into();
        let mut id = [0; 16];
        id.copy_from_slice(&digest[..16]);
        Self(id)
    }

    /// Reads what [`Display`](fmt::Display) writes: 32 lower-case hexadecimal digits.
    pub fn parse(text: &str) -> Result<Self, IdentityError> {
        let lower_hex = |digit: u8| matches!(digit, b'0'..=b'9' | b'a'..=b'f');
        if text.len() != 32 || !text.bytes().all(lower_hex) {
            return Err(IdentityError::Class(text.to_owned()));
        }
        let number = u128::from_str_radix(text, 16).expect("32 hexadecimal digits are 128 bits");
        Ok(Self(number.to_be_bytes()))
    }

    /// `<32 hex>.class.sluice.internal`, the first DNS name of the certificates of this class.
    pub fn dns_name(self) -> String {
        format!("{self}{CLASS_SUFFIX}")
    }
}

impl fmt::Display for ClassId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", u128::from_be_bytes(self.0))
    }
}

impl fmt::Debug for ClassId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ClassId({self})")
    }
}

impl FromStr for ClassId {
    type Err = IdentityError;

    fn from_str(text: &str) -> Result<Self, IdentityError> {
        Self::parse(text)
    }
}

impl Serialize for ClassId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// A DNS label as Kubernetes names namespaces (RFC 1123): `[a-z0-9]([-a-z0-9]*[a-z0-9])?`, at most 63.
pub fn is_dns_label(name: &str) -> bool {
    name.len() <= 63 && is_label_of_any_length(name)
}

/// A DNS subdomain as Kubernetes names Pods and service accounts: at most 253, its labels of any length.
pub fn is_dns_subdomain(name: &str) -> bool {
    name.len() <= 253 && name.split('.').all(is_label_of_any_length)
}

fn is_label_of_any_length(label: &str) -> bool {
    let word = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let bytes = label.as_bytes();
    bytes.first().is_some_and(|&byte| word(byte))
        && bytes.last().is_some_and(|&byte| word(byte))
        && bytes.iter().all(|&byte| word(byte) || byte == b'-')
}

fn is_trust_domain(name: &str) -> bool {
    let allowed = |byte: u8| {
        byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'.' | b'-' | b'_')
    };
    (1..=255).contains(&name.len()) && name.bytes().all(allowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spiffe_id_reads_what_it_writes() {
        let id = SpiffeId::new("cluster.local", "shop", "checkout.v2").unwrap();

        assert_eq!(
            id.to_string(),
            "spiffe://cluster.local/ns/shop/sa/checkout.v2"
        );
        assert_eq!(SpiffeId::parse(&id.to_string()).unwrap(), id);
        assert_eq!(id.principal(), "cluster.local/ns/shop/sa/checkout.v2");
    }

    #[test]
    fn other_spellings_of_a_spiffe_id_are_refused() {
        for uri in [
            "",
            "spiffe://",
            "cluster.local/ns/shop/sa/checkout",
            "SPIFFE://cluster.local/ns/shop/sa/checkout",
            "spiffe://cluster.local/ns/shop/sa/checkout/",
            "spiffe://cluster.local/ns/shop/sa/",
            "spiffe://cluster.local//ns/shop/sa/checkout",
            "spiffe://cluster.local/sa/checkout/ns/shop",
            "spiffe://Cluster.local/ns/shop/sa/checkout",
            "spiffe://cluster.local/ns/sh.op/sa/checkout",
            "spiffe://cluster.local/ns/../sa/checkout",
            "spiffe://cluster.local/ns/shop/sa/check out",
            "spiffe://cluster.local/ns/shop/sa/checkout?x=y",
        ] {
            assert!(SpiffeId::parse(uri).is_err(), "{uri}");
        }
    }

    #[test]
    fn class_does_not_depend_on_the_order_of_labels() {
        let one = ClassId::of("shop", "checkout", [("app", "web"), ("tier", "front")]);
        let other = ClassId::of("shop", "checkout", [("tier", "front"), ("app", "web")]);

        assert_eq!(one, other);
    }

    #[test]
    fn classes_differ_in_every_part_and_in_where_parts_end() {
        let classes = [
            ClassId::of("shop", "checkout", []),
            ClassId::of("shopc", "heckout", []),
            ClassId::of("shop", "checkout", [("app", "web")]),
            ClassId::of("shop", "checkout", [("appw", "eb")]),
            ClassId::of("shop", "checkout", [("app", "")]),
        ];

        let distinct: std::collections::BTreeSet<_> = classes.iter().collect();
        assert_eq!(distinct.len(), classes.len());
    }

    #[test]
    fn class_reads_what_it_writes_and_nothing_else() {
        let class = ClassId::of("shop", "checkout", [("app", "web")]);
        let text = class.to_string();

        assert_eq!(text.len(), 32);
        assert_eq!(ClassId::parse(&text).unwrap(), class);
        assert_eq!(class.dns_name(), format!("{text}.class.sluice.internal"));
        assert!(ClassId::parse(&text[1..]).is_err());
        assert!(ClassId::parse(&format!("+{}", &text[1..])).is_err());
        assert!(ClassId::parse("ABCDEFABCDEFABCDEFABCDEFABCDEFAB").is_err());
    }

    #[test]
    fn class_of_a_client_is_the_same_in_every_release() {
        let class = ClassId::of("shop", "checkout", [("app", "web")]);

        assert_eq!(class.to_string(), "a067f63bc714296d6a52593de58399e1");
    }
}
