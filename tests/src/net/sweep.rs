//! What a killed run left behind: its namespaces, and the processes in them.

use std::fs;
use std::path::Path;
use std::process::Command;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::cgroup;

/// Where iproute2 keeps named namespaces.
pub(super) const NETNS: &str = "/run/netns";

/// The first part of every namespace's name; the maker's process id follows.
pub(super) const PREFIX: &str = "slu-";

/// Removes the namespaces whose maker is dead, with what still runs in them.
pub(super) fn sweep() {
    cgroup::sweep();
    let Ok(entries) = fs::read_dir(NETNS) else {
        return; // no namespace was ever named on this host
    };
    for entry in entries.flatten() {
        if let Some(name) = entry.file_name().to_str()
            && is_orphan(name)
        {
            remove(name);
        }
    }
}

/// Kills what runs in the namespace `name`, then removes it. Gone already is as good.
pub(super) fn remove(name: &str) {
    for pid in pids(name) {
        let _ = kill(pid, Signal::SIGKILL);
    }
    let _ = Command::new("ip").args(["netns", "del", name]).output();
}

fn pids(namespace: &str) -> Vec<Pid> {
    let listed = Command::new("ip")
        .args(["netns", "pids", namespace])
        .output();
    let listed = listed.map_or_else(|_| Vec::new(), |output| output.stdout);
    String::from_utf8_lossy(&listed)
        .split_whitespace()
        .filter_map(|pid| pid.parse().ok().map(Pid::from_raw))
        .collect()
}

/// Whether the name is one of ours, and the process that chose it is dead.
pub(super) fn is_orphan(name: &str) -> bool {
    maker(name).is_some_and(|pid| !Path::new(&format!("/proc/{pid}")).exists())
}

fn maker(name: &str) -> Option<u32> {
    let (pid, _) = name.strip_prefix(PREFIX)?.split_once('-')?;
    pid.parse().ok()
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt as _;

    use super::*;

    #[test]
    fn what_a_dead_maker_left_goes_and_what_a_living_one_has_stays() {
        let mut gone = Command::new("true").spawn().unwrap();
        gone.wait().unwrap();
        let orphan = format!("{PREFIX}{}-0-orphan", gone.id());
        let ours = format!("{PREFIX}{}-sweep-ours", std::process::id());
        for name in [&orphan, &ours] {
            super::super::ip::ip(["netns", "add", name]);
        }
        let mut left = Command::new("ip")
            .args(["netns", "exec", &orphan, "sleep", "20"])
            .spawn()
            .unwrap();
        while pids(&orphan).is_empty() {
            assert!(left.try_wait().unwrap().is_none(), "it ended by itself");
        }

        sweep();
        let stands = |name: &str| Path::new(NETNS).join(name).exists();
        assert!(!stands(&orphan));
        assert!(stands(&ours));
        remove(&ours);
        assert_eq!(left.wait().unwrap().signal(), Some(9));
    }

    #[test]
    fn only_our_own_names_have_a_maker() {
        assert_eq!(maker("slu-4711-0-app"), Some(4711));
        for foreign in ["cni-4711", "slu-app", "slu-x-app", "4711"] {
            assert_eq!(maker(foreign), None, "{foreign}");
        }
    }
}
