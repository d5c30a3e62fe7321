//! Installs the redirect and guard of a pod.
//!
//! Enter at [`ebpf::install`]: hooks on the pod's cgroup and interfaces by which every outbound
//! connection goes through the sidecar or to the cluster, and nothing else leaves. [`cgroup`]
//! finds the pod's cgroup, [`doctor`] says what a node or container lacks. Where eBPF is not to be
//! had, [`nftables::ruleset`] redirects, without a guard.

pub mod cgroup;
pub mod cidr;
pub mod doctor;
pub mod ebpf;
pub mod nftables;
