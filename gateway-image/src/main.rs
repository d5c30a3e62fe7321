//! The `sluice-proxy` command.

use std::process::ExitCode;

fn main() -> ExitCode {
    sluice_proxy::main(std::env::args_os())
}
