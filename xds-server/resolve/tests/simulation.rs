//! Where calls go, said as a user would say it: the examples' YAML in, a verdict out.

#![expect(clippy::unwrap_used, reason = "in tests a panic is the report")]

mod simulation {
    pub(crate) mod world;

    mod authorization;
    mod boundaries;
    mod egress_address;
    mod egress_policy;
    mod egress_tasks;
    mod http_routing;
    mod tenants;
}
