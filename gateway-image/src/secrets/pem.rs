//! Reading PEM files that others write, perhaps this very moment.
//!
//! Everything is checked before Envoy sees it: Envoy would reject half-written files too, but
//! its message would name a secret, not a file.

use std::{
    fs::File,
    io::{self, Read as _},
    path::{Path, PathBuf},
};

use rustls::{crypto::ring, sign::CertifiedKey};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _};

use super::{PrivateKey, Secret, name::FileName};

/// Why a file's secret cannot be served.
#[derive(Debug, thiserror::Error)]
pub(super) enum FileError {
    /// Missing, or not for us.
    #[error("{}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// Too large for a PEM file, a directory, a pipe.
    #[error("{}: not a regular file of at most {MAX_FILE_BYTES} bytes", .0.display())]
    Kind(PathBuf),
    /// Not below one of the secret roots.
    #[error("{}: outside of the directories given by --secret-root", .0.display())]
    Outside(PathBuf),
    /// Half-written, or something else.
    #[error("{}: no valid PEM certificate", .0.display())]
    Certificate(PathBuf),
    /// Half-written, encrypted, or something else.
    #[error("{}: no valid unencrypted PEM private key", .0.display())]
    Key(PathBuf),
    /// One of the two was replaced, the other not yet.
    #[error("{} does not belong to the certificate {}", key.display(), chain.display())]
    Mismatch {
        /// The certificate.
        chain: PathBuf,
        /// The key.
        key: PathBuf,
    },
    /// No store at any of the usual places.
    #[error("this system has no certificate store (looked at {})", SYSTEM_ROOTS.join(", "))]
    NoSystemRoots,
}

/// Reads and checks what `name` stands for; with `roots` only below one of them.
pub(super) fn read(name: &FileName, roots: &[PathBuf]) -> Result<Secret, FileError> {
    match name {
        FileName::Certificate { chain, key } => {
            let chain_pem = contents(chain, roots)?;
            let key_pem = contents(key, roots)?;
            check_pair(chain, &chain_pem, key, &key_pem)?;
            Ok(Secret::Certificate {
                chain_pem,
                key_pem: PrivateKey::new(key_pem),
            })
        }
        FileName::Roots(path) => trusted(path, contents(path, roots)?),
        FileName::SystemRoots => {
            let found = SYSTEM_ROOTS
                .iter()
                .map(Path::new)
                .find(|path| path.is_file());
            let path = found.ok_or(FileError::NoSystemRoots)?;
            trusted(path, contents(path, &[])?)
        }
    }
}

/// The PEM certificates of `text`, or `None` when one is broken or there are none.
pub(crate) fn certificates(text: &str) -> Option<Vec<CertificateDer<'static>>> {
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(text.as_bytes()).collect();
    certificates.ok().filter(|found| !found.is_empty())
}

fn trusted(path: &Path, text: String) -> Result<Secret, FileError> {
    certificates(&text).ok_or_else(|| FileError::Certificate(path.to_owned()))?;
    Ok(Secret::Roots(text))
}

fn check_pair(chain: &Path, chain_pem: &str, key: &Path, key_pem: &str) -> Result<(), FileError> {
    let certificates =
        certificates(chain_pem).ok_or_else(|| FileError::Certificate(chain.to_owned()))?;
    let private = PrivateKeyDer::from_pem_slice(key_pem.as_bytes())
        .map_err(|_| FileError::Key(key.to_owned()))?;
    // Keys that ring cannot use (P-521) go to Envoy unchecked: BoringSSL can.
    let Ok(signer) = ring::sign::any_supported_type(&private) else {
        return Ok(());
    };
    match CertifiedKey::new(certificates, signer).keys_match() {
        Err(rustls::Error::InconsistentKeys(rustls::InconsistentKeys::KeyMismatch)) => {
            Err(FileError::Mismatch {
                chain: chain.to_owned(),
                key: key.to_owned(),
            })
        }
        Ok(()) | Err(_) => Ok(()),
    }
}

fn contents(path: &Path, roots: &[PathBuf]) -> Result<String, FileError> {
    let failed = |source| FileError::Read {
        path: path.to_owned(),
        source,
    };
    // Links are followed first: Kubernetes mounts secrets as links, and a link may lead outside.
    let real = path.canonicalize().map_err(failed)?;
    let inside = |root: &PathBuf| root.canonicalize().is_ok_and(|root| real.starts_with(root));
    if !roots.is_empty() && !roots.iter().any(inside) {
        return Err(FileError::Outside(path.to_owned()));
    }
    let metadata = real.metadata().map_err(failed)?;
    if !metadata.is_file() || metadata.len() > MAX_FILE_BYTES {
        return Err(FileError::Kind(path.to_owned()));
    }
    let mut text = String::new();
    File::open(&real)
        .and_then(|file| file.take(MAX_FILE_BYTES).read_to_string(&mut text))
        .map_err(failed)?;
    Ok(text)
}

/// A distribution's whole store is 250 KB.
const MAX_FILE_BYTES: u64 = 4 * 1024 * 1024;

/// Debian and Alpine; Fedora and RHEL; SUSE; OpenELEC; newer RHEL; Alpine and BSD.
const SYSTEM_ROOTS: [&str; 6] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/pki/tls/cacert.pem",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::symlink};

    use super::*;

    fn certified() -> (String, String) {
        let certified = rcgen::generate_simple_self_signed(["x.example".to_owned()]).unwrap();
        (certified.cert.pem(), certified.signing_key.serialize_pem())
    }

    fn pair(dir: &Path) -> FileName {
        FileName::Certificate {
            chain: dir.join("tls.crt"),
            key: dir.join("tls.key"),
        }
    }

    #[test]
    fn certificate_and_key_are_read_together() {
        let dir = tempfile::tempdir().unwrap();
        let (chain, key) = certified();
        fs::write(dir.path().join("tls.crt"), &chain).unwrap();
        assert!(matches!(
            read(&pair(dir.path()), &[]),
            Err(FileError::Read { .. })
        ));

        fs::write(dir.path().join("tls.key"), &key).unwrap();
        let secret = read(&pair(dir.path()), &[]).unwrap();
        assert_eq!(
            secret,
            Secret::Certificate {
                chain_pem: chain,
                key_pem: PrivateKey::new(key)
            }
        );
    }

    #[test]
    fn half_replaced_pair_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let ((chain, key), (other, _)) = (certified(), certified());
        fs::write(dir.path().join("tls.key"), key).unwrap();
        fs::write(dir.path().join("tls.crt"), other).unwrap();
        assert!(matches!(
            read(&pair(dir.path()), &[]),
            Err(FileError::Mismatch { .. })
        ));

        fs::write(dir.path().join("tls.crt"), &chain[..chain.len() / 2]).unwrap();
        assert!(matches!(
            read(&pair(dir.path()), &[]),
            Err(FileError::Certificate(_))
        ));
    }

    #[test]
    fn errors_never_quote_a_key() {
        let dir = tempfile::tempdir().unwrap();
        let (chain, key) = certified();
        fs::write(dir.path().join("tls.crt"), chain).unwrap();
        fs::write(
            dir.path().join("tls.key"),
            key.replace("-----END", "MIGHAgEAMBM"),
        )
        .unwrap();
        let error = read(&pair(dir.path()), &[]).unwrap_err();
        assert!(matches!(error, FileError::Key(_)) && !error.to_string().contains("MIGHAgEAMBM"));
    }

    #[test]
    fn link_out_of_the_secret_roots_is_refused() {
        let (inside, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        fs::write(outside.path().join("ca.pem"), certified().0).unwrap();
        symlink(outside.path().join("ca.pem"), inside.path().join("ca.pem")).unwrap();
        let roots = [inside.path().to_owned()];

        let name = FileName::Roots(inside.path().join("ca.pem"));
        assert!(matches!(read(&name, &roots), Err(FileError::Outside(_))));
        assert!(read(&name, &[]).is_ok());

        fs::write(inside.path().join("own.pem"), certified().0).unwrap();
        assert!(read(&FileName::Roots(inside.path().join("own.pem")), &roots).is_ok());
    }

    #[test]
    fn directory_or_huge_file_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        assert!(matches!(
            read(&FileName::Roots(dir.path().to_owned()), &[]),
            Err(FileError::Kind(_))
        ));
        let huge = dir.path().join("huge");
        File::create(&huge)
            .unwrap()
            .set_len(MAX_FILE_BYTES + 1)
            .unwrap();
        assert!(matches!(
            read(&FileName::Roots(huge), &[]),
            Err(FileError::Kind(_))
        ));
    }
}
