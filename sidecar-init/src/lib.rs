//! Installs the redirect and guard of a pod.
//!
//! Enter at [`nftables::ruleset`]: the rules that bring a pod's outbound connections to its
//! sidecar on nodes where the kernel's socket hooks are not to be had. The functions here are
//! pure; who applies their result decides in which namespace it takes effect.

pub mod cidr;
pub mod nftables;
