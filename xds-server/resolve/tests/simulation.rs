//! Where calls go, said as a user would say it: the examples' YAML in, a verdict out.

mod simulation {
    pub(crate) mod world;

    mod egress_tasks;
    mod http_routing;
    mod tenants;
}
