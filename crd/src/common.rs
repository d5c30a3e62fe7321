//! Scalars that several kinds share: addresses, durations, shares, matches, secrets.

pub mod address_range;
pub mod bytes;
pub mod decimal;
pub mod duration;
pub mod grpc_status;
pub mod percent;
pub mod protocol;
pub mod string_match;
