//! What the command line can say, and the exit codes: 0 done, 1 failed or errors found, 2 denied
//! (`explain`), 64 not understood.

use std::process::ExitCode;

use clap::{Parser, Subcommand, ValueEnum};
use serde::Serialize;
use sluice_crd::diagnostic::{Diagnostic, Severity};

mod serve;

mod analyze;
mod explain;
mod translate;

mod input;
mod logging;

/// `sysexits.h`: 2, clap's own, means "denied" here.
const USAGE: u8 = 64;

/// Istio-compatible egress gateway for Kubernetes.
///
/// Reads the Istio objects that you have (Gateway, VirtualService, ServiceEntry, DestinationRule,
/// Sidecar, …) and makes outbound traffic leave through dedicated Envoy gateways, over mTLS.
#[derive(Debug, Parser)]
#[command(name = "sluice", version, propagate_version = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Serve(serve::Serve),
    Translate(translate::Translate),
    Analyze(analyze::Analyze),
    Explain(explain::Explain),
}

/// How results are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// JSON, indented.
    Json,
    /// YAML.
    Yaml,
}

/// Runs what the process's arguments say.
pub(crate) fn run() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version are no errors; a closed pipe is not worth a word.
            let _ = error.print();
            return match error.use_stderr() {
                true => ExitCode::from(USAGE),
                false => ExitCode::SUCCESS,
            };
        }
    };
    let done = match cli.command {
        Command::Serve(serve) => serve.run(),
        Command::Translate(translate) => translate.run(),
        Command::Analyze(analyze) => analyze.run(),
        Command::Explain(explain) => explain.run(),
    };
    done.unwrap_or_else(|error| {
        complain(&error);
        ExitCode::FAILURE
    })
}

fn complain(error: &anyhow::Error) {
    warn(&format_args!("sluice: {error:#}"));
}

/// Tells what is wrong with the objects, on standard error.
fn warn_of(diagnostics: &[Diagnostic]) {
    for diagnostic in diagnostics {
        if diagnostic.severity != Severity::Info {
            warn(diagnostic);
        }
    }
}

/// Writes a line to standard error.
fn warn(line: &dyn std::fmt::Display) {
    use std::io::Write;
    // Who closed standard error does not want to know.
    let _ = writeln!(std::io::stderr(), "{line}");
}

/// Writes a result to standard output.
fn print(text: &str) -> anyhow::Result<()> {
    use std::io::{ErrorKind, Write};
    match std::io::stdout().lock().write_all(text.as_bytes()) {
        // `sluice translate … | head` is no failure.
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        done => Ok(done?),
    }
}

/// Writes what a program or a person may read on.
fn print_value(value: &impl Serialize, format: Format) -> anyhow::Result<()> {
    let mut text = match format {
        Format::Json => serde_json::to_string_pretty(value)?,
        Format::Yaml => serde_saphyr::to_string(value)?,
    };
    if !text.ends_with('\n') {
        text.push('\n');
    }
    print(&text)
}
