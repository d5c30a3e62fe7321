//! What scans make of files that come, change, break and go.

use std::{
    fs,
    path::PathBuf,
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use sluice_crd::{
    istio::mesh_config::{MeshConfig, OutboundTrafficPolicyMode},
    object::Kind,
};

use super::*;

/// A directory of its own, removed at the end.
struct Scratch {
    path: PathBuf,
}

impl Scratch {
    fn new() -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("sluice-files-{}-{count}", std::process::id());
        let path = std::env::temp_dir().join(name);
        fs::create_dir_all(&path).unwrap();
        Self { path }
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.path.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn remove(&self, name: &str) {
        fs::remove_file(self.path.join(name)).unwrap();
    }

    fn rename(&self, from: &str, to: &str) {
        fs::rename(self.path.join(from), self.path.join(to)).unwrap();
    }

    fn files(&self) -> Files {
        Files::new(Options {
            roots: vec![self.path.clone()],
            ..Options::default()
        })
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // Nothing depends on it, and a test that failed must say why, not this.
        let _ = fs::remove_dir_all(&self.path);
    }
}

fn service_entry(name: &str, host: &str) -> String {
    format!(
        "apiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata:\n  name: {name}\nspec:\n  \
         hosts: [{host}]\n  ports:\n  - {{number: 443, name: tls, protocol: TLS}}\n  resolution: DNS\n"
    )
}

fn scan(files: &mut Files) -> Scan {
    files.scan(SystemTime::now())
}

fn update(files: &mut Files) -> Update {
    scan(files).update.expect("something changed")
}

/// `+name` for each upsert, `-name` for each delete.
fn told(update: &Update) -> Vec<String> {
    update
        .changes
        .iter()
        .map(|change| match change {
            Change::Upsert(object) => format!("+{}", object.meta().name),
            Change::Delete(reference) => format!("-{}", reference.name),
        })
        .collect()
}

fn hosts(files: &Files) -> Vec<String> {
    files
        .objects()
        .filter_map(|object| match object {
            Object::ServiceEntry(entry) => Some(entry.spec.hosts.join(",")),
            _ => None,
        })
        .collect()
}

fn codes(update: &Update) -> Vec<&str> {
    update.diagnostics.iter().map(|d| &*d.code).collect()
}

#[test]
fn files_of_all_suffixes_and_depths_are_read_and_hidden_ones_are_not() {
    let scratch = Scratch::new();
    scratch.write("a.yaml", &service_entry("a", "a.example"));
    scratch.write("sub/dir/b.yml", &service_entry("b", "b.example"));
    scratch.write(
        "c.json",
        r#"{"apiVersion":"v1","kind":"Namespace","metadata":{"name":"c"}}"#,
    );
    scratch.write(".hidden.yaml", &service_entry("x", "x.example"));
    scratch.write(".git/y.yaml", &service_entry("y", "y.example"));
    scratch.write("notes.txt", "not: [yaml");

    let mut files = scratch.files();
    let update = update(&mut files);

    assert_eq!(update.objects, 3);
    assert_eq!(hosts(&files), ["a.example", "b.example"]);
    assert_eq!(update.diagnostics, []);
}

#[test]
fn a_scan_tells_only_what_changed() {
    let scratch = Scratch::new();
    scratch.write("a.yaml", &service_entry("a", "a.example"));
    scratch.write("b.yaml", &service_entry("b", "b.example"));
    let mut files = scratch.files();
    assert_eq!(told(&update(&mut files)), ["+a", "+b"]);

    assert!(scan(&mut files).update.is_none());

    scratch.write("a.yaml", &service_entry("a", "changed.example"));
    let scan = scan(&mut files);
    assert_eq!(scan.changed, 1);
    assert_eq!(told(&scan.update.unwrap()), ["+a"]);
    assert_eq!(hosts(&files), ["changed.example", "b.example"]);
}

#[test]
fn a_write_of_equal_length_in_the_same_moment_is_seen() {
    let scratch = Scratch::new();
    let mut files = scratch.files();
    for round in 0..20 {
        scratch.write(
            "a.yaml",
            &service_entry("a", &format!("{round:02}.example")),
        );
        scan(&mut files);
        assert_eq!(hosts(&files), [format!("{round:02}.example")]);
    }
}

#[test]
fn a_deleted_file_takes_its_objects_along() {
    let scratch = Scratch::new();
    scratch.write("a.yaml", &service_entry("a", "a.example"));
    scratch.write("b.yaml", &service_entry("b", "b.example"));
    let mut files = scratch.files();
    scan(&mut files);

    scratch.remove("a.yaml");

    assert_eq!(told(&update(&mut files)), ["-a"]);
    assert_eq!(hosts(&files), ["b.example"]);
}

#[test]
fn a_renamed_file_keeps_its_objects() {
    let scratch = Scratch::new();
    scratch.write("a.yaml", &service_entry("a", "a.example"));
    let mut files = scratch.files();
    scan(&mut files);

    scratch.rename("a.yaml", "z.yaml");
    let scan = scan(&mut files);

    assert_eq!(scan.changed, 0);
    assert_eq!(hosts(&files), ["a.example"]);
}

#[test]
fn a_file_written_beside_and_renamed_over_is_one_change() {
    let scratch = Scratch::new();
    scratch.write("a.yaml", &service_entry("a", "a.example"));
    let mut files = scratch.files();
    scan(&mut files);

    scratch.write(".a.yaml.swp", &service_entry("a", "new.example"));
    assert!(scan(&mut files).update.is_none());
    scratch.rename(".a.yaml.swp", "a.yaml");

    assert_eq!(told(&update(&mut files)), ["+a"]);
    assert_eq!(hosts(&files), ["new.example"]);
}

#[test]
fn a_file_that_stops_parsing_keeps_its_last_good_objects() {
    let scratch = Scratch::new();
    scratch.write("a.yaml", &service_entry("a", "a.example"));
    scratch.write("b.yaml", &service_entry("b", "b.example"));
    let mut files = scratch.files();
    scan(&mut files);

    scratch.write("a.yaml", "apiVersion: [unclosed\n");
    scratch.write("b.yaml", &service_entry("b", "new.example"));
    let broken = update(&mut files);

    assert!(broken.diagnostics.iter().any(Diagnostic::is_error));
    assert_eq!(hosts(&files), ["a.example", "new.example"]);

    scratch.write("a.yaml", &service_entry("a", "mended.example"));
    let mended = update(&mut files);

    assert_eq!(mended.diagnostics, []);
    assert_eq!(hosts(&files), ["mended.example", "new.example"]);
}

#[test]
fn one_broken_object_keeps_its_last_good_meaning_and_the_others_change() {
    let scratch = Scratch::new();
    let pair = |first: &str, second: &str| format!("{first}---\n{second}");
    let good = pair(
        &service_entry("a", "a.example"),
        &service_entry("b", "b.example"),
    );
    scratch.write("all.yaml", &good);
    let mut files = scratch.files();
    scan(&mut files);

    let bad = service_entry("a", "other.example").replace("hosts:", "hots:");
    scratch.write("all.yaml", &pair(&bad, &service_entry("b", "new.example")));
    let update = update(&mut files);

    assert!(update.diagnostics.iter().any(Diagnostic::is_error));
    assert_eq!(hosts(&files), ["a.example", "new.example"]);
}

#[test]
fn an_object_taken_out_of_a_good_file_is_gone() {
    let scratch = Scratch::new();
    let both = format!(
        "{}---\n{}",
        service_entry("a", "a.example"),
        service_entry("b", "b.example")
    );
    scratch.write("all.yaml", &both);
    let mut files = scratch.files();
    scan(&mut files);

    scratch.write("all.yaml", &service_entry("b", "b.example"));

    assert!(told(&update(&mut files)).contains(&"-a".to_owned()));
    assert_eq!(hosts(&files), ["b.example"]);
}

#[test]
fn a_file_found_empty_is_believed_at_the_second_look() {
    let scratch = Scratch::new();
    scratch.write("a.yaml", &service_entry("a", "a.example"));
    let mut files = scratch.files();
    scan(&mut files);

    scratch.write("a.yaml", "");
    let first = scan(&mut files);
    assert!(first.unsettled && first.update.is_none());
    assert_eq!(hosts(&files), ["a.example"]);

    assert_eq!(told(&update(&mut files)), ["-a"]);
}

#[test]
fn an_object_in_two_files_counts_as_the_first_says_and_the_second_is_told() {
    let scratch = Scratch::new();
    scratch.write("a.yaml", &service_entry("same", "first.example"));
    scratch.write("b.yaml", &service_entry("same", "second.example"));
    let mut files = scratch.files();
    let both = update(&mut files);

    assert_eq!(hosts(&files), ["first.example"]);
    assert_eq!(codes(&both), [DUPLICATE]);
    let text = both.diagnostics[0].to_string();
    assert!(text.contains("b.yaml:4:9: error[SLU0202]"), "{text}");
    assert!(text.contains("a.yaml:4:9"), "{text}");

    scratch.remove("a.yaml");
    let one = update(&mut files);
    assert_eq!(hosts(&files), ["second.example"]);
    assert_eq!(codes(&one), [""; 0]);
}

#[test]
fn an_object_twice_in_one_file_is_told_too() {
    let scratch = Scratch::new();
    let twice = format!(
        "{}---\n{}",
        service_entry("same", "first.example"),
        service_entry("same", "second.example")
    );
    scratch.write("a.yaml", &twice);
    let mut files = scratch.files();

    assert_eq!(codes(&update(&mut files)), [DUPLICATE]);
    assert_eq!(hosts(&files), ["first.example"]);
}

#[test]
fn a_directory_that_vanishes_keeps_its_objects() {
    let scratch = Scratch::new();
    scratch.write("dir/a.yaml", &service_entry("a", "a.example"));
    let mut files = Files::new(Options {
        roots: vec![scratch.path.join("dir")],
        ..Options::default()
    });
    scan(&mut files);

    scratch.rename("dir", "elsewhere");
    let lost = update(&mut files);

    assert_eq!(hosts(&files), ["a.example"]);
    assert_eq!(codes(&lost), [UNREADABLE]);
}

#[test]
fn text_is_read_once_and_stays() {
    let scratch = Scratch::new();
    let mut files = scratch.files();
    files.add_text("-", &service_entry("a", "a.example"));

    assert_eq!(told(&update(&mut files)), ["+a"]);
    assert!(scan(&mut files).update.is_none());
    assert_eq!(hosts(&files), ["a.example"]);
}

#[test]
fn the_mesh_config_is_the_config_map_of_the_root_namespace() {
    let scratch = Scratch::new();
    let config_map = |mesh: &str| {
        format!(
            "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: istio\n  namespace: istio-system\n\
             data:\n  mesh: |-\n    {mesh}\n"
        )
    };
    scratch.write("mesh.yaml", &config_map("trustDomain: example.org"));
    let mut files = scratch.files();
    let mesh = update(&mut files).mesh.unwrap();
    assert_eq!(mesh.trust_domain, "example.org");

    scratch.write("other.yaml", &service_entry("a", "a.example"));
    assert_eq!(update(&mut files).mesh, None);

    scratch.write(
        "mesh.yaml",
        &config_map("outboundTrafficPolicy: {mode: NO_SUCH}"),
    );
    let broken = update(&mut files);
    assert_eq!(broken.mesh, None);
    let error = broken.diagnostics.iter().find(|d| d.is_error()).unwrap();
    assert_eq!(error.object.as_ref().unwrap().kind, Kind::ConfigMap);
    let at = error.location.as_ref().unwrap().to_string();
    assert!(at.ends_with("mesh.yaml:8:35"), "{at}");

    scratch.remove("mesh.yaml");
    let mesh = update(&mut files).mesh.unwrap();
    assert_eq!(mesh, MeshConfig::default());
}

#[test]
fn a_mesh_config_file_counts_instead_of_the_config_map() {
    let scratch = Scratch::new();
    scratch.write("mesh.conf", "outboundTrafficPolicy: {mode: ALLOW_ANY}\n");
    let mut files = Files::new(Options {
        roots: vec![scratch.path.clone()],
        mesh_config: Some(scratch.path.join("mesh.conf")),
        ..Options::default()
    });

    let mesh = update(&mut files).mesh.unwrap();

    assert_eq!(
        mesh.outbound_traffic_policy.mode,
        OutboundTrafficPolicyMode::AllowAny
    );
}

#[test]
fn ten_thousand_objects_are_scanned_in_bounded_time() {
    let scratch = Scratch::new();
    for file in 0..100 {
        let text: Vec<String> = (0..100)
            .map(|n| service_entry(&format!("e{file}-{n}"), &format!("h{file}-{n}.example")))
            .collect();
        scratch.write(&format!("{file}.yaml"), &text.join("---\n"));
    }
    let mut files = scratch.files();
    let start = std::time::Instant::now();

    assert_eq!(update(&mut files).objects, 10_000);
    assert!(start.elapsed() < Duration::from_secs(60));

    let start = std::time::Instant::now();
    // Later than the clock's grain: nothing is read again.
    let later = SystemTime::now() + Duration::from_secs(5);
    files.scan(later);
    let start_again = std::time::Instant::now();
    assert!(files.scan(later).update.is_none());
    assert!(
        start_again.elapsed() < Duration::from_secs(5),
        "{:?}",
        start.elapsed()
    );
}
