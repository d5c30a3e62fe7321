//! The redirect and guard in the kernel: every outbound connection of a pod goes to its sidecar
//! or to the cluster, and nothing else leaves.
//!
//! Enter at [`install`]. The programs are `bpf/sluice.bpf.c`; this side loads them, fills their
//! maps, and attaches them to the pod's cgroup and interfaces as links that are pinned in a bpffs,
//! so that they stay when the loader ends and the pod cannot take them off. Running it again
//! replaces each program in one step, with the maps kept: no connection is lost, none leaks.

mod abi;
mod evidence;
mod hooks;
mod install;
mod pins;
mod status;
#[expect(unsafe_code, reason = "the bpf system call is made by hand")]
mod sys;

pub use abi::Event;
pub use evidence::{counters, events};
pub use hooks::Hook;
pub use install::{Interface, Rules, install, interfaces, remove};
pub use pins::Pins;
pub use status::{HookStatus, State, Status, status};

pub(crate) use sys::probe;

use std::io;
use std::path::PathBuf;

/// The BPF programs as an ELF object.
static OBJECT: &[u8] = aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/sluice.bpf.o"));

/// Why the redirect and guard could not be installed, read or removed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file or folder could not be used.
    #[error("{}: {source}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The folder for pins is in no bpffs.
    #[error(
        "{} is not in a bpf file system: mount one there, or a hostPath of /sys/fs/bpf",
        path.display()
    )]
    NoBpffs {
        /// The folder.
        path: PathBuf,
    },
    /// The object was refused as a whole: its maps could not be made.
    #[error("cannot create the maps: {}{}", chain(.0), remedy(.0))]
    Maps(#[source] Box<aya::EbpfError>),
    /// The kernel refused a program.
    #[error("cannot load the program of {hook}: {}{}", chain(.source), remedy(.source))]
    Load {
        /// For which hook.
        hook: Hook,
        /// Why.
        source: Box<aya::programs::ProgramError>,
    },
    /// A program could not be attached.
    #[error("cannot attach {pin}: {source}{}", attach_remedy(.source))]
    Attach {
        /// The link's name.
        pin: String,
        /// Why.
        source: io::Error,
    },
    /// A map could not be read or written.
    #[error("map {name}: {}", chain(.source))]
    Map {
        /// Which.
        name: &'static str,
        /// Why.
        source: Box<aya::maps::MapError>,
    },
    /// There is no such interface.
    #[error("there is no interface `{name}` in this network namespace")]
    Interface {
        /// Its name.
        name: String,
    },
}

/// An error with what caused it; those of aya do not repeat their cause.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let more = error.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        cause = error.source();
    }
    // The verifier's log is long and says why at its end.
    match text.char_indices().rev().nth(1500) {
        Some((start, _)) => format!("...{}", &text[start..]),
        None => text,
    }
}

fn remedy(error: &dyn std::error::Error) -> &'static str {
    let text = chain(error);
    if text.contains("Operation not permitted") || text.contains("Permission denied") {
        ": give the container the capabilities BPF and NET_ADMIN in the host's user namespace, and a seccomp profile that allows bpf; `sluice-init doctor` tells which is missing"
    } else {
        ""
    }
}

fn attach_remedy(error: &io::Error) -> &'static str {
    match error.raw_os_error() {
        Some(libc::EPERM) => {
            ": the capability NET_ADMIN is missing, or a program is attached above that allows no other"
        }
        Some(libc::EINVAL) => ": the kernel is too old for this hook; tcx links need 6.6",
        _ => "",
    }
}
