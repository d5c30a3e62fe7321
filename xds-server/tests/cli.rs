//! The command line as people use it: what they type, what they see, how it exits.
//!
//! Each golden file holds one command, its exit code and its output. `UPDATE_GOLDEN=1 cargo test`
//! writes them anew.

#![expect(clippy::unwrap_used, reason = "a panic is how a test reports")]

use std::{
    fs,
    io::Write,
    path::Path,
    process::{Command, Output, Stdio},
};

use serde_json::Value;

const GATEWAY: &str = "router~10.244.0.20~egress-0.istio-system~istio-system.svc.cluster.local";
const SIDECAR: &str = "sidecar~10.244.0.10~web-0.shop~shop.svc.cluster.local";

fn folder() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/cli"))
}

fn sluice(arguments: &[&str]) -> Output {
    with_input(arguments, "")
}

fn with_input(arguments: &[&str], input: &str) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_sluice"))
        .args(arguments)
        .current_dir(folder())
        .env("RUST_LIB_BACKTRACE", "0")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(input.as_bytes()).unwrap();
    drop(stdin);
    child.wait_with_output().unwrap()
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

fn json(arguments: &[&str]) -> Value {
    let output = sluice(arguments);
    assert!(output.status.success(), "{}", stderr(&output));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Compares with `golden/NAME.txt`.
fn golden(name: &str, arguments: &[&str]) {
    let output = sluice(arguments);
    let seen = format!(
        "$ sluice {}\n{}{}exit code {}\n",
        arguments.join(" "),
        stdout(&output),
        stderr(&output),
        output.status.code().unwrap()
    );
    let path = folder().join("golden").join(format!("{name}.txt"));
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(&path, &seen).unwrap();
    }
    let expected = fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(
        seen, expected,
        "{name}: UPDATE_GOLDEN=1 accepts the new output"
    );
}

#[test]
fn analyze_of_good_objects_is_short() {
    golden("analyze_good", &["analyze", "-f", "world"]);
}

#[test]
fn analyze_points_at_the_mistake() {
    golden(
        "analyze_broken",
        &["analyze", "-f", "world", "-f", "broken"],
    );
}

#[test]
fn analyze_writes_json_for_programs() {
    let arguments = ["analyze", "-f", "broken", "-o", "json"];
    golden("analyze_json", &arguments);
}

#[test]
fn analyze_reads_standard_input() {
    let text = fs::read_to_string(folder().join("broken/entry.yaml")).unwrap();

    let output = with_input(&["analyze", "-f", "-", "-n", "shop"], &text);

    assert_eq!(output.status.code(), Some(1));
    assert!(
        stdout(&output).contains("-:7:3: error"),
        "{}",
        stdout(&output)
    );
    assert!(
        stdout(&output).contains("ServiceEntry shop/partner"),
        "{}",
        stdout(&output)
    );
}

#[test]
fn explain_shows_the_way_of_an_allowed_call() {
    let to = ["--to", "https://api.partner.example"];
    golden(
        "explain_allowed",
        &[
            &["explain", "-f", "world", "--from", "pod/shop/web-0"],
            &to[..],
        ]
        .concat(),
    );
}

#[test]
fn explain_shows_why_a_call_is_denied() {
    let arguments = ["explain", "-f", "world", "--from", "shop/checkout", "--to"];
    golden(
        "explain_denied_host",
        &[&arguments[..], &["https://evil.example"]].concat(),
    );
    golden(
        "explain_denied_address",
        &[&arguments[..], &["tcp://198.51.100.7:22"]].concat(),
    );
}

#[test]
fn explain_writes_json_for_programs() {
    let explanation = json(&[
        "explain",
        "-f",
        "world",
        "--from",
        "shop/checkout",
        "--to",
        "http://api.partner.example/orders",
        "-o",
        "json",
    ]);

    assert_eq!(explanation["allowed"], true);
    assert_eq!(
        explanation["from"],
        "spiffe://cluster.local/ns/shop/sa/checkout"
    );
}

#[test]
fn questions_that_make_no_sense_are_answered_with_why() {
    golden("usage_no_command_such", &["translat"]);
    golden(
        "explain_bad_target",
        &[
            "explain",
            "-f",
            "world",
            "--from",
            "shop/checkout",
            "--to",
            "tcp://api.example:1",
        ],
    );
    golden(
        "explain_gateway_as_client",
        &[
            "explain",
            "-f",
            "world",
            "--from",
            "pod/istio-system/egress-0",
            "--to",
            "tls://a.example:443",
        ],
    );
    golden("missing_path", &["analyze", "-f", "no/such/path"]);
    golden(
        "translate_wrong_role",
        &[
            "translate",
            "-f",
            "world",
            "--proxy",
            "router~10.0.0.1~web-0.shop~shop.svc.cluster.local",
        ],
    );
}

#[test]
fn translate_gives_every_kind_sorted_and_the_same_each_time() {
    let arguments = ["translate", "-f", "world", "--proxy", GATEWAY];

    let first = json(&arguments);

    assert_eq!(stdout(&sluice(&arguments)), stdout(&sluice(&arguments)));
    for kind in ["clusters", "listeners", "routes"] {
        let names: Vec<&str> = first[kind]
            .as_array()
            .unwrap()
            .iter()
            .map(|resource| resource["name"].as_str().unwrap())
            .collect();
        assert!(names.is_sorted() && !names.is_empty(), "{kind}: {names:?}");
    }
}

#[test]
fn translate_writes_yaml_too() {
    let output = sluice(&["translate", "-f", "world", "--proxy", SIDECAR, "-o", "yaml"]);

    assert!(
        stdout(&output).starts_with("clusters:\n"),
        "{}",
        stdout(&output)
    );
}

#[test]
fn a_pod_or_its_labels_and_account_give_the_same() {
    let of_pod = sluice(&["translate", "-f", "world", "--proxy", GATEWAY]);
    let of_flags = sluice(&[
        "translate",
        "-f",
        "world",
        "--labels",
        "istio=egressgateway",
        "--proxy",
        "router~10.244.0.21~egress-1.istio-system~istio-system.svc.cluster.local",
    ]);

    assert!(of_flags.status.success(), "{}", stderr(&of_flags));
    assert_eq!(stdout(&of_pod), stdout(&of_flags));
}

#[test]
fn a_static_bootstrap_has_everything_inside() {
    let bootstrap = json(&["translate", "-f", "world", "--proxy", GATEWAY, "--static"]);

    assert_eq!(bootstrap["node"]["id"], GATEWAY);
    assert!(bootstrap.get("dynamic_resources").is_none());
    assert!(
        !bootstrap["static_resources"]["listeners"]
            .as_array()
            .unwrap()
            .is_empty()
    );
}

#[test]
fn help_teaches_by_examples() {
    for command in ["serve", "translate", "analyze", "explain"] {
        let output = sluice(&[command, "--help"]);
        assert!(output.status.success());
        assert!(
            stdout(&output).contains("Examples:\n  sluice "),
            "{command}"
        );
    }
}

#[test]
fn serve_says_what_is_wrong_with_its_files() {
    let dir = std::env::temp_dir().join(format!("sluice-cli-{}", std::process::id()));
    fs::create_dir_all(&dir).unwrap();
    let tokens = dir.join("tokens");
    fs::write(&tokens, "t,shop,checkout,web-0\n").unwrap();
    let tokens = tokens.to_str().unwrap();

    let output = sluice(&[
        "serve",
        "--config-dir",
        "world",
        "--token-file",
        tokens,
        "--state-dir",
        dir.join("state").to_str().unwrap(),
    ]);

    fs::remove_dir_all(&dir).unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("chmod 600"), "{}", stderr(&output));
}
