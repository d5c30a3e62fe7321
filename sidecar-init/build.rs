//! Compiles the BPF programs: `bpf/sluice.bpf.c` becomes one object for all kernels.

use std::io::ErrorKind;
use std::path::Path;
use std::process::Command;

fn main() {
    println!("cargo::rerun-if-changed=bpf");
    println!("cargo::rerun-if-env-changed=CLANG");
    if let Err(problem) = compile() {
        println!("cargo::error={problem}");
    }
}

fn compile() -> Result<(), String> {
    let variable = |name: &str| std::env::var(name).map_err(|_| format!("cargo sets no {name}"));
    let clang = std::env::var("CLANG").unwrap_or_else(|_| "clang".to_owned());
    let object = Path::new(&variable("OUT_DIR")?).join("sluice.bpf.o");
    let arch = variable("CARGO_CFG_TARGET_ARCH")?;
    let mut command = Command::new(&clang);
    command
        .args(["-g", "-O2", "-Wall", "-Werror", "-target", "bpf"])
        // With `-target bpf` clang does not look where Debian keeps asm/types.h.
        .arg(format!("-I/usr/include/{arch}-linux-gnu"))
        .args(["-c", "bpf/sluice.bpf.c", "-o"])
        .arg(&object);
    let output = command.output().map_err(|error| match error.kind() {
        ErrorKind::NotFound => {
            format!("there is no `{clang}`, which compiles BPF programs: install the packages clang and libbpf-dev (`make tools` does), or set CLANG")
        }
        _ => format!("cannot run `{clang}`: {error}"),
    })?;
    if output.status.success() {
        return Ok(());
    }
    let message = String::from_utf8_lossy(&output.stderr).replace('\n', " | ");
    let remedy = if message.contains("bpf/bpf_") {
        ": install the package libbpf-dev (`make tools` does)"
    } else if message.contains("asm/types.h") || message.contains("linux/") {
        ": install the package linux-libc-dev"
    } else {
        ""
    };
    Err(format!(
        "clang cannot compile bpf/sluice.bpf.c{remedy}: {message}"
    ))
}
