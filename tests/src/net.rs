//! Network namespaces as machines, joined by one bridge in a namespace of its own.
//!
//! Enter at [`Lab::new`]. Nothing but named namespaces appears on the host, and they go away with
//! the [`Lab`]; what a killed run left behind is swept by the next one.
//!
//! Every machine reaches every other directly, whatever its addresses, as pods and servers in one
//! flat, routed network do. Nothing is blocked: what must not happen is the test's claim to make.

mod cgroup;
mod ip;
mod lab;
mod machine;
mod process;
pub mod ranges;
mod sweep;
mod worker;

pub use lab::Lab;
pub use machine::{Machine, MachineBuilder};
pub use process::Process;
