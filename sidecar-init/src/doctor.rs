//! The preflight: whether this kernel and this container can have the redirect and guard, and what
//! to change where they cannot.

use std::fs;
use std::path::Path;

use nix::sys::statfs::{BPF_FS_MAGIC, statfs};
use nix::sys::utsname::uname;
use serde::Serialize;

use crate::{cgroup, ebpf};

/// One thing that the install needs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What was looked at.
    pub check: &'static str,
    /// Whether it will do.
    pub ok: bool,
    /// What was found, and the remedy where it will not do.
    pub detail: String,
}

/// Looks at everything that an install with pins in `pin_folder` needs.
pub fn examine(pin_folder: &Path) -> Vec<Finding> {
    let release = uname().map_or_else(
        |_| String::new(),
        |name| name.release().to_string_lossy().into_owned(),
    );
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let uid_map = fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
    vec![
        kernel(&release),
        user_namespace(&uid_map),
        capability(&status, "BPF", 39),
        capability(&status, "NET_ADMIN", 12),
        bpf_call(),
        cgroup2(),
        bpffs(pin_folder),
    ]
}

fn kernel(release: &str) -> Finding {
    let mut numbers = release
        .split(|each: char| !each.is_ascii_digit())
        .map_while(|number| number.parse::<u32>().ok());
    let version = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    Finding {
        check: "kernel",
        ok: version >= (6, 6),
        detail: if version >= (6, 6) {
            release.to_owned()
        } else {
            format!(
                "{release}: links on interfaces need 6.6; on older nodes `sluice-init nftables` redirects, without a guard"
            )
        },
    }
}

fn user_namespace(uid_map: &str) -> Finding {
    let words: Vec<_> = uid_map.split_whitespace().collect();
    let ok = words == ["0", "0", "4294967295"];
    Finding {
        check: "user namespace",
        ok,
        detail: if ok {
            "the host's".to_owned()
        } else {
            "not the host's, where bpf is refused: set hostUsers to true".to_owned()
        },
    }
}

fn capability(status: &str, name: &'static str, bit: u32) -> Finding {
    let effective = status
        .lines()
        .find_map(|line| line.strip_prefix("CapEff:"))
        .and_then(|hex| u64::from_str_radix(hex.trim(), 16).ok())
        .unwrap_or(0);
    let ok = effective >> bit & 1 == 1;
    Finding {
        check: if bit == 39 {
            "capability BPF"
        } else {
            "capability NET_ADMIN"
        },
        ok,
        detail: if ok {
            "effective".to_owned()
        } else {
            format!("missing: add {name} to securityContext.capabilities and run as user 0")
        },
    }
}

fn bpf_call() -> Finding {
    match ebpf::probe() {
        Ok(()) => Finding {
            check: "bpf system call",
            ok: true,
            detail: "allowed".to_owned(),
        },
        Err(error) => Finding {
            check: "bpf system call",
            ok: false,
            detail: format!("{error}: the seccomp profile or a missing capability forbids it"),
        },
    }
}

fn cgroup2() -> Finding {
    let (ok, detail) = match cgroup::mounts() {
        Ok(mounts) if !mounts.is_empty() => {
            let mounts: Vec<_> = mounts
                .iter()
                .map(|path| path.display().to_string())
                .collect();
            (true, mounts.join(", "))
        }
        Ok(_) => (false, cgroup::CgroupError::NoMount.to_string()),
        Err(error) => (false, error.to_string()),
    };
    Finding {
        check: "cgroup2",
        ok,
        detail,
    }
}

fn bpffs(folder: &Path) -> Finding {
    // The folder itself is made by the install.
    let existing = folder.ancestors().find(|path| path.exists());
    let found = existing.and_then(|path| statfs(path).ok());
    let ok = found.is_some_and(|found| found.filesystem_type() == BPF_FS_MAGIC);
    Finding {
        check: "bpf file system",
        ok,
        detail: if ok {
            folder.display().to_string()
        } else {
            format!(
                "{} is in none: mount a folder of the host's /sys/fs/bpf there by a writable hostPath",
                folder.display()
            )
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kernel_is_compared_by_numbers() {
        for (release, ok) in [
            ("6.6.0", true),
            ("6.18.44-fc", true),
            ("10.0", true),
            ("6.5.13-generic", false),
            ("5.15.0-100", false),
            ("", false),
        ] {
            assert_eq!(kernel(release).ok, ok, "{release}");
        }
    }

    #[test]
    fn capability_is_read_from_the_effective_set() {
        let status = "CapPrm:\tffffffffffffffff\nCapEff:\t0000008000000000\n";
        assert!(capability(status, "BPF", 39).ok);
        let missing = capability(status, "NET_ADMIN", 12);
        assert!(!missing.ok);
        assert!(missing.detail.contains("NET_ADMIN"), "{missing:?}");
        assert!(!capability("", "BPF", 39).ok);
    }

    #[test]
    fn user_namespace_that_is_not_the_hosts_is_told() {
        assert!(user_namespace("         0          0 4294967295\n").ok);
        assert!(!user_namespace("0 100000 65536\n").ok);
    }
}
