//! Runs `sluice` beside the examples.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::thread;

use sluice_tests::programs::Program;

/// The gateway of `world.yaml`.
pub(super) const GATEWAY: &str =
    "router~10.244.0.20~istio-egressgateway-0.istio-system~istio-system.svc.cluster.local";
/// The workload of `world.yaml` whose calls the examples let out.
pub(super) const SIDECAR: &str = "sidecar~10.244.1.10~checkout-0.shop~shop.svc.cluster.local";

/// What a run gave.
#[derive(Debug)]
pub(super) struct Run {
    pub(super) code: i32,
    pub(super) stdout: String,
    pub(super) stderr: String,
}

/// Runs `sluice` in the folder of the examples.
pub(super) fn sluice(arguments: &[&str]) -> Run {
    sluice_reading("", arguments)
}

/// Runs `sluice` with this standard input.
pub(super) fn sluice_reading(input: &str, arguments: &[&str]) -> Run {
    let mut child = Program::Sluice
        .command()
        .args(arguments)
        .current_dir(folder())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let output = thread::scope(|scope| {
        // Beside reading, for neither side may wait for the other. A program that refuses its
        // arguments reads nothing.
        scope.spawn(move || {
            let _ = stdin.write_all(input.as_bytes());
        });
        child.wait_with_output().unwrap()
    });
    Run {
        code: output.status.code().unwrap(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

impl Run {
    /// Standard output of a run that ended well and complained of nothing.
    #[track_caller]
    pub(super) fn done(self) -> String {
        assert_eq!(self.code, 0, "{}{}", self.stdout, self.stderr);
        assert_eq!(self.stderr, "");
        self.stdout
    }
}

/// The names of all examples, sorted.
pub(super) fn names() -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(folder())
        .unwrap()
        .map(Result::unwrap)
        .filter(|entry| entry.file_type().unwrap().is_dir())
        .map(|entry| entry.file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert!(!names.is_empty());
    names
}

/// The text of every YAML file of an example.
pub(super) fn texts(example: &str) -> String {
    let files = fs::read_dir(folder().join(example)).unwrap();
    files
        .map(|file| fs::read_to_string(file.unwrap().path()).unwrap())
        .collect()
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("examples")
}
