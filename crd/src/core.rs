//! The Kubernetes kinds that routing needs, with only the fields that it reads.
//!
//! Unknown fields are accepted: the API server has checked these objects, and they grow with
//! every release. Each type is flat; what it takes from `spec` and `status` is its own business.

pub mod config_map;
pub mod endpoint_slice;
pub mod namespace;
pub mod pod;
pub mod secret;
pub mod service;
