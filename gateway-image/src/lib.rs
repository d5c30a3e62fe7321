//! Runs Envoy in gateways and sidecars.
