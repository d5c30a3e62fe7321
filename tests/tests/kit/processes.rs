//! Programs under test: their output is seen, and they end with their test.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use sluice_tests::net::Lab;
use sluice_tests::programs::Program;

const PATIENCE: Duration = Duration::from_secs(5);

fn bash(script: &str) -> Command {
    let mut command = Command::new("bash");
    command.args(["-c", script]);
    command
}

fn runs(pid: &str) -> bool {
    // Not by the command line, which is empty for a moment while a program replaces another.
    let stat = std::fs::read_to_string(Path::new("/proc").join(pid).join("stat"));
    let after_name = |stat: String| stat.rsplit(") ").next().map(str::to_owned);
    let state = stat.ok().and_then(after_name);
    // A zombie has an entry, but it has ended.
    state.is_some_and(|state| !state.starts_with(['Z', 'X']))
}

#[test]
fn lines_are_found_when_they_come_and_only_from_the_mark_on() {
    let lab = Lab::new();
    let app = lab.machine("app").address("10.244.1.10/24").start();
    let process = app.spawn(bash(
        "echo one; echo two >&2; sleep 0.2; echo three; sleep 60",
    ));
    process.wait_for("one", PATIENCE);
    process.wait_for("two", PATIENCE);
    let mark = process.mark();
    let found = process.wait_for_line(mark, PATIENCE, |line| line.starts_with('t'));
    assert_eq!(found.as_deref(), Some("three"));
    let again = process.wait_for_line(mark, Duration::from_millis(100), |line| line == "one");
    assert_eq!(again, None);
}

#[test]
#[should_panic(expected = "did not print `ready` within")]
fn a_line_that_never_comes_fails_the_test() {
    let lab = Lab::new();
    let app = lab.machine("app").address("10.244.1.10/24").start();
    let process = app.spawn(bash("echo steady; exit 3"));
    process.wait_for("ready", PATIENCE);
}

#[test]
fn a_program_runs_in_the_namespace_of_its_machine() {
    let lab = Lab::new();
    let app = lab.machine("app").address("10.244.1.10/24").start();
    let mut ip = Command::new("ip");
    ip.args(["-4", "-o", "addr", "show", "eth0"]);
    assert!(app.check(ip).contains("10.244.1.10/24"));
}

#[test]
fn a_dropped_program_ends_with_all_that_it_started() {
    let lab = Lab::new();
    let app = lab.machine("app").address("10.244.1.10/24").start();
    let process = app.spawn(bash("sleep 600 & echo child $!; trap '' TERM; wait"));
    let child = process.wait_for("child", PATIENCE);
    let child = child.trim_start_matches("child ").to_owned();
    let parent = process.pid().to_string();
    assert!(runs(&child) && runs(&parent));
    process.terminate(Duration::from_millis(200));
    drop(process);
    assert!(!runs(&parent));
    // Nobody waits for an orphan; the kernel takes a moment to end it.
    let deadline = Instant::now() + PATIENCE;
    while runs(&child) {
        assert!(Instant::now() < deadline, "{child} still runs");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn an_orderly_end_on_sigterm_is_told_from_a_kill() {
    let lab = Lab::new();
    let app = lab.machine("app").address("10.244.1.10/24").start();
    let orderly = app.spawn(bash(
        "trap 'exit 0' TERM; echo up; while true; do sleep 0.05; done",
    ));
    orderly.wait_for("up", PATIENCE);
    assert_eq!(orderly.terminate(PATIENCE).code(), Some(0));
    let stubborn = app.spawn(bash(
        "trap '' TERM; echo up; while true; do sleep 0.05; done",
    ));
    stubborn.wait_for("up", PATIENCE);
    assert_eq!(stubborn.terminate(Duration::from_millis(200)).code(), None);
}

#[test]
fn our_own_programs_are_built_and_start() {
    for program in [Program::Sluice, Program::Proxy, Program::Init] {
        assert!(program.path().is_file(), "{}", program.name());
    }
    let output = Program::Init.command().arg("--version").output().unwrap();
    assert_eq!(
        String::from_utf8(output.stdout).unwrap(),
        format!("sluice-init {}\n", env!("CARGO_PKG_VERSION"))
    );
}
