//! Sources, publishing, CA, admin: the effects around the pure pipeline.
//!
//! [`serve::serve`] is the whole control plane. A source ([`watch`]) tells what changed, the
//! [`publish::Publisher`] turns it into what each connected proxy shall hold, the xDS server
//! brings it there ([`streams`] hears how that goes), and the [`ca`] says who is who.

pub mod serve;

pub mod node;
pub mod publish;
pub mod watch;

pub mod streams;

pub mod admin;
pub mod metrics;
pub mod supervisor;

pub mod ca;
pub mod tls;
pub mod tokens;

mod workloads;
