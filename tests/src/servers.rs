//! Scripted external servers that record what they saw.
//!
//! Each runs on a [`crate::net::Machine`] until dropped. [`Recorder`]s hold what came, from the
//! accepted connection on, so a test can also claim that nothing came at all.

mod accept;
pub mod http;
pub mod pattern;
mod recorder;
pub mod tcp;
pub(crate) mod unsent;

pub(crate) use accept::bind;
pub use accept::{Connection, Stream, Transport};
pub use recorder::Recorder;
