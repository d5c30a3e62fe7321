//! One resource: a name, a version, and an encoded message that nobody here decodes.

use std::{fmt, str::FromStr, sync::Arc};

use bytes::Bytes;

use crate::TypeUrl;

/// The fingerprint of a resource's content. Equal versions mean equal content, also across
/// replicas and restarts: that is why a reconnecting Envoy can be left alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version(pub u128);

/// The text is not a version of ours.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("version `{0}` is not 32 hexadecimal digits")]
pub struct ParseVersionError(String);

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl FromStr for Version {
    type Err = ParseVersionError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        // `from_str_radix` alone would also take a sign.
        let digits = text.len() == 32 && text.bytes().all(|b| b.is_ascii_hexdigit());
        digits
            .then(|| u128::from_str_radix(text, 16).ok())
            .flatten()
            .map(Self)
            .ok_or_else(|| ParseVersionError(text.to_owned()))
    }
}

/// A resource as it goes to Envoy.
#[derive(Clone, PartialEq, Eq)]
pub struct Resource {
    /// The name that Envoy subscribes to; for endpoints, the cluster's or its EDS service name.
    pub name: Arc<str>,
    /// The fingerprint of `body`.
    pub version: Version,
    /// The encoded message: `value` of the `google.protobuf.Any`.
    pub body: Bytes,
    /// What Envoy will ask for when it has this resource. A cluster names its endpoints here
    /// (they are sent again whenever the cluster is), a listener its route configurations.
    pub requires: Arc<[(TypeUrl, Arc<str>)]>,
}

/// Bodies may hold keys, so only their size is printed.
impl fmt::Debug for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Resource")
            .field("name", &self.name)
            .field("version", &format_args!("{}", self.version))
            .field("bytes", &self.body.len())
            .field("requires", &self.requires)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn version_is_32_hexadecimal_digits_and_reads_back() {
        let version = Version(0xabc);
        assert_eq!(version.to_string(), "00000000000000000000000000000abc");
        assert_eq!(version.to_string().parse(), Ok(version));
    }

    #[test]
    fn foreign_version_is_refused() {
        for text in [
            "",
            "1",
            "+0000000000000000000000000000abc",
            "2024-01-01T00:00:00Z/12345678901",
        ] {
            assert!(text.parse::<Version>().is_err(), "{text}");
        }
    }

    #[test]
    fn debug_output_hides_the_body() {
        let secret = Resource {
            name: "s".into(),
            version: Version(1),
            body: Bytes::from_static(b"PRIVATE KEY"),
            requires: Arc::default(),
        };
        assert!(!format!("{secret:?}").contains("PRIVATE"));
    }
}
