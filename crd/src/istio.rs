//! Istio's kinds, one file each, with every field of the served versions.
//!
//! A message that may be absent is an `Option`; a message that Istio demands is a plain value,
//! and validation refuses its empty form. Enums default to their zero value, as in proto3.

pub mod authorization_policy;
pub mod destination_rule;
pub mod gateway;
pub mod mesh_config;
pub mod peer_authentication;
pub mod request_authentication;
pub mod selector;
pub mod service_entry;
pub mod sidecar;
pub mod telemetry;
pub mod virtual_service;
pub mod workload_entry;
