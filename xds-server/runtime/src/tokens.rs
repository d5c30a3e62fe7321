//! Who calls, by token: the seam where Kubernetes' TokenReview goes, and what serves without Kubernetes.
//!
//! Directory mode has a token file, one line `TOKEN,NAMESPACE,SERVICE_ACCOUNT,POD` per Pod, `#` for comments.
//! It is as good as every key of the mesh, so it must be the owner's alone (mode 0600). It is read again when
//! it changes; while it cannot be read nobody is let in. Tokens are kept and compared as SHA-256 digests,
//! all of them, in the same time whichever matches.

use std::{
    collections::HashSet,
    fs::{File, Metadata},
    io::{self, Read},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use sha2::{Digest, Sha256};
use sluice_plan::identity::{is_dns_label, is_dns_subdomain};
use subtle::{Choice, ConditionallySelectable, ConstantTimeEq};
use tonic::Status;

/// A proven caller: a Pod and the service account that it runs as.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Caller {
    /// The Pod's namespace.
    pub namespace: String,
    /// The service account.
    pub service_account: String,
    /// The Pod's name.
    pub pod: String,
    /// The Pod's uid, where the credential is bound to one.
    pub uid: Option<String>,
}

/// Proves who holds a token.
#[tonic::async_trait]
pub trait Authenticator: Send + Sync + 'static {
    /// The caller, or `UNAUTHENTICATED`; `UNAVAILABLE` where it cannot be said now.
    async fn authenticate(&self, token: &str) -> Result<Caller, Status>;
}

/// Why a token file is refused.
#[derive(Debug, thiserror::Error)]
pub enum TokenFileError {
    /// The file cannot be read.
    #[error("token file {}: cannot be read", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        cause: io::Error,
    },
    /// Others than the owner may use the file.
    #[error(
        "token file {}: mode {mode:04o} lets others read it; run `chmod 600 {}`",
        path.display(),
        path.display()
    )]
    Mode {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// A line is not one of ours. The line itself is not shown: it may hold a token.
    #[error("token file {}:{line}: {problem}", path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// Counted from 1.
        line: usize,
        /// What is wrong.
        problem: &'static str,
    },
}

/// The callers of a token file, read again whenever it changes.
#[derive(Debug)]
pub struct Tokens {
    path: PathBuf,
    loaded: Mutex<Loaded>,
}

#[derive(Clone, Debug)]
struct Loaded {
    stamp: Stamp,
    entries: Arc<[Entry]>,
}

#[derive(Debug)]
struct Entry {
    digest: [u8; 32],
    caller: Caller,
}

/// What tells one state of a file from another, without reading it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    device: u64,
    inode: u64,
    size: u64,
    mode: u32,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Tokens {
    /// Reads the file; it must exist, be the owner's alone, and be well-formed.
    pub fn read(path: &Path) -> Result<Self, TokenFileError> {
        Ok(Self {
            path: path.to_owned(),
            loaded: Mutex::new(load(path)?),
        })
    }

    /// The caller whose token this is, by the file as it is now.
    pub fn caller(&self, token: &str) -> Result<Option<Caller>, TokenFileError> {
        let entries = self.entries()?;
        let presented: [u8; 32] = Sha256::digest(token.trim()).into();
        let mut found = u64::MAX;
        for (index, entry) in (0..).zip(entries.iter()) {
            let matches: Choice = entry.digest.ct_eq(&presented);
            found.conditional_assign(&index, matches);
        }
        let entry = usize::try_from(found)
            .ok()
            .and_then(|index| entries.get(index));
        Ok(entry.map(|entry| entry.caller.clone()))
    }

    fn entries(&self) -> Result<Arc<[Entry]>, TokenFileError> {
        let metadata = std::fs::metadata(&self.path).map_err(read_error(&self.path))?;
        let mut loaded = self.loaded.lock().unwrap_or_else(PoisonError::into_inner);
        if loaded.stamp != Stamp::of(&metadata) {
            *loaded = load(&self.path)?;
            tracing::info!(
                path = %self.path.display(),
                tokens = loaded.entries.len(),
                "read the token file again"
            );
        }
        Ok(Arc::clone(&loaded.entries))
    }
}

#[tonic::async_trait]
impl Authenticator for Tokens {
    async fn authenticate(&self, token: &str) -> Result<Caller, Status> {
        match self.caller(token) {
            Ok(Some(caller)) => Ok(caller),
            Ok(None) => Err(Status::unauthenticated("unknown token")),
            Err(error) => {
                // The caller learns nothing of our files; the operator must act.
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "cannot check a token"
                );
                Err(Status::unavailable(
                    "tokens cannot be checked at the moment",
                ))
            }
        }
    }
}

impl Stamp {
    fn of(metadata: &Metadata) -> Self {
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            size: metadata.size(),
            mode: metadata.mode(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        }
    }
}

fn load(path: &Path) -> Result<Loaded, TokenFileError> {
    let mut file = File::open(path).map_err(read_error(path))?;
    // Of the open file, so that what was checked is what is read.
    let metadata = file.metadata().map_err(read_error(path))?;
    let mode = metadata.mode() & 0o7777;
    if mode & 0o077 != 0 {
        return Err(TokenFileError::Mode {
            path: path.to_owned(),
            mode,
        });
    }
    let mut text = String::new();
    file.read_to_string(&mut text).map_err(read_error(path))?;
    let entries = parse(&text).map_err(|(line, problem)| TokenFileError::Line {
        path: path.to_owned(),
        line,
        problem,
    })?;
    Ok(Loaded {
        stamp: Stamp::of(&metadata),
        entries: entries.into(),
    })
}

fn parse(text: &str) -> Result<Vec<Entry>, (usize, &'static str)> {
    let mut entries = Vec::new();
    let mut seen = HashSet::new();
    for (number, line) in (1..).zip(text.lines()) {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let entry = parse_line(line).map_err(|problem| (number, problem))?;
        if !seen.insert(entry.digest) {
            return Err((number, "the same token stands on an earlier line"));
        }
        entries.push(entry);
    }
    Ok(entries)
}

fn parse_line(line: &str) -> Result<Entry, &'static str> {
    let fields: Vec<&str> = line.split(',').map(str::trim).collect();
    let [token, namespace, service_account, pod] = fields.as_slice() else {
        return Err("expected TOKEN,NAMESPACE,SERVICE_ACCOUNT,POD");
    };
    if token.is_empty() || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err("the token must be printable ASCII without blanks");
    }
    if !is_dns_label(namespace) {
        return Err("the second field is not the name of a namespace");
    }
    if !is_dns_subdomain(service_account) {
        return Err("the third field is not the name of a service account");
    }
    if !is_dns_subdomain(pod) {
        return Err("the fourth field is not the name of a pod");
    }
    Ok(Entry {
        digest: Sha256::digest(token).into(),
        caller: Caller {
            namespace: (*namespace).to_owned(),
            service_account: (*service_account).to_owned(),
            pod: (*pod).to_owned(),
            uid: None,
        },
    })
}

fn read_error(path: &Path) -> impl FnOnce(io::Error) -> TokenFileError {
    let path = path.to_owned();
    move |cause| TokenFileError::Read { path, cause }
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt};

    use tempfile::TempDir;

    use super::*;

    fn file(text: &str, mode: u32) -> (TempDir, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("tokens");
        write(&path, text, mode);
        (dir, path)
    }

    fn write(path: &Path, text: &str, mode: u32) {
        fs::write(path, text).unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }

    fn checkout() -> Caller {
        Caller {
            namespace: "shop".to_owned(),
            service_account: "checkout".to_owned(),
            pod: "web-0".to_owned(),
            uid: None,
        }
    }

    #[test]
    fn token_names_its_caller() {
        let (_dir, path) = file(
            "# who,where\n\nabc,shop,checkout,web-0\nabd,shop,cart,web-1\n",
            0o600,
        );
        let tokens = Tokens::read(&path).unwrap();

        assert_eq!(tokens.caller("abc").unwrap(), Some(checkout()));
        assert_eq!(tokens.caller("abc\n").unwrap(), Some(checkout()));
        assert_eq!(tokens.caller("abd").unwrap().unwrap().pod, "web-1");
        for wrong in ["", "ab", "abcd", "ABC", "# who", "abc,shop,checkout,web-0"] {
            assert_eq!(tokens.caller(wrong).unwrap(), None, "{wrong}");
        }
    }

    #[test]
    fn file_that_others_may_read_is_refused_with_the_command_to_run() {
        for mode in [0o644, 0o640, 0o604, 0o620] {
            let (_dir, path) = file("abc,shop,checkout,web-0\n", mode);

            let refused = Tokens::read(&path).unwrap_err().to_string();

            assert!(refused.contains(&format!("mode {mode:04o}")), "{refused}");
            let command = format!("run `chmod 600 {}`", path.display());
            assert!(refused.contains(&command), "{refused}");
        }
    }

    #[test]
    fn malformed_line_is_named_without_its_token() {
        for line in [
            "s3cret",
            "s3cret,shop,checkout",
            "s3cret,shop,checkout,web-0,more",
            "s3cret,Shop,checkout,web-0",
            "s3cret,shop,check out,web-0",
            "s3cret,shop,checkout,",
            "s3 cret,shop,checkout,web-0",
            ",shop,checkout,web-0",
        ] {
            let (_dir, path) = file(&format!("# first\n{line}\n"), 0o600);

            let refused = Tokens::read(&path).unwrap_err().to_string();

            assert!(refused.contains("tokens:2: "), "{refused}");
            // Without the path, whose random part could hold any two letters.
            let said = refused.replace(&path.display().to_string(), "");
            assert!(!said.contains("s3"), "{refused}");
        }
    }

    #[test]
    fn token_of_two_pods_is_refused() {
        let (_dir, path) = file("abc,shop,checkout,web-0\nabc,shop,cart,web-1\n", 0o600);

        assert!(Tokens::read(&path).is_err());
    }

    #[test]
    fn changed_file_is_read_again() {
        let (_dir, path) = file("abc,shop,checkout,web-0\n", 0o600);
        let tokens = Tokens::read(&path).unwrap();

        write(&path, "xyz,shop,checkout,web-0\n", 0o600);

        assert_eq!(tokens.caller("abc").unwrap(), None);
        assert_eq!(tokens.caller("xyz").unwrap(), Some(checkout()));
    }

    #[tokio::test]
    async fn nobody_is_let_in_while_the_file_is_open_to_others_or_gone() {
        let (_dir, path) = file("abc,shop,checkout,web-0\n", 0o600);
        let tokens = Tokens::read(&path).unwrap();

        write(&path, "abc,shop,checkout,web-0\n", 0o644);
        let open = tokens.authenticate("abc").await.unwrap_err();
        fs::remove_file(&path).unwrap();
        let gone = tokens.authenticate("abc").await.unwrap_err();
        write(&path, "abc,shop,checkout,web-0\n", 0o600);
        let back = tokens.authenticate("abc").await;

        assert_eq!(open.code(), tonic::Code::Unavailable);
        assert_eq!(gone.code(), tonic::Code::Unavailable);
        assert_eq!(back.unwrap(), checkout());
    }

    #[test]
    fn tokens_are_not_printed() {
        let (_dir, path) = file("s3cret,shop,checkout,web-0\n", 0o600);

        assert!(!format!("{:?}", Tokens::read(&path).unwrap()).contains("s3cret"));
    }
}
