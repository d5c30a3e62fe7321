//! `exportTo`: which namespaces may see an object.

use std::collections::BTreeSet;

/// Which namespaces may see an object.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Visibility {
    /// All.
    Public,
    /// These; may be none (`~`).
    Namespaces(BTreeSet<String>),
}

impl Visibility {
    /// The meaning of `export_to` on an object of `namespace`; `default` is the mesh config's.
    pub(crate) fn new(export_to: &[String], default: &[String], namespace: &str) -> Self {
        let entries = if export_to.is_empty() {
            default
        } else {
            export_to
        };
        if entries.is_empty() || entries.iter().any(|entry| entry == "*") {
            return Self::Public;
        }
        Self::Namespaces(
            entries
                .iter()
                .filter(|entry| *entry != "~")
                .map(|entry| if entry == "." { namespace } else { entry }.to_owned())
                .collect(),
        )
    }

    pub(crate) fn includes(&self, namespace: &str) -> bool {
        match self {
            Self::Public => true,
            Self::Namespaces(namespaces) => namespaces.contains(namespace),
        }
    }

    pub(crate) fn is_public(&self) -> bool {
        matches!(self, Self::Public)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn visibility(export_to: &[&str], default: &[&str]) -> Visibility {
        let owned = |texts: &[&str]| {
            texts
                .iter()
                .map(|text| (*text).to_owned())
                .collect::<Vec<_>>()
        };
        Visibility::new(&owned(export_to), &owned(default), "shop")
    }

    #[test]
    fn without_export_to_all_may_see() {
        assert!(visibility(&[], &[]).includes("any"));
    }

    #[test]
    fn the_mesh_default_stands_in() {
        assert!(visibility(&[], &["."]).includes("shop"));
        assert!(!visibility(&[], &["."]).includes("other"));
        assert!(visibility(&["*"], &["."]).includes("other"));
    }

    #[test]
    fn a_tilde_hides_from_all() {
        assert!(!visibility(&["~"], &[]).includes("shop"));
    }

    #[test]
    fn named_namespaces_see_and_the_own_does_not_unless_named() {
        assert!(visibility(&["bank"], &[]).includes("bank"));
        assert!(!visibility(&["bank"], &[]).includes("shop"));
    }
}
