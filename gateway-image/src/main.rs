//! The `sluice-proxy` command.

fn main() {}
