//! The rules of the house that no compiler checks: who may depend on whom, and how files look.
//!
//! `ARCHITECTURE.md` gives the reasons; a failure here names the arrow or the file.

#![expect(
    clippy::unwrap_used,
    reason = "a panic is the report of a test's helpers too"
)]

#[path = "house/arrows.rs"]
mod arrows;
#[path = "house/files.rs"]
mod files;
