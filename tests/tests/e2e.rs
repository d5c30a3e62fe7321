//! End to end: Istio's YAML in, real traffic out through two real Envoys over mTLS, logged.
//!
//! The witnesses are the external servers and the gateway's access log.

#![expect(clippy::unwrap_used, reason = "in tests a panic is the report")]

mod e2e {
    mod access_log;
    mod authorization;
    mod bare_ports;
    mod bytes;
    mod cancelled;
    mod egress_policy;
    mod egress_tasks;
    mod http_routing;
    mod live_change;
    mod lost_right;
    mod steady;
    mod stolen_identity;
}
