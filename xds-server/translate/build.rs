//! Two things that the sources cannot say themselves: which build this is, since a build may
//! translate the same plan differently, and the descriptors of Envoy's messages, for printing.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use prost::Message;
use sha2::{Digest, Sha256};

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

fn main() -> Result<()> {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=src");
    println!("cargo::rerun-if-changed=Cargo.toml");
    let manifest_dir = PathBuf::from(variable("CARGO_MANIFEST_DIR")?);
    let out_dir = PathBuf::from(variable("OUT_DIR")?);
    println!(
        "cargo::rustc-env=SLUICE_TRANSLATE_BUILD={}",
        build_id(&manifest_dir)?
    );

    let types = envoy_types(&manifest_dir)?.join("src/generated/types.bin");
    println!("cargo::rerun-if-changed={}", types.display());
    fs::write(out_dir.join("envoy.bin"), without_source_info(&types)?)?;
    Ok(())
}

/// A hash of all that decides how a plan is translated.
fn build_id(manifest_dir: &Path) -> Result<String> {
    let mut files = vec![manifest_dir.join("Cargo.toml")];
    source_files(&manifest_dir.join("src"), &mut files)?;
    files.sort();
    let mut hash = Sha256::new();
    hash.update(variable("CARGO_PKG_VERSION")?);
    for file in files {
        let content = fs::read(&file)?;
        hash.update((content.len() as u64).to_le_bytes());
        hash.update(&content);
    }
    let digest = hash.finalize();
    Ok(digest[..8]
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect())
}

fn source_files(directory: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        if path.is_dir() {
            source_files(&path, files)?;
        } else {
            files.push(path);
        }
    }
    Ok(())
}

/// Where the package `envoy-types` lies; it holds its own descriptors, but does not export them.
fn envoy_types(manifest_dir: &Path) -> Result<PathBuf> {
    let output = Command::new(variable("CARGO")?)
        .args(["metadata", "--offline", "--locked", "--format-version", "1"])
        .args(["--filter-platform", &variable("TARGET")?])
        .arg("--manifest-path")
        .arg(manifest_dir.join("Cargo.toml"))
        .output()?;
    if !output.status.success() {
        return Err(format!(
            "cargo metadata: {}",
            String::from_utf8_lossy(&output.stderr)
        )
        .into());
    }
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout)?;
    metadata["packages"]
        .as_array()
        .into_iter()
        .flatten()
        .find(|package| package["name"] == "envoy-types")
        .and_then(|package| package["manifest_path"].as_str())
        .and_then(|manifest| Path::new(manifest).parent())
        .map(Path::to_owned)
        .ok_or_else(|| "cargo metadata does not know the package envoy-types".into())
}

/// The descriptors without comments and positions: a third of the size.
fn without_source_info(types: &Path) -> Result<Vec<u8>> {
    let bytes = fs::read(types).map_err(|error| format!("{}: {error}", types.display()))?;
    let mut set = prost_types::FileDescriptorSet::decode(bytes.as_slice())?;
    for file in &mut set.file {
        file.source_code_info = None;
    }
    Ok(set.encode_to_vec())
}

fn variable(name: &str) -> Result<String> {
    env::var(name).map_err(|error| format!("{name}: {error}").into())
}
