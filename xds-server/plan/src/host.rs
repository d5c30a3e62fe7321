//! Host names as Istio's objects write them: exact, `*.suffix`, or `*`.
//!
//! Semantics as Istio's `host.Name`: `*.foo.com` does not cover `foo.com`; two hosts
//! *overlap* if some name matches both.

use std::{cmp::Ordering, fmt, sync::Arc};

/// A host name or wildcard, lower-case, without trailing dot.
///
/// The order is by specificity: exact names first, then longer suffixes, then the alphabet.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Host(Arc<str>);

impl Host {
    /// The host written as `text`. Never fails: syntax was checked when the object was read.
    pub fn new(text: &str) -> Self {
        let text = text.strip_suffix('.').unwrap_or(text);
        Self(text.to_ascii_lowercase().into())
    }

    /// The text, such as `*.example.com`.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether the host stands for more than one name.
    pub fn is_wildcard(&self) -> bool {
        self.0.starts_with('*')
    }

    /// Whether every name of `other` is a name of `self`.
    pub fn covers(&self, other: &Self) -> bool {
        match self.0.strip_prefix('*') {
            Some(suffix) => other
                .0
                .strip_prefix('*')
                .unwrap_or(&other.0)
                .ends_with(suffix),
            None => self == other,
        }
    }

    /// Whether some name belongs to both.
    pub fn overlaps(&self, other: &Self) -> bool {
        self.covers(other) || other.covers(self)
    }

    /// Whether the exact name `name` belongs to this host.
    pub fn matches(&self, name: &str) -> bool {
        self.covers(&Self::new(name))
    }

    /// The part of both: the more specific one, if they overlap.
    pub fn intersection(&self, other: &Self) -> Option<Self> {
        if self.covers(other) {
            Some(other.clone())
        } else if other.covers(self) {
            Some(self.clone())
        } else {
            None
        }
    }

    /// The hosts that a rule for this host may be written as, most specific first:
    /// `a.b.com`, `*.b.com`, `*.com`, `*`.
    pub fn lookup_chain(&self) -> Vec<Self> {
        let mut chain = vec![self.clone()];
        let mut rest: &str = self.0.strip_prefix("*.").unwrap_or(&self.0);
        while let Some((_, parent)) = rest.split_once('.') {
            chain.push(Self(format!("*.{parent}").into()));
            rest = parent;
        }
        if self.as_str() != "*" {
            chain.push(Self("*".into()));
        }
        chain
    }
}

impl Ord for Host {
    fn cmp(&self, other: &Self) -> Ordering {
        (self.is_wildcard().cmp(&other.is_wildcard()))
            .then_with(|| {
                if self.is_wildcard() {
                    other.0.len().cmp(&self.0.len())
                } else {
                    Ordering::Equal
                }
            })
            .then_with(|| self.0.cmp(&other.0))
    }
}

impl PartialOrd for Host {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl serde::Serialize for Host {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(text: &str) -> Host {
        Host::new(text)
    }

    #[test]
    fn a_wildcard_does_not_cover_its_own_domain() {
        assert!(host("*.foo.com").covers(&host("a.foo.com")));
        assert!(host("*.foo.com").covers(&host("*.a.foo.com")));
        assert!(host("*.foo.com").covers(&host("*.foo.com")));
        assert!(!host("*.foo.com").covers(&host("foo.com")));
        assert!(!host("*.foo.com").covers(&host("a.xfoo.com")));
        assert!(!host("*.foo.com").covers(&host("*.com")));
    }

    #[test]
    fn a_star_covers_everything() {
        for other in ["a", "a.b", "*.b", "*"] {
            assert!(host("*").covers(&host(other)), "{other}");
        }
    }

    #[test]
    fn names_are_compared_without_case_and_trailing_dot() {
        assert_eq!(host("API.Example.com."), host("api.example.com"));
    }

    #[test]
    fn the_more_specific_host_comes_first() {
        let mut hosts = ["*", "*.com", "*.foo.com", "b.foo.com", "a.foo.com"].map(host);
        hosts.sort();
        assert_eq!(
            hosts,
            ["a.foo.com", "b.foo.com", "*.foo.com", "*.com", "*"].map(host)
        );
    }

    #[test]
    fn the_intersection_is_the_narrower_host() {
        assert_eq!(
            host("*.foo.com").intersection(&host("a.foo.com")),
            Some(host("a.foo.com"))
        );
        assert_eq!(host("a.foo.com").intersection(&host("b.foo.com")), None);
    }

    #[test]
    fn a_lookup_goes_from_the_name_to_the_star() {
        let chain = |text| {
            host(text)
                .lookup_chain()
                .iter()
                .map(Host::to_string)
                .collect::<Vec<_>>()
        };
        assert_eq!(chain("a.b.com"), ["a.b.com", "*.b.com", "*.com", "*"]);
        assert_eq!(chain("*.b.com"), ["*.b.com", "*.com", "*"]);
        assert_eq!(chain("*"), ["*"]);
    }
}
