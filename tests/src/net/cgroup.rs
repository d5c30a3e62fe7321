//! A pod's cgroup: what runs on its machine, and every socket made there, is in it.
//!
//! It is threaded, so that the machine's thread, which is one of the test's own, can be in it as
//! well as the programs it starts. Hooks of the kernel tell no difference.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::sweep;

/// A cgroup of ours; dropped, it is removed with what still runs in it.
pub(super) struct Cgroup {
    path: PathBuf,
}

impl Cgroup {
    /// Makes the cgroup `name` below the one that this process is in.
    #[track_caller]
    pub(super) fn new(name: &str) -> Self {
        let parent = own().unwrap_or_else(|| panic!("pods need a cgroup2 mount"));
        let path = parent.join(name);
        fs::create_dir(&path)
            .and_then(|()| fs::write(path.join("cgroup.type"), "threaded"))
            .unwrap_or_else(|error| panic!("cannot make cgroup {}: {error}", path.display()));
        Self { path }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        remove(&self.path);
    }
}

/// Moves the calling thread into the cgroup `path`; what it starts then is in it too.
pub(super) fn enter(path: &Path) -> io::Result<()> {
    fs::write(path.join("cgroup.threads"), "0")
}

/// Removes the cgroups whose maker is dead.
pub(super) fn sweep() {
    let entries = own().and_then(|parent| fs::read_dir(parent).ok());
    for entry in entries.into_iter().flatten().flatten() {
        if let Some(name) = entry.file_name().to_str()
            && sweep::is_orphan(name)
        {
            remove(&entry.path());
        }
    }
}

/// The cgroup2 folder of this process.
fn own() -> Option<PathBuf> {
    let mount = sluice_init::cgroup::mounts().ok()?.into_iter().next()?;
    let text = fs::read_to_string("/proc/self/cgroup").ok()?;
    let path = text.lines().find_map(|line| line.strip_prefix("0::/"))?;
    Some(mount.join(path))
}

fn remove(path: &Path) {
    let deadline = Instant::now() + Duration::from_secs(3);
    // The kernel refuses for as long as somebody is in it; a killed program ends a moment later.
    while fs::remove_dir(path).is_err() && path.exists() && Instant::now() < deadline {
        for below in fs::read_dir(path).into_iter().flatten().flatten() {
            let _ = fs::remove_dir(below.path());
        }
        let threads = fs::read_to_string(path.join("cgroup.threads")).unwrap_or_default();
        for id in threads.lines() {
            // Threads of our own leave by themselves.
            if !Path::new("/proc/self/task").join(id).exists()
                && let Ok(id) = id.parse()
            {
                let _ = kill(Pid::from_raw(id), Signal::SIGKILL);
            }
        }
        sleep(Duration::from_millis(5));
    }
}
