//! The objects as users write them: Istio's kinds, our own, and the Kubernetes kinds that routing
//! needs.
//!
//! [`parse::parse`] turns YAML or JSON into typed [`object::Object`]s and
//! [`diagnostic::Diagnostic`]s with exact positions. Field names are those of Istio's JSON, in
//! Rust's spelling. Nothing here does I/O or knows a cluster: what an object *means* beside other
//! objects is the business of `sluice-resolve`.

pub mod common;
pub mod core;
pub mod diagnostic;
pub mod inert;
pub mod istio;
pub mod object;
pub mod parse;
pub mod sluice;
pub mod source;
pub mod validate;

mod tree;
