//! What a killed run left behind: its namespaces, and the processes in them.

use std::fs;
use std::path::Path;
use std::process::Command;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// Where iproute2 keeps named namespaces.
pub(super) const NETNS: &str = "/run/netns";

/// The first part of every namespace's name; the maker's process id follows.
pub(super) const PREFIX: &str = "slu-";

/// Removes the namespaces whose maker is dead, with what still runs in them.
pub(super) fn sweep() {
    let Ok(entries) = fs::read_dir(NETNS) else {
        return; // no namespace was ever named on this host
    };
    for entry in entries.flatten() {
        if let Some(name) = entry.file_name().to_str()
            && maker(name).is_some_and(|pid| !Path::new(&format!("/proc/{pid}")).exists())
        {
            remove(name);
        }
    }
}

/// Kills what runs in the namespace `name`, then removes it. Gone already is as good.
pub(super) fn remove(name: &str) {
    let listed = Command::new("ip").args(["netns", "pids", name]).output();
    if let Ok(listed) = listed {
        for pid in String::from_utf8_lossy(&listed.stdout).split_whitespace() {
            if let Ok(pid) = pid.parse() {
                let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
            }
        }
    }
    let _ = Command::new("ip").args(["netns", "del", name]).output();
}

fn maker(name: &str) -> Option<u32> {
    let (pid, _) = name.strip_prefix(PREFIX)?.split_once('-')?;
    pid.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_our_own_names_have_a_maker() {
        assert_eq!(maker("slu-4711-0-app"), Some(4711));
        for foreign in ["cni-4711", "slu-app", "slu-x-app", "4711"] {
            assert_eq!(maker(foreign), None, "{foreign}");
        }
    }
}
