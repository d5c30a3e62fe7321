//! A pod of ours: its machine and the `sluice-proxy` in it, with the real Envoy.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use sluice_init::nftables::PROXY_UID;

use super::{Config, root_cert};
use crate::envoy;
use crate::net::{Machine, Process};
use crate::programs::Program;

/// What a proxy is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// The egress gateway.
    Gateway,
    /// The sidecar of a pod.
    Sidecar,
}

/// A running proxy.
pub struct Proxy {
    process: Process,
    machine: Machine,
    pod: String,
}

impl Proxy {
    /// Starts `sluice-proxy` on `machine` as the pod `[namespace, service account, name]`.
    pub(super) fn start(
        role: Role,
        machine: Machine,
        config: &Config,
        [namespace, account, name]: [&str; 3],
        ip: &str,
        control_plane: &str,
    ) -> Self {
        let folder = config.run().join(name);
        fs::create_dir_all(&folder).expect("the folder is writable");
        let token = folder.join("token");
        fs::write(&token, Config::token(name)).expect("the folder is writable");
        fs::set_permissions(&token, fs::Permissions::from_mode(0o400)).expect("the file is ours");
        let root = folder.join("root-cert.pem");
        fs::copy(root_cert(&config.state()), &root).expect("the control plane wrote its root");
        for path in [&folder, &token, &root] {
            chown(path, Some(PROXY_UID), Some(PROXY_UID)).expect("root may give files away");
        }
        let mut command = Command::new(reachable(&Program::Proxy.path(), config));
        command
            .env("RUST_LIB_BACKTRACE", "0")
            .args([
                "--role",
                if role == Role::Gateway {
                    "gateway"
                } else {
                    "sidecar"
                },
            ])
            .args(["--control-plane", &format!("{control_plane}:15012")])
            .args([
                "--pod-name",
                name,
                "--pod-namespace",
                namespace,
                "--service-account",
                account,
            ])
            .args(["--pod-ip", ip, "--concurrency", "1"])
            .arg("--token-file")
            .arg(&token)
            .arg("--root-cert")
            .arg(&root)
            .arg("--run-dir")
            .arg(folder.join("run"))
            .arg("--envoy")
            .arg(reachable(&envoy::path(), config))
            .arg("--reject-unknown-dynamic-fields")
            .args(["--drain-time", "1s", "--minimum-drain-time", "0s"])
            .uid(PROXY_UID)
            .gid(PROXY_UID);
        let process = machine.spawn(command);
        Self {
            process,
            machine,
            pod: name.to_owned(),
        }
    }

    /// Waits until the proxy says that it is ready.
    #[track_caller]
    pub fn wait_until_ready(&self, timeout: Duration) {
        let deadline = Instant::now() + timeout;
        while !self.is_ready() {
            assert!(
                self.process.exit_status().is_none() && Instant::now() < deadline,
                "the proxy of {} is not ready\n{}",
                self.pod,
                self.process.tail()
            );
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Whether the proxy says that it is ready.
    pub fn is_ready(&self) -> bool {
        let mut curl = Command::new("curl");
        curl.args([
            "-fsS",
            "--max-time",
            "5",
            "-o",
            "/dev/null",
            "http://127.0.0.1:15021/healthz/ready",
        ]);
        self.machine.run(curl).status.success()
    }

    /// The pod's name.
    pub fn pod(&self) -> &str {
        &self.pod
    }

    /// The pod's machine.
    pub fn machine(&self) -> &Machine {
        &self.machine
    }

    /// The process, with what it printed.
    pub fn process(&self) -> &Process {
        &self.process
    }

    /// Where its access log stands, for [`Self::access_log_since`].
    pub fn mark(&self) -> usize {
        self.process.mark()
    }

    /// The first access-log line since `mark` that contains `needle`.
    #[track_caller]
    pub fn access_log_since(&self, mark: usize, needle: &str) -> String {
        let is_log = |line: &str| line.starts_with('[') && line.contains(needle);
        let found = self
            .process
            .wait_for_line(mark, Duration::from_secs(10), is_log);
        found.unwrap_or_else(|| {
            panic!(
                "no access-log line of {} has `{needle}`\n{}",
                self.pod,
                self.process.tail()
            )
        })
    }

    /// All access-log lines since `mark`.
    pub fn access_log_lines(&self, mark: usize) -> Vec<String> {
        let lines = self.process.lines();
        lines
            .into_iter()
            .skip(mark)
            .filter(|line| line.starts_with("[20"))
            .collect()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        // Nothing is left to drain for.
        self.process.kill_group();
    }
}

/// A path to `program` that the sidecar's user may run: root's own folders are closed to it.
fn reachable(program: &Path, config: &Config) -> PathBuf {
    let name = program.file_name().expect("a program has a name");
    let link = config.run().join(name);
    if !link.exists() && fs::hard_link(program, &link).is_err() {
        fs::copy(program, &link).expect("the folder is writable");
    }
    link
}
