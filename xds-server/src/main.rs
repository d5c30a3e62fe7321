//! The `sluice` command: the control plane, and the same pure functions for people at a shell.

use std::process::ExitCode;

mod cli;

fn main() -> ExitCode {
    cli::run()
}
