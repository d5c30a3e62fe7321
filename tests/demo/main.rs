//! `make demo`: Sluice's data path on this machine, shown.
//!
//! Network namespaces are the machines: a control plane that reads Istio's YAML, an egress
//! gateway with its own fixed address, two apps with sidecars, and servers outside. The apps are
//! plain `curl`. Each scene makes a real request and shows the answer, what the server outside
//! saw, and the gateway's access log; a scene that does not go as told ends the demo with an error.

mod around;
mod outside;
mod scene;
mod show;

use std::process::ExitCode;
use std::time::Instant;

use sluice_tests::mesh::{Capture, GATEWAY_POD, GATEWAY_SOURCE, Mesh};

use outside::Outside;
use show::Show;

fn main() -> ExitCode {
    let show = Show::new();
    show.title(
        "Sluice: Istio's egress YAML in, real traffic out through one gateway, over mTLS, logged",
    );
    show.line("Network namespaces are the machines; every proxy is the real Envoy.");

    let started = Instant::now();
    let outside = outside::Files::new();
    show.progress("starting the control plane, DNS and servers outside");
    let mut mesh = Mesh::control_plane(&outside.yaml());
    let outside = Outside::start(&mesh, outside);
    show.progress("starting the egress gateway and waiting for its Envoy");
    mesh.start_gateway();
    // By eBPF, with the guard: the apps are plain curl, and have no other way out.
    mesh.capture = Capture::Ebpf;
    show.progress("starting two apps, shop/checkout and lab/batch, with their sidecars");
    mesh.start_pod("shop", "checkout", "checkout-0", "10.244.1.10");
    mesh.start_pod("lab", "batch", "batch-0", "10.244.1.11");
    show.progress(&format!(
        "ready after {:.1} s",
        started.elapsed().as_secs_f64()
    ));
    show.line(&format!(
        "The gateway is pod {GATEWAY_POD} and sends out from {GATEWAY_SOURCE}."
    ));

    let outcome = scene::all(&show, &mesh, &outside);
    if std::env::var("KEEP").is_ok_and(|keep| !keep.is_empty() && keep != "0") {
        keep(&show, &mesh);
    }
    match outcome {
        Ok(()) => {
            show.title("Everything went as told. Nothing is left on this machine.");
            ExitCode::SUCCESS
        }
        Err(why) => {
            show.failure(&why);
            ExitCode::FAILURE
        }
    }
}

/// Leaves everything running until Ctrl-C, with commands to try.
fn keep(show: &Show, mesh: &Mesh) {
    let app = mesh.app().enter_command();
    let gateway = mesh.gateway().machine().enter_command();
    show.title("Left running; try these in another terminal, and end with Ctrl-C here");
    for (what, command) in [
        (
            "an allowed request",
            format!("{app} curl -i http://api.partner.example/hello"),
        ),
        (
            "a denied request",
            format!("{app} curl -i http://evil.example/ --connect-to ::198.51.100.99:80"),
        ),
        (
            "an attempt to get around the sidecar",
            format!("{app} bash -c 'echo tunnelled >/dev/udp/198.51.100.10/53'"),
        ),
        (
            "what is behind the gateway's addresses",
            format!("{gateway} ip address"),
        ),
        (
            "the YAML; edit it and try again",
            format!("ls {}", mesh.config.yaml().display()),
        ),
        (
            "why a call goes where it goes",
            format!(
                "target/debug/sluice explain -f {} --from shop/checkout --to http://api.partner.example/",
                mesh.config.yaml().display()
            ),
        ),
    ] {
        show.line(&format!("# {what}"));
        show.line(&format!("  {command}"));
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let runtime = runtime.expect("a runtime needs a few file descriptors");
    // An error means that signals cannot be awaited; then there is no reason to stay.
    let _ = runtime.block_on(tokio::signal::ctrl_c());
}
