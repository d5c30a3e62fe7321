//! Calls of iproute2's `ip`, which makes and changes namespaces, links and addresses.

use std::ffi::OsStr;
use std::io::Write;
use std::process::{Command, Output, Stdio};

/// Runs `ip` with these words; panics with its message when it fails.
#[track_caller]
pub(super) fn ip<I, S>(words: I)
where
    I: IntoIterator<Item = S>,
    S: AsRef<OsStr>,
{
    let mut command = Command::new("ip");
    command.args(words);
    checked(&mut command, "");
}

/// Runs `command` with `input`; panics with its message when it fails, else returns its output.
#[track_caller]
pub(super) fn checked(command: &mut Command, input: &str) -> String {
    let output = run(command, input)
        .unwrap_or_else(|error| panic!("cannot run {command:?}: {error}; see `make help`"));
    assert!(
        output.status.success(),
        "{command:?} failed with {}\n{}{}",
        output.status,
        String::from_utf8_lossy(&output.stderr),
        if input.is_empty() {
            String::new()
        } else {
            format!("its input was:\n{input}")
        },
    );
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Runs `command` to its end with `input` as its standard input.
pub(super) fn run(command: &mut Command, input: &str) -> std::io::Result<Output> {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    if let Some(mut stdin) = child.stdin.take() {
        // A command that ends without reading all its input says why in its status.
        let _ = stdin.write_all(input.as_bytes());
    }
    child.wait_with_output()
}
