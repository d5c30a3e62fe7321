//! User objects to plan: all of Istio's semantics.
