//! The real Envoy: where it is, whether it takes a bootstrap, and one that runs.
//!
//! A missing Envoy is a failure, never a reason to skip.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use crate::net::{Machine, Process};

/// The variable that names the binary; `make` sets it.
pub const VARIABLE: &str = "SLUICE_ENVOY";

/// The line by which Envoy tells that its first config is in effect.
const STARTED: &str = "starting main dispatch loop";

/// The Envoy binary: [`VARIABLE`], else the one that `make` keeps in the cache.
#[track_caller]
pub fn path() -> PathBuf {
    let path = match std::env::var_os(VARIABLE) {
        Some(path) => PathBuf::from(path),
        None => cached(),
    };
    assert!(
        path.is_file(),
        "there is no Envoy at {}; run `make tools`, or set {VARIABLE}",
        path.display()
    );
    path
}

/// Whether Envoy takes this bootstrap, JSON or YAML; if not, what it says.
pub fn validate(bootstrap: &str) -> Result<(), String> {
    let file = Scratch::new(bootstrap);
    let output = Command::new(path())
        .args(["--mode", "validate", "--log-level", "warning"])
        .args(["--reject-unknown-dynamic-fields", "--config-path"])
        .arg(&file.path)
        .output()
        .map_err(|error| format!("cannot run Envoy: {error}"))?;
    if output.status.success() {
        Ok(())
    } else {
        Err(String::from_utf8_lossy(&output.stderr).into_owned())
    }
}

/// Starts Envoy with this bootstrap on `machine`, and waits until its first config is in effect.
#[track_caller]
pub fn start(machine: &Machine, bootstrap: &str, arguments: &[&str]) -> Process {
    let file = Scratch::new(bootstrap);
    let mut command = Command::new(path());
    command
        .args(["--disable-hot-restart", "--concurrency", "1"])
        .arg("--config-path")
        .arg(&file.path)
        .args(arguments);
    let envoy = machine.spawn(command);
    envoy.wait_for(STARTED, Duration::from_secs(20));
    envoy
}

/// Where `tests/tools/install-envoy` puts it.
fn cached() -> PathBuf {
    let tool = Path::new(env!("CARGO_MANIFEST_DIR")).join("tools/install-envoy");
    let output = Command::new(&tool)
        .arg("--path")
        .output()
        .unwrap_or_else(|error| panic!("cannot run {}: {error}", tool.display()));
    PathBuf::from(String::from_utf8_lossy(&output.stdout).trim())
}

/// A file that lasts as long as Envoy needs it, named by what it holds.
struct Scratch {
    path: PathBuf,
}

impl Scratch {
    fn new(bootstrap: &str) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let kind = if bootstrap.trim_start().starts_with('{') {
            "json"
        } else {
            "yaml"
        };
        let path = std::env::temp_dir().join(format!(
            "sluice-envoy-{}-{}.{kind}",
            std::process::id(),
            COUNT.fetch_add(1, Ordering::Relaxed)
        ));
        fs::write(&path, bootstrap)
            .unwrap_or_else(|error| panic!("cannot write {}: {error}", path.display()));
        Self { path }
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}
