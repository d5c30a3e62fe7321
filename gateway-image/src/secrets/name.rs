//! The names of secrets that stand for files, as Istio spells them.

use std::path::{Path, PathBuf};

/// What a name stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum FileName {
    /// `file-cert:CERT~KEY`
    Certificate {
        /// The chain.
        chain: PathBuf,
        /// The key.
        key: PathBuf,
    },
    /// `file-root:PATH`
    Roots(PathBuf),
    /// `file-root:system`
    SystemRoots,
}

/// Why a name stands for no file.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub(super) enum NameError {
    /// Neither `file-cert:` nor `file-root:`.
    #[error("not the name of a secret in a file")]
    Other,
    /// No `~` between two paths.
    #[error("expected file-cert:CERTIFICATE~KEY")]
    Form,
    /// A path that depends on the working directory, or climbs.
    #[error("path {0} is not absolute, or contains '..'")]
    Path(String),
}

impl FileName {
    pub(super) fn parse(name: &str) -> Result<Self, NameError> {
        if let Some(paths) = name.strip_prefix("file-cert:") {
            let (chain, key) = paths.split_once('~').ok_or(NameError::Form)?;
            return Ok(Self::Certificate {
                chain: absolute(chain)?,
                key: absolute(key)?,
            });
        }
        match name.strip_prefix("file-root:") {
            Some("system") => Ok(Self::SystemRoots),
            Some(path) => Ok(Self::Roots(absolute(path)?)),
            None => Err(NameError::Other),
        }
    }
}

fn absolute(path: &str) -> Result<PathBuf, NameError> {
    let climbs = Path::new(path)
        .components()
        .any(|part| part == std::path::Component::ParentDir);
    if path.starts_with('/') && !climbs {
        Ok(PathBuf::from(path))
    } else {
        Err(NameError::Path(path.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_istio() {
        assert_eq!(
            FileName::parse("file-cert:/etc/certs/tls.crt~/etc/certs/tls.key"),
            Ok(FileName::Certificate {
                chain: "/etc/certs/tls.crt".into(),
                key: "/etc/certs/tls.key".into()
            })
        );
        assert_eq!(
            FileName::parse("file-root:/etc/certs/ca.crt"),
            Ok(FileName::Roots("/etc/certs/ca.crt".into()))
        );
        assert_eq!(
            FileName::parse("file-root:system"),
            Ok(FileName::SystemRoots)
        );
    }

    #[test]
    fn other_names_and_paths_that_move_are_refused() {
        assert_eq!(FileName::parse("default"), Err(NameError::Other));
        assert_eq!(FileName::parse("file-cert:/a"), Err(NameError::Form));
        for bad in [
            "file-root:",
            "file-root:ca.pem",
            "file-root:/a/../b",
            "file-cert:a~/b",
            "file-cert:/a~b",
        ] {
            assert!(
                matches!(FileName::parse(bad), Err(NameError::Path(_))),
                "{bad}"
            );
        }
    }
}
