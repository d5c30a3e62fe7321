//! The `sluice-init` command.

fn main() {}
