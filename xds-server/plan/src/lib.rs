//! What each proxy shall do, in our own words.

pub mod identity;
