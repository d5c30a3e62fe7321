//! The real `sluice-proxy` with the real Envoy, as a child of the test.

use std::{
    env, fs,
    io::{BufRead as _, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    os::unix::net::UnixStream,
    path::PathBuf,
    process::{Child, Command, ExitStatus, Stdio},
    sync::{Arc, Mutex},
    thread,
    time::{Duration, Instant},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use tempfile::TempDir;

use crate::control_plane::{ControlPlane, SAN};

/// A running proxy; killed, with its Envoy, when this value goes.
pub(crate) struct Proxy {
    child: Child,
    log: Arc<Mutex<String>>,
    pub(crate) ready_port: u16,
    pub(crate) metrics_port: u16,
    run_dir: TempDir,
}

/// Longer than anything here takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

impl Proxy {
    pub(crate) fn start(control_plane: &ControlPlane) -> Self {
        Self::start_with(control_plane, &[])
    }

    /// With options that win over those of every test.
    pub(crate) fn start_with(control_plane: &ControlPlane, options: &[&str]) -> Self {
        let run_dir = tempfile::tempdir().unwrap();
        let (ready_port, metrics_port) = (free_port(), free_port());
        let set = |name: &str| {
            options
                .iter()
                .any(|option| option.split('=').next() == Some(name))
        };
        let common = [
            ("--role", "sidecar".to_owned()),
            ("--control-plane", control_plane.address.to_string()),
            ("--control-plane-san", SAN.to_owned()),
            (
                "--token-file",
                control_plane.file("token").display().to_string(),
            ),
            (
                "--root-cert",
                control_plane.file("root.pem").display().to_string(),
            ),
            ("--pod-name", "checkout-0".to_owned()),
            ("--pod-namespace", "shop".to_owned()),
            ("--pod-ip", "127.0.0.1".to_owned()),
            ("--service-account", "checkout".to_owned()),
            ("--run-dir", run_dir.path().display().to_string()),
            ("--envoy", envoy().display().to_string()),
            ("--listen-address", "127.0.0.1".to_owned()),
            ("--ready-port", ready_port.to_string()),
            ("--metrics-port", metrics_port.to_string()),
            ("--concurrency", "1".to_owned()),
        ];
        let mut command = Command::new(env!("CARGO_BIN_EXE_sluice-proxy"));
        for (name, value) in common.iter().filter(|(name, _)| !set(name)) {
            command.arg(format!("{name}={value}"));
        }
        command.arg("--reject-unknown-dynamic-fields").args(options);
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let log = Arc::new(Mutex::new(String::new()));
        collect(child.stdout.take().unwrap(), log.clone());
        collect(child.stderr.take().unwrap(), log.clone());
        Self {
            child,
            log,
            ready_port,
            metrics_port,
            run_dir,
        }
    }

    pub(crate) fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    /// Waits until `claim` holds; the log tells why it does not.
    #[track_caller]
    pub(crate) fn wait_until(&self, what: &str, claim: impl Fn() -> bool) {
        let started = Instant::now();
        while !claim() {
            assert!(
                started.elapsed() < PATIENCE,
                "not {what} within {PATIENCE:?}; log:\n{}",
                self.log()
            );
            thread::sleep(Duration::from_millis(20));
        }
    }

    #[track_caller]
    pub(crate) fn wait_for_log(&self, text: &str) {
        self.wait_until(&format!("logged {text:?}"), || self.log().contains(text));
    }

    #[track_caller]
    pub(crate) fn wait_until_ready(&self) {
        self.wait_until("ready", || self.is_ready());
    }

    pub(crate) fn is_ready(&self) -> bool {
        self.readiness()
            .is_some_and(|answer| answer.starts_with("HTTP/1.1 200"))
    }

    /// The whole answer of `/healthz/ready`.
    pub(crate) fn readiness(&self) -> Option<String> {
        get(
            TcpStream::connect(("127.0.0.1", self.ready_port)).ok()?,
            "/healthz/ready",
        )
    }

    /// The answer of Envoy's admin interface.
    pub(crate) fn admin(&self, path: &str) -> Option<String> {
        get(
            UnixStream::connect(self.run_dir.path().join("admin.sock")).ok()?,
            path,
        )
    }

    /// Process ids of Envoys that were started and live.
    pub(crate) fn envoy(&self) -> Option<i32> {
        let children = format!("/proc/{0}/task/{0}/children", self.child.id());
        fs::read_to_string(children)
            .ok()?
            .split_whitespace()
            .next()?
            .parse()
            .ok()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill(
            Pid::from_raw(i32::try_from(self.child.id()).unwrap()),
            signal,
        )
        .unwrap();
    }

    #[track_caller]
    pub(crate) fn wait(&mut self) -> ExitStatus {
        let started = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(
                started.elapsed() < PATIENCE,
                "still running; log:\n{}",
                self.log()
            );
            thread::sleep(Duration::from_millis(20));
        }
    }

    pub(crate) fn run_dir(&self) -> PathBuf {
        self.run_dir.path().to_owned()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub(crate) fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port()
}

pub(crate) fn is_alive(pid: i32) -> bool {
    // A zombie of another parent is dead.
    fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| !stat.contains(") Z "))
}

fn envoy() -> PathBuf {
    env::var_os("SLUICE_ENVOY")
        .expect("SLUICE_ENVOY names no Envoy binary: run `make test`")
        .into()
}

pub(crate) fn get(mut stream: impl Read + Write, path: &str) -> Option<String> {
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\r\n"
    )
    .ok()?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).ok()?;
    Some(String::from_utf8_lossy(&answer).into_owned())
}

fn collect(pipe: impl Read + Send + 'static, log: Arc<Mutex<String>>) {
    thread::spawn(move || {
        for line in BufReader::new(pipe).lines().map_while(Result::ok) {
            let mut log = log.lock().unwrap();
            log.push_str(&line);
            log.push('\n');
        }
    });
}
