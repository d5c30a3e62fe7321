//! The pod's own cgroup: what covers all of its containers and nothing else.
//!
//! Found by the pod's uid below every cgroup2 mount in mountinfo, for the mount is not always at
//! the same place: an init container has its own view and, by hostPath, the host's. Whatever is
//! above a pod is refused, for hooks there would take in the pods of others.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use nix::sys::statfs::{CGROUP2_SUPER_MAGIC, statfs};

/// Where kubelet's pods are at the deepest: nested clusters put slices above slices.
const DEEPEST: usize = 12;

/// Why there is no cgroup to attach to.
#[derive(Debug, thiserror::Error)]
pub enum CgroupError {
    /// The file system has no cgroup2.
    #[error(
        "no cgroup2 is mounted here: mount /sys/fs/cgroup of the host by a read-only hostPath; a node with cgroup v1 alone needs `sluice-init nftables`"
    )]
    NoMount,
    /// No mount shows the pod.
    #[error(
        "no cgroup of pod {uid} below {}: mount /sys/fs/cgroup of the host by a read-only hostPath, and give the uid of this pod",
        list(.mounts)
    )]
    NotFound {
        /// The uid asked for.
        uid: String,
        /// Where it was looked for.
        mounts: Vec<PathBuf>,
    },
    /// More than one cgroup has the pod's uid in its name.
    #[error("pod {uid} has more than one cgroup: {}", list(.found))]
    Ambiguous {
        /// The uid asked for.
        uid: String,
        /// All that were found.
        found: Vec<PathBuf>,
    },
    /// The uid could match anything.
    #[error("`{0}` is no uid of a pod")]
    Uid(String),
    /// The folder is in another file system.
    #[error("{} is no cgroup2 folder", .0.display())]
    NotCgroup2(PathBuf),
    /// Attaching there would take in more than one pod.
    #[error("{} is above the pods: {reason}", path.display())]
    AbovePod {
        /// The folder.
        path: PathBuf,
        /// How that shows.
        reason: &'static str,
    },
    /// A file could not be read.
    #[error("{}: {source}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// The cgroup of the pod with this uid, below the cgroup2 mounts of this process.
pub fn by_pod_uid(uid: &str) -> Result<PathBuf, CgroupError> {
    let mounts = mounts()?;
    if mounts.is_empty() {
        return Err(CgroupError::NoMount);
    }
    let path = below(&mounts, uid)?;
    by_path(&path)
}

/// The folder `path`, if it is a cgroup of a pod or below one.
pub fn by_path(path: &Path) -> Result<PathBuf, CgroupError> {
    let failed = |source| CgroupError::File {
        path: path.to_owned(),
        source,
    };
    let found = statfs(path).map_err(|errno| failed(errno.into()))?;
    if found.filesystem_type() != CGROUP2_SUPER_MAGIC {
        return Err(CgroupError::NotCgroup2(path.to_owned()));
    }
    // The one folder of the hierarchy without this file is its root.
    if !path.join("cgroup.type").exists() {
        return Err(CgroupError::AbovePod {
            path: path.to_owned(),
            reason: "it is the root of the hierarchy",
        });
    }
    let mut inside = Vec::new();
    folders_named(path, DEEPEST, &|name| is_pod(name, None), &mut inside);
    if !inside.is_empty() {
        return Err(CgroupError::AbovePod {
            path: path.to_owned(),
            reason: "there are pods below it",
        });
    }
    Ok(path.to_owned())
}

/// The cgroup2 mounts of this process.
pub fn mounts() -> Result<Vec<PathBuf>, CgroupError> {
    let path = Path::new("/proc/self/mountinfo");
    let text = fs::read_to_string(path).map_err(|source| CgroupError::File {
        path: path.to_owned(),
        source,
    })?;
    Ok(cgroup2_mounts(&text))
}

/// The mount points of type cgroup2 in the text of a mountinfo file.
fn cgroup2_mounts(mountinfo: &str) -> Vec<PathBuf> {
    mountinfo
        .lines()
        .filter_map(|line| {
            // Optional fields end with a lone hyphen; then comes the type.
            let (mount, source) = line.split_once(" - ")?;
            let is_cgroup2 = source.split(' ').next() == Some("cgroup2");
            let point = mount.split(' ').nth(4)?;
            is_cgroup2.then(|| PathBuf::from(point.replace("\\040", " ")))
        })
        .collect()
}

fn below(mounts: &[PathBuf], uid: &str) -> Result<PathBuf, CgroupError> {
    let is_uid = uid.len() >= 16
        && uid
            .chars()
            .all(|each| each.is_ascii_alphanumeric() || each == '-');
    if !is_uid {
        return Err(CgroupError::Uid(uid.to_owned()));
    }
    let mut found = Vec::new();
    for mount in mounts {
        folders_named(mount, DEEPEST, &|name| is_pod(name, Some(uid)), &mut found);
    }
    // Two mounts may show the same cgroup.
    let distinct: BTreeMap<(u64, u64), PathBuf> = found
        .into_iter()
        .filter_map(|path| {
            let metadata = fs::metadata(&path).ok()?;
            Some(((metadata.dev(), metadata.ino()), path))
        })
        .collect();
    let mut distinct: Vec<_> = distinct.into_values().collect();
    match distinct.len() {
        0 => Err(CgroupError::NotFound {
            uid: uid.to_owned(),
            mounts: mounts.to_vec(),
        }),
        1 => Ok(distinct.remove(0)),
        _ => Err(CgroupError::Ambiguous {
            uid: uid.to_owned(),
            found: distinct,
        }),
    }
}

/// Whether a folder of this name is a pod's cgroup: `pod<uid>` by the cgroupfs driver, and
/// `...-pod<uid with underscores>.slice` by systemd's; of any pod, or of that with `uid`.
fn is_pod(name: &str, uid: Option<&str>) -> bool {
    let systemd = || {
        Some(
            name.strip_suffix(".slice")?
                .rsplit_once("-pod")?
                .1
                .replace('_', "-"),
        )
    };
    let cgroupfs = || name.strip_prefix("pod").map(str::to_owned);
    let Some(named) = systemd().or_else(cgroupfs) else {
        return false;
    };
    match uid {
        Some(uid) => named == uid,
        None => named.len() >= 16,
    }
}

/// Adds the folders below `folder` for whose name `wanted` holds; not those below a found one.
fn folders_named(
    folder: &Path,
    depth: usize,
    wanted: &impl Fn(&str) -> bool,
    found: &mut Vec<PathBuf>,
) {
    // A folder that vanished meanwhile holds nothing any more.
    let Ok(entries) = fs::read_dir(folder) else {
        return;
    };
    for entry in entries.flatten() {
        if !entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            continue;
        }
        if wanted(&entry.file_name().to_string_lossy()) {
            found.push(entry.path());
        } else if depth > 1 {
            folders_named(&entry.path(), depth - 1, wanted, found);
        }
    }
}

fn list(paths: &[PathBuf]) -> String {
    let paths: Vec<_> = paths
        .iter()
        .map(|path| path.display().to_string())
        .collect();
    paths.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    const UID: &str = "0c3f6b4e-9a51-4a5c-8f2e-1d2c3b4a5f60";
    const UNDERSCORES: &str = "0c3f6b4e_9a51_4a5c_8f2e_1d2c3b4a5f60";

    fn tree(folders: &[&str]) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for folder in folders {
            fs::create_dir_all(root.path().join(folder)).unwrap();
        }
        root
    }

    fn found(folders: &[&str]) -> Result<String, CgroupError> {
        let root = tree(folders);
        let path = below(&[root.path().to_owned()], UID)?;
        let path = path.strip_prefix(root.path()).unwrap();
        Ok(path.to_str().unwrap().to_owned())
    }

    #[test]
    fn a_pod_is_found_whichever_driver_and_nesting_made_its_cgroup() {
        let other = "kubepods/burstable/podffffffff-9a51-4a5c-8f2e-1d2c3b4a5f60/c1";
        let systemd = format!(
            "kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod{UNDERSCORES}.slice"
        );
        let guaranteed = format!("kubepods.slice/kubepods-pod{UNDERSCORES}.slice");
        let cgroupfs = format!("kubepods/besteffort/pod{UID}");
        let kind =
            format!("kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-pod{UNDERSCORES}.slice");
        for expected in [systemd, guaranteed, cgroupfs, kind] {
            let container = format!("{expected}/cri-containerd-4711.scope");
            assert_eq!(found(&[&container, other]).unwrap(), expected);
        }
    }

    #[test]
    fn a_pod_that_is_not_there_is_refused_with_where_it_was_looked_for() {
        let error = found(&["kubepods/burstable"]).unwrap_err().to_string();
        assert!(
            error.starts_with(&format!("no cgroup of pod {UID} below /")),
            "{error}"
        );
        assert!(error.contains("hostPath"), "{error}");
    }

    #[test]
    fn a_uid_that_could_match_anything_is_refused() {
        for uid in ["", "1", "../../../../../../../..", "0c3f6b4e"] {
            assert!(matches!(below(&[], uid), Err(CgroupError::Uid(_))), "{uid}");
        }
    }

    #[test]
    fn two_cgroups_of_one_uid_are_refused() {
        let twice = [format!("a/pod{UID}"), format!("b/pod{UID}")];
        let error = found(&[&twice[0], &twice[1]]).unwrap_err();
        assert!(matches!(error, CgroupError::Ambiguous { .. }), "{error}");
    }

    #[test]
    fn one_cgroup_shown_by_two_mounts_is_one() {
        let root = tree(&[&format!("kubepods/pod{UID}")]);
        let twice = [root.path().to_owned(), root.path().to_owned()];
        assert!(below(&twice, UID).is_ok());
    }

    #[test]
    fn what_is_no_cgroup2_is_refused() {
        let root = tree(&[]);
        let error = by_path(root.path()).unwrap_err();
        assert!(matches!(error, CgroupError::NotCgroup2(_)), "{error}");
    }

    #[test]
    fn mounts_are_read_from_mountinfo_wherever_they_are() {
        let text = "\
31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755
38 31 0:31 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw
39 31 0:31 /../.. /host/cg\\040x ro shared:5 master:3 - cgroup2 cgroup rw
40 31 0:32 / /sys/fs/cgroup/pids rw - cgroup cgroup rw,pids
";
        let expected = ["/sys/fs/cgroup/unified", "/host/cg x"].map(PathBuf::from);
        assert_eq!(cgroup2_mounts(text), expected);
    }
}
