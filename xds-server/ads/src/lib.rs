//! An xDS server for opaque versioned resources.
