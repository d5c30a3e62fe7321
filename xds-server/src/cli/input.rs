//! The objects that a command works on, from files or standard input.

use std::{
    io::Read,
    path::{Path, PathBuf},
    time::SystemTime,
};

use anyhow::Context;
use clap::Args;
use sluice_crd::diagnostic::Diagnostic;
use sluice_resolve::Catalog;
use sluice_runtime::watch::files::{Files, Options};

/// Where objects are read from.
#[derive(Debug, Args)]
#[command(next_help_heading = "Objects")]
pub(super) struct Input {
    /// File, directory (searched for *.yaml, *.yml and *.json), or - for standard input; repeatable
    #[arg(
        short = 'f',
        long = "filename",
        value_name = "FILE|DIR|-",
        required = true
    )]
    paths: Vec<PathBuf>,

    #[command(flatten)]
    defaults: Defaults,
}

/// What holds where the objects do not say.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Objects")]
pub(super) struct Defaults {
    /// Namespace of objects that name none
    #[arg(short = 'n', long, value_name = "NS", default_value = "default")]
    namespace: String,

    /// Mesh config, instead of the ConfigMap `istio` (key `mesh`) of the root namespace
    #[arg(long, value_name = "FILE")]
    mesh_config: Option<PathBuf>,

    /// Namespace in which the ConfigMap `istio` is looked for
    #[arg(long, value_name = "NS", default_value = "istio-system")]
    root_namespace: String,
}

/// What was read.
pub(super) struct World {
    /// The objects.
    pub(super) catalog: Catalog,
    /// What reading them had to say.
    pub(super) diagnostics: Vec<Diagnostic>,
}

impl Defaults {
    /// How to read `roots`.
    pub(super) fn options(&self, roots: Vec<PathBuf>) -> Options {
        Options {
            roots,
            default_namespace: self.namespace.clone(),
            root_namespace: self.root_namespace.clone(),
            mesh_config: self.mesh_config.clone(),
        }
    }
}

impl Input {
    /// Reads everything. Broken objects are left out and reported; a path that does not exist is
    /// an error.
    pub(super) fn read(&self) -> anyhow::Result<World> {
        let (stdin, roots): (Vec<PathBuf>, Vec<PathBuf>) = self
            .paths
            .iter()
            .cloned()
            .partition(|path| path == Path::new("-"));
        let options = self.defaults.options(roots);
        for path in options.roots.iter().chain(&options.mesh_config) {
            std::fs::metadata(path).with_context(|| format!("cannot read {}", path.display()))?;
        }
        let mut files = Files::new(options);
        if !stdin.is_empty() {
            let mut text = String::new();
            std::io::stdin()
                .read_to_string(&mut text)
                .context("cannot read standard input")?;
            files.add_text("-", &text);
        }
        let update = files.scan(SystemTime::now()).update.unwrap_or_default();
        let mut catalog = Catalog::new(update.mesh.unwrap_or_default());
        catalog.apply(update.changes);
        Ok(World {
            catalog,
            diagnostics: update.diagnostics,
        })
    }
}
