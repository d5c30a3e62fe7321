//! Files are short, say what they are, and are named for their idea; crates share their lints.

use std::fs;
use std::path::{Path, PathBuf};

/// A file of more lines holds more than one idea.
const LONGEST_LINES: usize = 450;

#[test]
fn no_source_file_is_longer_than_one_idea() {
    every_source(|path, text| {
        let lines = text.lines().count();
        (lines > LONGEST_LINES)
            .then(|| format!("{} has {lines} lines, split it by idea", path.display()))
    });
}

#[test]
fn no_module_hides_its_name_in_mod_rs() {
    every_source(|path, _| {
        path.ends_with("mod.rs")
            .then(|| format!("{} is to be named for its module", path.display()))
    });
}

#[test]
fn every_source_file_opens_with_what_it_is() {
    every_source(|path, text| {
        (!text.starts_with("//! ")).then(|| format!("{} does not open with //!", path.display()))
    });
}

#[test]
fn every_crate_has_the_lints_of_the_workspace() {
    let mut manifests = files("toml");
    manifests.retain(|path| path.ends_with("Cargo.toml"));
    let complaints: Vec<_> = manifests
        .iter()
        .filter(|path| {
            let text = fs::read_to_string(path).unwrap();
            let inherits = text.contains("[lints]\nworkspace = true");
            text.contains("[package]") && !inherits && !has_lints_with_unsafe_denied(&text)
        })
        .map(|path| format!("{} does not inherit the workspace's lints", path.display()))
        .collect();
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
    assert!(manifests.len() > 10, "found only {manifests:?}");
}

/// Whether a manifest that calls the kernel by hand has the workspace's lints but for one: unsafe
/// code is denied, so that each place says why, instead of forbidden.
fn has_lints_with_unsafe_denied(manifest: &str) -> bool {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let workspace = fs::read_to_string(root.join("Cargo.toml")).unwrap();
    let lints = |text: &str| -> Vec<String> {
        let is_lint = |line: &&str| line.ends_with("\"warn\"") || line.starts_with("unsafe_code");
        text.lines().filter(is_lint).map(str::to_owned).collect()
    };
    let expected: Vec<_> = lints(&workspace)
        .into_iter()
        .map(|line| line.replace("unsafe_code = \"forbid\"", "unsafe_code = \"deny\""))
        .collect();
    manifest.contains("name = \"sluice-init\"") && lints(manifest) == expected
}

#[track_caller]
fn every_source(complaint: impl Fn(&Path, &str) -> Option<String>) {
    let sources = files("rs");
    assert!(sources.len() > 20, "found only {sources:?}");
    let complaints: Vec<_> = sources
        .iter()
        .filter_map(|path| complaint(path, &fs::read_to_string(path).unwrap()))
        .collect();
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
}

/// The files of the checkout with this extension, in order.
fn files(extension: &str) -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let mut found = Vec::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let entry = entry.unwrap();
            let name = entry.file_name();
            let kind = entry.file_type().unwrap();
            // What is built and what git keeps are not the checkout's own.
            let skipped = name == "target" || name.to_string_lossy().starts_with('.');
            if kind.is_dir() && !skipped {
                folders.push(entry.path());
            } else if kind.is_file() && Path::new(&name).extension().is_some_and(|e| e == extension)
            {
                found.push(entry.path());
            }
        }
    }
    found.sort();
    found
}
