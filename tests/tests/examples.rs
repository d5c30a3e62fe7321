//! Every example under `tests/examples` by the command line: what `analyze`, `translate` and
//! `explain` say of it, and whether the real Envoy takes what comes out.
//!
//! Examples are found by reading the directory, so a new one is held at once.

#![expect(clippy::unwrap_used, reason = "in tests a panic is the report")]

mod examples {
    mod analyze;
    mod explain;
    mod sidecar;
    mod sluice;
    mod translate;
}
