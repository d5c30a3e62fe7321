//! The scenes: each makes a call from an app and holds what is seen against what was told.

use std::net::IpAddr;
use std::process::Command;
use std::time::{Duration, Instant};

use sluice_tests::clients::Dial;
use sluice_tests::clients::tcp;
use sluice_tests::mesh::{GATEWAY_SOURCE, Mesh};
use sluice_tests::servers::http::HttpServer;

use crate::around;
use crate::outside::Outside;
use crate::show::Show;

/// What `curl` got.
struct Answer {
    /// 0 if there was none.
    status: u16,
    body: String,
    took: String,
}

/// Plays all scenes; the error tells the first thing that went otherwise.
pub(crate) fn all(show: &Show, mesh: &Mesh, outside: &Outside) -> Result<(), String> {
    plain_http(show, mesh, outside)?;
    passthrough(show, mesh, outside)?;
    origination(show, mesh, outside)?;
    bytes(show, mesh, outside)?;
    denials(show, mesh, outside)?;
    live_change(show, mesh, outside)?;
    around::play(show, mesh, outside)?;
    let nacks = mesh.metric("sluice_xds_nacks_total");
    check(show, nacks == 0, "no Envoy refused any configuration")
}

fn plain_http(show: &Show, mesh: &Mesh, outside: &Outside) -> Result<(), String> {
    show.title(
        "1. Plain HTTP through the gateway (Istio's task \"Egress gateway for HTTP traffic\")",
    );
    allowed(
        show,
        mesh,
        "http://api.partner.example/orders",
        &[],
        &outside.api,
    )
}

fn passthrough(show: &Show, mesh: &Mesh, outside: &Outside) -> Result<(), String> {
    show.title("2. The app's own TLS, passed on unopened (\"Egress gateway for HTTPS traffic\")");
    let ca = mesh.config.yaml().with_file_name("partner-ca.crt");
    std::fs::write(&ca, outside.partner.cert_pem()).map_err(|error| error.to_string())?;
    let trust = ["--cacert", ca.to_str().unwrap_or_default()];
    allowed(
        show,
        mesh,
        "https://files.partner.example/report",
        &trust,
        &outside.files,
    )
}

fn origination(show: &Show, mesh: &Mesh, outside: &Outside) -> Result<(), String> {
    show.title("3. The app speaks plain HTTP, the gateway begins TLS (\"TLS origination\")");
    allowed(
        show,
        mesh,
        "http://pay.bank.example/transfer",
        &[],
        &outside.pay,
    )?;
    show.title("4. The same with a client certificate that only the gateway has");
    allowed(
        show,
        mesh,
        "http://ledger.bank.example/entries",
        &[],
        &outside.ledger,
    )
}

fn bytes(show: &Show, mesh: &Mesh, outside: &Outside) -> Result<(), String> {
    show.title("5. Plain TCP, told apart by address");
    show.command(
        "shop/checkout",
        "a TCP connection to 198.51.100.40:22 that sends \"hello\"",
    );
    let mark = mesh.gateway().mark();
    let dial = Dial::to(outside.sftp.address());
    let echoed = mesh
        .app()
        .block_on(async move { tcp::exchange(&dial, b"hello", 5).await });
    let echoed = echoed.map_err(|error| format!("the TCP connection failed: {error}"))?;
    show.fact("answer", &String::from_utf8_lossy(&echoed));
    let peer = outside.sftp.connections().last().peer.ip();
    show.fact("server saw", &format!("source IP {peer}"));
    show.fact(
        "gateway log",
        &mesh.gateway().access_log_since(mark, "198.51.100.40:22"),
    );
    check(
        show,
        echoed == b"hello" && is_gateway(peer),
        "the bytes came back, through the gateway's address",
    )
}

fn denials(show: &Show, mesh: &Mesh, outside: &Outside) -> Result<(), String> {
    show.title("6. What no object allows is denied, and nothing of it leaves");
    denied(
        show,
        mesh,
        "checkout-0",
        "shop/checkout",
        "http://evil.example/",
        &outside.evil,
    )?;
    show.title("7. Another workload may not use what was opened for shop/checkout");
    denied(
        show,
        mesh,
        "batch-0",
        "lab/batch",
        "http://api.partner.example/orders",
        &outside.api,
    )
}

fn live_change(show: &Show, mesh: &Mesh, outside: &Outside) -> Result<(), String> {
    show.title("8. A YAML file is added, and the denied host opens");
    let opened = "\
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: not-so-evil, namespace: shop}
spec:
  hosts: [evil.example]
  exportTo: [\".\"]
  ports: [{number: 80, name: http, protocol: HTTP}]
  resolution: DNS
";
    show.fact("evil.yaml", opened);
    mesh.config.write("evil.yaml", opened);
    let changed = Instant::now();
    let url = "http://evil.example/";
    while curl(mesh, "checkout-0", url, &[]).status != 200 {
        if changed.elapsed() > Duration::from_secs(20) {
            return Err("the change took no effect within 20 s".to_owned());
        }
    }
    let took = changed.elapsed();
    show.command("shop/checkout", &format!("curl {url}"));
    let peer = outside.evil.requests().last().connection.peer.ip();
    show.fact("server saw", &format!("source IP {peer}"));
    let within = format!(
        "{} ms from the file's change to the first request that passed",
        took.as_millis()
    );
    check(show, is_gateway(peer), &within)
}

fn allowed(
    show: &Show,
    mesh: &Mesh,
    url: &str,
    options: &[&str],
    server: &HttpServer,
) -> Result<(), String> {
    show.command("shop/checkout", &format!("curl {url}"));
    let mark = mesh.gateway().mark();
    let answer = curl(mesh, "checkout-0", url, options);
    show.fact("answer", &format!("{} in {} s", answer.status, answer.took));
    if answer.status != 200 {
        return Err(format!("{url} answered {}: {}", answer.status, answer.body));
    }
    let request = server.requests().last();
    let peer = request.connection.peer.ip();
    let mut saw = format!("source IP {peer}, {} {}", request.method, request.path);
    if let Some(tls) = &request.connection.tls {
        saw += &format!(
            ", {} for {}",
            tls.version,
            tls.sni.as_deref().unwrap_or("-")
        );
        if let Some(client) = &tls.peer {
            saw += &format!(", client certificate {}", client.subject);
        }
    }
    show.fact("server saw", &saw);
    let host = url.split('/').nth(2).unwrap_or_default();
    let line = mesh.gateway().access_log_since(mark, host);
    show.fact("gateway log", &line);
    let named = line.contains("peer=spiffe://cluster.local/ns/shop/sa/checkout");
    check(
        show,
        is_gateway(peer) && named,
        "left from the gateway's address, logged under the app's identity",
    )
}

fn denied(
    show: &Show,
    mesh: &Mesh,
    pod: &str,
    who: &str,
    url: &str,
    server: &HttpServer,
) -> Result<(), String> {
    show.command(who, &format!("curl {url}"));
    let before = server.connections().count();
    let mark = mesh.gateway().mark();
    let answer = curl(mesh, pod, url, &[]);
    show.fact(
        "answer",
        &format!("{}: {}", answer.status, answer.body.trim_end()),
    );
    let host = url.split('/').nth(2).unwrap_or_default();
    show.fact("gateway log", &mesh.gateway().access_log_since(mark, host));
    let silent = server.connections().count() == before;
    check(
        show,
        answer.status == 502 && silent,
        "denied with the reason, and the server saw nothing",
    )
}

fn curl(mesh: &Mesh, pod: &str, url: &str, options: &[&str]) -> Answer {
    let mut curl = Command::new("curl");
    curl.args([
        "-sS",
        "--max-time",
        "10",
        "-w",
        "\n%{http_code} %{time_total}",
    ])
    .args(options)
    .arg(url);
    let output = mesh.proxy(pod).machine().run(curl);
    let text = String::from_utf8_lossy(&output.stdout);
    let (body, last) = text.trim_end().rsplit_once('\n').unwrap_or(("", &text));
    let (status, took) = last.split_once(' ').unwrap_or(("0", "?"));
    Answer {
        status: status.parse().unwrap_or(0),
        body: body.to_owned(),
        took: took.to_owned(),
    }
}

fn is_gateway(peer: IpAddr) -> bool {
    peer.to_string() == GATEWAY_SOURCE
}

pub(crate) fn check(show: &Show, holds: bool, told: &str) -> Result<(), String> {
    show.verdict(holds, told);
    if holds {
        Ok(())
    } else {
        Err(format!("this does not hold: {told}"))
    }
}
