//! Which files there are.

use std::{
    collections::BTreeSet,
    fs, io,
    path::{Path, PathBuf},
};

/// How deep directories may nest; a loop of symbolic links ends here.
const MAX_DEPTH: usize = 16;

/// What was found below the roots.
#[derive(Debug, Default)]
pub(super) struct Listing {
    /// The files, in path order.
    pub(super) files: BTreeSet<PathBuf>,
    /// What could not be listed. What lies below it may still be there.
    pub(super) errors: Vec<(PathBuf, io::Error)>,
}

impl Listing {
    /// Whether `path` was found, or cannot be told to be gone.
    pub(super) fn may_hold(&self, path: &Path) -> bool {
        self.files.contains(path)
            || self
                .errors
                .iter()
                .any(|(unreadable, _)| path.starts_with(unreadable))
    }
}

/// All files below `roots` with a suffix of YAML or JSON. Hidden ones are left out (editors' and
/// kubelet's); a root that is a file counts whatever it is called.
pub(super) fn list(roots: &[PathBuf]) -> Listing {
    let mut listing = Listing::default();
    for root in roots {
        visit(root, 0, &mut listing);
    }
    listing
}

fn visit(path: &Path, depth: usize, listing: &mut Listing) {
    // Follows symbolic links: a mounted ConfigMap consists of them.
    let metadata = match fs::metadata(path) {
        Ok(metadata) => metadata,
        // Gone since its directory was read, or a link to nowhere.
        Err(error) if depth > 0 && error.kind() == io::ErrorKind::NotFound => return,
        Err(error) => return listing.errors.push((path.to_owned(), error)),
    };
    if metadata.is_file() {
        if depth == 0 || has_suffix(path) {
            listing.files.insert(path.to_owned());
        }
        return;
    }
    if !metadata.is_dir() || depth > MAX_DEPTH {
        return;
    }
    let entries = match fs::read_dir(path) {
        Ok(entries) => entries,
        Err(error) => return listing.errors.push((path.to_owned(), error)),
    };
    for entry in entries {
        match entry {
            Ok(entry) if is_hidden(&entry.path()) => {}
            Ok(entry) => visit(&entry.path(), depth + 1, listing),
            Err(error) => return listing.errors.push((path.to_owned(), error)),
        }
    }
}

fn is_hidden(path: &Path) -> bool {
    path.file_name()
        .is_some_and(|name| name.as_encoded_bytes().starts_with(b"."))
}

fn has_suffix(path: &Path) -> bool {
    path.extension()
        .and_then(|extension| extension.to_str())
        .is_some_and(|extension| matches!(extension, "yaml" | "yml" | "json"))
}
