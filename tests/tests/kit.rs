//! The kit's own tests: that it tells the truth, and that it can fail.
//!
//! A kit that saw a reset as an orderly end, or let machines share a loopback, would make every
//! test above it worthless.

#![expect(
    clippy::unwrap_used,
    reason = "a panic is the report of a test's helpers too"
)]

#[path = "kit/bytes.rs"]
mod bytes;
#[path = "kit/capture.rs"]
mod capture;
#[path = "kit/envoy.rs"]
mod envoy;
#[path = "kit/http.rs"]
mod http;
#[path = "kit/machines.rs"]
mod machines;
#[path = "kit/names.rs"]
mod names;
#[path = "kit/processes.rs"]
mod processes;
