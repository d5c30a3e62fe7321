//! Our own kinds, group `sluice.dev`: who may go where, and from which address.

pub mod egress_ip_pool;
pub mod egress_policy;
