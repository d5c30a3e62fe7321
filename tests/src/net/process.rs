//! A program under test: its output line by line, and its end whatever happens.

use std::io::{BufRead, BufReader, Read};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;

use super::Machine;

/// How long a program may take from SIGTERM to its end when it is dropped.
const DROP_GRACE: Duration = Duration::from_secs(3);

/// How many of its last lines a failure shows.
const TAIL_LINES: usize = 60;

/// A running program. Dropped, it gets SIGTERM, then SIGKILL, with all that it started.
pub struct Process {
    name: String,
    pid: Pid,
    child: Mutex<Child>,
    output: Arc<Output>,
    // Keeps the machine on for as long as the program runs there.
    _machine: Option<Machine>,
}

#[derive(Default)]
struct Output {
    lines: Mutex<Vec<String>>,
    grown: Condvar,
}

impl Process {
    #[track_caller]
    pub(super) fn start(
        name: &str,
        mut command: Command,
        spawn: impl FnOnce(Command) -> std::io::Result<Child>,
    ) -> Self {
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            // A group of its own, so that what it starts ends with it.
            .process_group(0);
        let described = format!("{command:?}");
        let mut child =
            spawn(command).unwrap_or_else(|error| panic!("cannot start {described}: {error}"));
        let output = Arc::new(Output::default());
        if let Some(stdout) = child.stdout.take() {
            output.follow(stdout);
        }
        if let Some(stderr) = child.stderr.take() {
            output.follow(stderr);
        }
        let pid = i32::try_from(child.id()).expect("Linux process ids fit in an i32");
        Self {
            name: name.to_owned(),
            pid: Pid::from_raw(pid),
            child: Mutex::new(child),
            output,
            _machine: None,
        }
    }

    pub(super) fn on(mut self, machine: Machine) -> Self {
        self._machine = Some(machine);
        self
    }

    /// Its process id.
    pub fn pid(&self) -> Pid {
        self.pid
    }

    /// What it printed so far, stdout and stderr in the order of arrival.
    pub fn lines(&self) -> Vec<String> {
        self.output.lines().clone()
    }

    /// How many lines it has printed so far: where a later [`Self::wait_for_line`] may start.
    pub fn mark(&self) -> usize {
        self.output.lines().len()
    }

    /// The first line, now or within `timeout`, that contains `needle`.
    #[track_caller]
    pub fn wait_for(&self, needle: &str, timeout: Duration) -> String {
        self.wait_for_line(0, timeout, |line| line.contains(needle))
            .unwrap_or_else(|| {
                panic!(
                    "{} did not print `{needle}` within {timeout:?}{}\n{}",
                    self.name,
                    self.exit_status()
                        .map_or_else(String::new, |status| format!(", it ended: {status}")),
                    self.tail()
                )
            })
    }

    /// The first line from line `mark` on, now or within `timeout`, for which `wanted` holds.
    /// Gives up early when the program has ended.
    pub fn wait_for_line(
        &self,
        mark: usize,
        timeout: Duration,
        wanted: impl Fn(&str) -> bool,
    ) -> Option<String> {
        let deadline = Instant::now() + timeout;
        let mut seen = mark;
        let mut ended = false;
        loop {
            let mut lines = self.output.lines();
            if let Some(found) = lines.iter().skip(seen).find(|line| wanted(line)) {
                return Some(found.clone());
            }
            seen = seen.max(lines.len());
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() || ended {
                return None;
            }
            // Short waits: the end of the program wakes nobody.
            let wait = left.min(Duration::from_millis(50));
            lines = self
                .output
                .grown
                .wait_timeout(lines, wait)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
            let grown = lines.len() > seen;
            drop(lines);
            // One more round after the end, for the lines that were still in the pipe.
            ended = !grown && self.exit_status().is_some();
        }
    }

    /// How it ended, if it did.
    pub fn exit_status(&self) -> Option<ExitStatus> {
        self.child
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .try_wait()
            .ok()
            .flatten()
    }

    /// Waits for its end.
    pub fn wait(&self, timeout: Duration) -> Option<ExitStatus> {
        let deadline = Instant::now() + timeout;
        loop {
            if let Some(status) = self.exit_status() {
                return Some(status);
            }
            if Instant::now() >= deadline {
                return None;
            }
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// Sends it a signal; an ended program is left alone.
    pub fn signal(&self, signal: Signal) {
        if self.exit_status().is_none() {
            let _ = kill(self.pid, signal);
        }
    }

    /// Asks it to end, and waits; after `grace` it and all that it started are killed.
    pub fn terminate(&self, grace: Duration) -> ExitStatus {
        self.signal(Signal::SIGTERM);
        let status = self.wait(grace);
        self.kill_group();
        status
            .or_else(|| self.wait(Duration::from_secs(5)))
            .unwrap_or_else(|| panic!("{} survived SIGKILL", self.name))
    }

    /// Kills it and all that it started, as a crash of the machine would.
    pub fn kill_group(&self) {
        // The group outlives its leader for as long as a member does.
        match killpg(self.pid, Signal::SIGKILL) {
            Ok(()) | Err(Errno::ESRCH) => {}
            Err(error) => panic!("cannot kill {}: {error}", self.name),
        }
    }

    /// Its last lines, for a failure's report.
    pub fn tail(&self) -> String {
        let lines = self.output.lines();
        let start = lines.len().saturating_sub(TAIL_LINES);
        let shown: Vec<_> = lines
            .iter()
            .skip(start)
            .map(|line| format!("  {} | {line}", self.name))
            .collect();
        shown.join("\n")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.signal(Signal::SIGTERM);
        self.wait(DROP_GRACE);
        let _ = killpg(self.pid, Signal::SIGKILL);
        self.wait(DROP_GRACE);
        if thread::panicking() {
            eprintln!("{}", self.tail());
        }
    }
}

impl Output {
    fn lines(&self) -> std::sync::MutexGuard<'_, Vec<String>> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn follow(self: &Arc<Self>, stream: impl Read + Send + 'static) {
        let output = self.clone();
        thread::spawn(move || {
            for line in BufReader::new(stream).split(b'\n').map_while(Result::ok) {
                let line = String::from_utf8_lossy(&line).trim_end().to_owned();
                output.lines().push(line);
                output.grown.notify_all();
            }
        });
    }
}
