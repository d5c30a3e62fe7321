//! The step between us and Envoy: a copy of this program that ties itself to its parent and
//! then becomes Envoy.
//!
//! The kernel kills it when its parent dies (`PR_SET_PDEATHSIG` survives exec). Between fork and
//! exec this would need unsafe code; in a program of its own it does not.

use std::{
    ffi::OsString,
    io,
    os::unix::process::{CommandExt as _, parent_id},
    process::Command,
};

use nix::sys::{
    prctl,
    resource::{Resource, getrlimit, setrlimit},
    signal::Signal,
};

/// First argument that makes this program the launcher.
pub const COMMAND: &str = "exec-envoy";

/// Becomes `program` with `arguments`, to be killed when `parent` dies. Returns only on failure.
pub fn launch(mut arguments: impl Iterator<Item = OsString>) -> io::Error {
    let parent = arguments
        .next()
        .and_then(|pid| pid.to_str()?.parse::<u32>().ok());
    let (Some(parent), Some(program)) = (parent, arguments.next()) else {
        return io::Error::new(
            io::ErrorKind::InvalidInput,
            "usage: sluice-proxy exec-envoy PARENT PROGRAM ARGUMENTS",
        );
    };
    if let Err(error) = prctl::set_pdeathsig(Signal::SIGKILL) {
        return error.into();
    }
    // The parent may have died before the line above.
    if parent_id() != parent {
        return io::Error::other("the process that started envoy is gone");
    }
    if let Ok((_, hard)) = getrlimit(Resource::RLIMIT_NOFILE) {
        // On failure Envoy runs under the lower limit, and refuses connections earlier.
        let _ = setrlimit(Resource::RLIMIT_NOFILE, hard, hard);
    }
    Command::new(program).args(arguments).exec()
}

/// How many files Envoy may open once launched.
#[must_use]
pub fn open_files() -> u64 {
    getrlimit(Resource::RLIMIT_NOFILE).map_or(1024, |(_, hard)| hard)
}
