//! Where a pod's links and maps are pinned: `<folder>/<pod>/links/<hook>` and `.../maps/<map>`.
//!
//! A pin keeps its link, program and maps when the loader has ended, and would keep them when the
//! pod has gone too. So each install first sweeps what belongs to cgroups that are no more.

use std::fs::{self, File};
use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::path::{Path, PathBuf};

use nix::sys::statfs::{BPF_FS_MAGIC, statfs};

use super::{Error, Hook, sys};

/// The pins of one pod.
#[derive(Debug, Clone)]
pub struct Pins {
    folder: PathBuf,
    pod: PathBuf,
}

impl Pins {
    /// The pins of `pod`, by its uid or another name of its own, below `folder`.
    pub fn new(folder: &Path, pod: &str) -> Self {
        Self {
            folder: folder.to_owned(),
            pod: folder.join(pod),
        }
    }

    /// The pod's own folder.
    pub fn path(&self) -> &Path {
        &self.pod
    }

    pub(super) fn maps(&self) -> PathBuf {
        self.pod.join("maps")
    }

    pub(super) fn link(&self, hook: Hook, interface: Option<u32>) -> PathBuf {
        let name = match interface {
            Some(index) => format!("{hook}-{index}"),
            None => hook.to_string(),
        };
        self.pod.join("links").join(name)
    }

    /// Makes the folders, and waits until no other install is at work below them.
    pub(super) fn lock(&self) -> Result<File, Error> {
        create(&self.folder)?;
        let found = statfs(&self.folder).map_err(|errno| file(&self.folder)(errno.into()))?;
        if found.filesystem_type() != BPF_FS_MAGIC {
            return Err(Error::NoBpffs {
                path: self.folder.clone(),
            });
        }
        let folder = File::open(&self.folder).map_err(file(&self.folder))?;
        folder.lock().map_err(file(&self.folder))?;
        create(&self.maps())?;
        create(&self.pod.join("links"))?;
        Ok(folder)
    }

    /// Removes all of the pod's pins; the kernel detaches what no pin keeps.
    pub(super) fn remove(&self) -> Result<(), Error> {
        remove(&self.pod)
    }

    /// Removes the pins of other pods whose cgroup is gone.
    pub(super) fn sweep(&self) {
        let Ok(pods) = fs::read_dir(&self.folder) else {
            return;
        };
        for pod in pods.flatten() {
            if pod.path() != self.pod && is_severed(&pod.path()) {
                // What cannot be removed now is removed by the next install.
                let _ = remove(&pod.path());
            }
        }
    }
}

/// The link that is pinned at `path`; none if nothing is.
pub(super) fn open_link(path: &Path) -> io::Result<Option<OwnedFd>> {
    match sys::open_pin(path) {
        Ok(link) => Ok(Some(link)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Whether a pod's folder has links to a cgroup, and the cgroup is gone.
fn is_severed(pod: &Path) -> bool {
    let cgroup_link = Hook::ALL
        .iter()
        .filter(|hook| !hook.is_on_interfaces())
        .find_map(|hook| open_link(&pod.join("links").join(hook.name())).ok()?);
    let info = cgroup_link.map(|link| sys::link_info(link.as_fd()));
    matches!(info, Some(Ok(info)) if info.cgroup() == 0)
}

fn create(folder: &Path) -> Result<(), Error> {
    fs::create_dir_all(folder).map_err(file(folder))
}

fn remove(folder: &Path) -> Result<(), Error> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(file(folder)(error)),
        _ => Ok(()),
    }
}

pub(super) fn file(path: &Path) -> impl FnOnce(io::Error) -> Error {
    let path = path.to_owned();
    move |source| Error::File { path, source }
}
