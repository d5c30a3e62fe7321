//! Where our own programs are, built from the sources at hand.
//!
//! Cargo builds no other package's programs for a test, so the kit has them built: once a
//! process, in the profile of the test, with whatever target directory is configured. Cargo holds
//! no lock while tests run. `make test` builds them with everything else and names their folder
//! in [`VARIABLE`], which saves building their dependencies once more with fewer features.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

/// The variable that names a folder of programs built already.
pub const VARIABLE: &str = "SLUICE_PROGRAMS";

/// A program of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Program {
    /// The control plane and its command line.
    Sluice,
    /// What runs Envoy in gateways and sidecars.
    Proxy,
    /// What sets up a pod's redirect.
    Init,
}

impl Program {
    /// The name of the program and of its package.
    pub fn name(self) -> &'static str {
        match self {
            Self::Sluice => "sluice",
            Self::Proxy => "sluice-proxy",
            Self::Init => "sluice-init",
        }
    }

    /// The path of the program, built if need be.
    #[track_caller]
    pub fn path(self) -> PathBuf {
        let path = match std::env::var_os(VARIABLE) {
            Some(folder) => Path::new(&folder).join(self.name()),
            None => built()
                .get(self.name())
                .unwrap_or_else(|| panic!("cargo built no program `{}`", self.name()))
                .clone(),
        };
        assert!(path.is_file(), "there is no program {}", path.display());
        path
    }

    /// A command that runs the program, without backtraces on errors that are expected.
    #[track_caller]
    pub fn command(self) -> Command {
        let mut command = Command::new(self.path());
        command.env("RUST_LIB_BACKTRACE", "0");
        command
    }
}

fn built() -> &'static BTreeMap<String, PathBuf> {
    static BUILT: OnceLock<BTreeMap<String, PathBuf>> = OnceLock::new();
    BUILT.get_or_init(|| {
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let mut command = Command::new(cargo);
        command
            .args(["build", "--quiet", "--bins", "--message-format=json"])
            .args(
                [Program::Sluice, Program::Proxy, Program::Init]
                    .map(|program| format!("--package={}", program.name())),
            )
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .stderr(Stdio::inherit());
        if !cfg!(debug_assertions) {
            command.arg("--release");
        }
        let output = command
            .output()
            .unwrap_or_else(|error| panic!("cannot run {command:?}: {error}"));
        assert!(
            output.status.success(),
            "{command:?} failed; its messages are above"
        );
        String::from_utf8_lossy(&output.stdout)
            .lines()
            .filter_map(executable)
            .collect()
    })
}

/// The program that a line of cargo's report tells of.
fn executable(line: &str) -> Option<(String, PathBuf)> {
    let message: serde_json::Value = serde_json::from_str(line).ok()?;
    let path = PathBuf::from(message.get("executable")?.as_str()?);
    let name = message.pointer("/target/name")?.as_str()?;
    Some((name.to_owned(), path))
}
