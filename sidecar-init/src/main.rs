//! The `sluice-init` command.

use clap::Parser;

/// Installs the redirect and guard of a pod, then exits.
#[derive(Parser)]
#[command(version)]
struct Args {}

fn main() {
    Args::parse();
}
