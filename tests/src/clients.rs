//! Clients that run on a machine of the lab and report what they got.
//!
//! [`http`] makes calls as an app would; [`tcp`] handles a raw connection with the habits that
//! proxies get wrong: slow reading, half-closing, aborting. Both [`dial`] the same way.

mod dial;
pub mod http;
pub mod tcp;

pub use dial::{Dial, DialError, Dialed, dial};
