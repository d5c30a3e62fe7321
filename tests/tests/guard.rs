//! No way around: what a pod sends goes to its sidecar, to the cluster, or nowhere.

#![expect(
    clippy::unwrap_used,
    reason = "a panic is the report of a test's helpers too"
)]

#[path = "guard/bypass.rs"]
mod bypass;
#[path = "guard/hooks.rs"]
mod hooks;
#[path = "guard/life.rs"]
mod life;
#[path = "guard/privileged.rs"]
mod privileged;
#[path = "guard/redirect.rs"]
mod redirect;
#[path = "guard/replies.rs"]
mod replies;
#[path = "guard/sidecar.rs"]
mod sidecar;
#[path = "guard/world.rs"]
mod world;
