//! `sluice analyze`: what is wrong with objects, before they are applied.

use std::{collections::BTreeSet, fmt::Write, process::ExitCode};

use clap::Args;
use serde::Serialize;
use sluice_crd::diagnostic::{Diagnostic, Severity};
use sluice_resolve::analyze;

use super::{Format, input::Input, print, print_value};

/// Find mistakes in objects, each with file, line and column
///
/// Errors are objects or parts of them without effect, warnings are effects that were probably not
/// meant, notes tell among others which fields are accepted but not in effect. Exits with 1 if
/// there are errors.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  sluice analyze -f config/
  kubectl get gateways,virtualservices,serviceentries,services -A -o yaml | sluice analyze -f -
  sluice analyze -f config/ -o json")]
pub(super) struct Analyze {
    /// Write JSON or YAML instead of lines for people
    #[arg(short, long, value_name = "FORMAT")]
    output: Option<Format>,

    #[command(flatten)]
    input: Input,
}

#[derive(Serialize)]
struct Findings {
    summary: Summary,
    /// Errors first, each severity in the order of the files.
    diagnostics: Vec<Diagnostic>,
}

#[derive(Serialize)]
struct Summary {
    objects: usize,
    errors: usize,
    warnings: usize,
    notes: usize,
}

impl Analyze {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        let world = self.input.read()?;
        let mut found: BTreeSet<Diagnostic> = world.diagnostics.into_iter().collect();
        found.extend(analyze(&world.catalog));
        let mut diagnostics: Vec<Diagnostic> = found.into_iter().collect();
        // Whoever looks at the screen's top sees what must be done.
        diagnostics.sort_by(|a, b| (a.severity, &a.location).cmp(&(b.severity, &b.location)));
        let count = |severity| {
            diagnostics
                .iter()
                .filter(|d| d.severity == severity)
                .count()
        };
        let summary = Summary {
            objects: world.catalog.objects().count(),
            errors: count(Severity::Error),
            warnings: count(Severity::Warning),
            notes: count(Severity::Info),
        };
        let code = match summary.errors {
            0 => ExitCode::SUCCESS,
            _ => ExitCode::FAILURE,
        };
        match self.output {
            Some(format) => print_value(
                &Findings {
                    summary,
                    diagnostics,
                },
                format,
            )?,
            None => print(&lines(&summary, &diagnostics))?,
        }
        Ok(code)
    }
}

fn lines(summary: &Summary, diagnostics: &[Diagnostic]) -> String {
    let mut text = String::new();
    for diagnostic in diagnostics {
        writeln!(text, "{diagnostic}").expect("writing to a string does not fail");
    }
    if !diagnostics.is_empty() {
        text.push('\n');
    }
    let Summary {
        objects,
        errors,
        warnings,
        notes,
    } = *summary;
    writeln!(
        text,
        "{}: {}, {}, {}",
        counted(objects, "object"),
        counted(errors, "error"),
        counted(warnings, "warning"),
        counted(notes, "note")
    )
    .expect("writing to a string does not fail");
    text
}

fn counted(count: usize, what: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {what}{plural}")
}
