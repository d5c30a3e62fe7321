//! `sluice analyze`: nothing to say of the examples, and every mistake at its place.

use serde_json::Value;

use super::sluice::{names, sluice, sluice_reading};

const MISTAKES: &str = "\
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: api, namespace: shop}
spec:
  hosts: [api.partner.example]
  ports:
  - {number: 80, name: http, protocl: HTTP}
  resolution: DSN
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: api, namespace: shop}
spec:
  hosts: [api.partner.example]
  http:
  - timeout: soon
    route:
    - destination: {host: api.partner.example}
";

/// Line, column, object and field of each, in the order of the text.
const PLACES: [(u64, u64, &str, &str); 3] = [
    (7, 30, "ServiceEntry shop/api", "spec.ports[0].protocl"),
    (8, 15, "ServiceEntry shop/api", "spec.resolution"),
    (16, 14, "VirtualService shop/api", "spec.http[0].timeout"),
];

#[test]
fn no_example_has_an_error() {
    for example in names() {
        let said = sluice(&["analyze", "-f", "world.yaml", "-f", &example]).done();
        assert!(said.contains(" 0 errors, 0 warnings"), "{example}: {said}");
    }
    let said = sluice(&["analyze", "-f", "."]).done();
    assert!(said.contains(" 0 errors, 0 warnings"), "together: {said}");
}

#[test]
fn three_mistakes_in_a_file_are_three_lines_in_their_order() {
    let folder = std::env::temp_dir().join(format!("sluice-analyze-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let file = folder.join("api.yaml");
    std::fs::write(&file, MISTAKES).unwrap();

    let run = sluice(&["analyze", "-f", folder.to_str().unwrap()]);

    std::fs::remove_dir_all(&folder).unwrap();
    assert_eq!(run.code, 1);
    let errors: Vec<&str> = run
        .stdout
        .lines()
        .take_while(|line| !line.is_empty())
        .collect();
    assert_eq!(errors.len(), PLACES.len(), "{}", run.stdout);
    for (error, (line, column, object, field)) in errors.iter().zip(PLACES) {
        let place = format!("{}:{line}:{column}: error[", file.display());
        assert!(error.starts_with(&place), "{error}, expected {place}");
        assert!(error.contains(&format!("] {object}: {field}: ")), "{error}");
    }
    assert!(
        run.stdout
            .ends_with("0 objects: 3 errors, 0 warnings, 0 notes\n")
    );
}

#[test]
fn mistakes_on_standard_input_are_json_for_programs() {
    let run = sluice_reading(MISTAKES, &["analyze", "-f", "-", "-o", "json"]);

    assert_eq!(run.code, 1);
    let findings: Value = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!(findings["summary"]["errors"], 3);
    let found = findings["diagnostics"].as_array().unwrap();
    assert_eq!(found.len(), PLACES.len());
    for (diagnostic, (line, column, object, field)) in found.iter().zip(PLACES) {
        assert_eq!(diagnostic["location"]["file"], "-");
        assert_eq!(diagnostic["location"]["line"], line);
        assert_eq!(diagnostic["location"]["column"], column);
        assert_eq!(diagnostic["object"], object);
        assert_eq!(diagnostic["field"], field);
    }
}

#[test]
fn a_text_that_is_no_yaml_is_pointed_at() {
    let run = sluice_reading("apiVersion: v1\nkind: [\n", &["analyze", "-f", "-"]);

    assert_eq!(run.code, 1);
    assert!(run.stdout.starts_with("-:2:7: error["), "{}", run.stdout);
}
