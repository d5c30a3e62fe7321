//! The bootstrap of each role, read by people in `golden/bootstrap` and accepted by the real Envoy.
//! `UPDATE_GOLDENS=1 cargo test -p sluice-proxy --test bootstrap` writes the files anew.

#![expect(clippy::unwrap_used, reason = "a panic is the report of a test")]

use std::{env, fs, path::PathBuf, process::Command};

use clap::Parser as _;
use serde_json::Value;
use sluice_proxy::{bootstrap::bootstrap, cli::Options, config::Config};

fn config(options: &[&str]) -> Config {
    let common = [
        "sluice-proxy",
        "--run-dir=/run/sluice",
        "--max-connections=100000",
    ];
    Options::try_parse_from(common.iter().chain(options))
        .unwrap()
        .config(1024)
        .unwrap()
}

fn gateway() -> Config {
    config(&[
        "--role=gateway",
        "--control-plane=sluice.sluice-system.svc:15012",
        "--pod-name=istio-egressgateway-0",
        "--pod-namespace=istio-system",
        "--pod-ip=10.244.0.7",
        "--service-account=istio-egressgateway",
    ])
}

fn sidecar() -> Config {
    config(&[
        "--role=sidecar",
        "--control-plane=[fd00::10]:15012",
        "--pod-name=checkout-7d9c",
        "--pod-namespace=shop",
        "--pod-ip=fd00:244::9",
        "--service-account=checkout",
    ])
}

fn golden(name: &str) -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "tests/golden/bootstrap", name]
        .iter()
        .collect()
}

/// Compared as values: whether serde_json keeps the order of keys is other crates' choice.
fn assert_golden(name: &str, config: &Config) {
    let (path, actual) = (golden(name), bootstrap(config));
    if env::var_os("UPDATE_GOLDENS").is_some() {
        fs::write(&path, format!("{actual:#}\n")).unwrap();
    }
    let expected: Value = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
    assert!(
        actual == expected,
        "{} differs; now it is\n{actual:#}",
        path.display()
    );
}

fn assert_valid(name: &str) {
    let envoy =
        env::var_os("SLUICE_ENVOY").expect("SLUICE_ENVOY names no Envoy binary: run `make test`");
    let output = Command::new(envoy)
        .args([
            "--mode",
            "validate",
            "--log-level",
            "warning",
            "--config-path",
        ])
        .arg(golden(name))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{name}: {said}");
    assert!(!said.contains("[warning]"), "{name}: {said}");
}

#[test]
fn gateway_knows_its_control_plane_by_name() {
    assert_golden("gateway.json", &gateway());
}

#[test]
fn sidecar_knows_its_control_plane_by_address() {
    assert_golden("sidecar.json", &sidecar());
}

#[test]
fn envoy_accepts_both_without_a_warning() {
    assert_valid("gateway.json");
    assert_valid("sidecar.json");
}

#[test]
fn no_secret_and_no_path_of_one_is_in_the_bootstrap() {
    let text = bootstrap(&gateway()).to_string();
    assert!(
        !text.contains("token") && !text.contains("root-cert.pem"),
        "{text}"
    );
}
