//! The last scene: the app tries to get around its sidecar.

use std::process::Command;

use sluice_tests::mesh::{GATEWAY_SOURCE, Mesh};

use crate::outside::Outside;
use crate::scene::check;
use crate::show::Show;

/// Attempts that would leave a pod which is only redirected, and the report of one.
pub(crate) fn play(show: &Show, mesh: &Mesh, outside: &Outside) -> Result<(), String> {
    show.title("9. No way around: the app tries to leave without its sidecar, as root");
    let datagram = "echo tunnelled >/dev/udp/198.51.100.10/53";
    show.command("shop/checkout", datagram);
    let mut bash = Command::new("bash");
    bash.args(["-c", datagram]);
    let output = mesh.app().run(bash);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    show.fact("answer", said.trim_end());
    let status = mesh
        .app()
        .sluice_init("check", &["--events", "--output", "json"]);
    let status: serde_json::Value =
        serde_json::from_slice(&status.stdout).map_err(|error| error.to_string())?;
    let event = status["events"]
        .as_array()
        .and_then(|events| {
            let is_ours = |event: &&serde_json::Value| event["destination"] == "198.51.100.10:53";
            events.iter().find(is_ours)
        })
        .ok_or("the guard reported nothing")?;
    show.fact("guard's report", &event.to_string());
    check(
        show,
        said.contains("not permitted") && event["uid"] == 0,
        "refused by the kernel at once, and reported with who it was",
    )?;

    show.command(
        "shop/checkout",
        "setpriv --reuid 1337 curl http://api.partner.example/ # as the sidecar's user",
    );
    let mut curl = Command::new("setpriv");
    curl.args(["--reuid", "1337", "--clear-groups", "curl", "-sS"])
        .args(["--max-time", "10", "http://api.partner.example/around"]);
    mesh.app().check(curl);
    let request = outside.api.requests().last();
    let peer = request.connection.peer.ip().to_string();
    show.fact("server saw", &format!("source IP {peer}, {}", request.path));
    check(
        show,
        request.path == "/around" && peer == GATEWAY_SOURCE,
        "the way through the gateway is the only one, whoever the app becomes",
    )
}
