//! `sluice translate` of every example: stock Envoy takes it, and keys stay where they are.

use sluice_tests::envoy;

use super::sluice::{GATEWAY, SIDECAR, names, sluice, texts};

/// What stands in the example's PEM keys, line by line as the files have it.
fn key_lines(example: &str) -> Vec<String> {
    let text = texts(example);
    let from_keys = text
        .split("-----BEGIN PRIVATE KEY-----")
        .skip(1)
        .filter_map(|rest| rest.split("-----END PRIVATE KEY-----").next());
    from_keys
        .flat_map(str::lines)
        .map(|line| line.trim().to_owned())
        .filter(|line| !line.is_empty())
        .collect()
}

#[test]
fn envoy_takes_the_static_config_of_every_example_s_gateway_and_sidecar() {
    for example in names() {
        for proxy in [GATEWAY, SIDECAR] {
            let files = ["-f", "world.yaml", "-f", &example];
            let run = sluice(&[&["translate", "--static", "--proxy", proxy], &files[..]].concat());
            let bootstrap = run.done();
            envoy::validate(&bootstrap).unwrap_or_else(|why| panic!("{example}, {proxy}: {why}"));
        }
    }
}

#[test]
fn envoy_takes_all_examples_together() {
    for proxy in [GATEWAY, SIDECAR] {
        let run = sluice(&["translate", "--static", "--proxy", proxy, "-f", "."]);
        let bootstrap = run.done();
        envoy::validate(&bootstrap).unwrap_or_else(|why| panic!("{proxy}: {why}"));
    }
}

#[test]
fn keys_are_printed_only_on_demand() {
    let mut with_keys = 0;
    for example in names() {
        let keys = key_lines(&example);
        let arguments = [
            "translate",
            "--proxy",
            GATEWAY,
            "-f",
            "world.yaml",
            "-f",
            &example,
        ];
        for form in [&[][..], &["--static"], &["-o", "yaml"]] {
            let printed = sluice(&[&arguments, form].concat()).done();
            for line in &keys {
                assert!(!printed.contains(line), "{example} {form:?} shows a key");
            }
            let printed = sluice(&[&arguments, form, &["--show-secrets"]].concat()).done();
            for line in &keys {
                assert!(printed.contains(line), "{example} {form:?} lacks the key");
            }
        }
        with_keys += usize::from(!keys.is_empty());
    }
    assert!(with_keys > 0, "an example has a key");
}
