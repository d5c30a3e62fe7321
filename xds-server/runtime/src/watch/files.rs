//! Objects from files: directories of YAML and JSON, read again when they change.
//!
//! [`Files`] remembers what each file gave, so that a scan tells the difference and nothing else.
//! A file that stops parsing keeps the last good meaning of the objects that broke; a file or
//! directory that cannot be read keeps all it gave. An object that two files define counts as the
//! first file (in path order) defines it, and the second is told so. [`watch`] runs scans for as
//! long as the process lives.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    sync::Arc,
    time::SystemTime,
};

use sluice_crd::{
    diagnostic::{Diagnostic, Severity},
    object::{Object, ObjectRef},
    source::Location,
};
use sluice_resolve::Change;

mod document;
mod mesh;
mod walk;
mod watcher;

pub use watcher::{Feed, watch};

use super::Update;
use document::File;
use mesh::Mesh;

/// A file or directory cannot be read.
const UNREADABLE: &str = "SLU0201";

/// Two files define one object.
const DUPLICATE: &str = "SLU0202";

/// Which files, and how to read them.
#[derive(Clone, Debug)]
pub struct Options {
    /// Files, and directories searched for `*.yaml`, `*.yml` and `*.json`.
    pub roots: Vec<PathBuf>,
    /// The namespace of objects that name none.
    pub default_namespace: String,
    /// Where the ConfigMap `istio` is looked for, whose key `mesh` is the mesh config.
    pub root_namespace: String,
    /// The mesh config instead of the ConfigMap.
    pub mesh_config: Option<PathBuf>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            roots: Vec::new(),
            default_namespace: "default".to_owned(),
            root_namespace: "istio-system".to_owned(),
            mesh_config: None,
        }
    }
}

/// What the files said when they were last looked at.
#[derive(Debug)]
pub struct Files {
    options: Options,
    files: BTreeMap<PathBuf, File>,
    objects: BTreeMap<ObjectRef, Object>,
    mesh: Mesh,
    diagnostics: Vec<Diagnostic>,
}

/// What one look found.
#[derive(Debug, Default)]
pub struct Scan {
    /// What to apply; `None` if all is as before.
    pub update: Option<Update>,
    /// How many objects came, changed or went; moved lines alone do not count.
    pub changed: usize,
    /// A file seems to be half written: look again soon.
    pub unsettled: bool,
}

impl Files {
    /// Nothing read yet.
    pub fn new(options: Options) -> Self {
        Self {
            options,
            files: BTreeMap::new(),
            objects: BTreeMap::new(),
            mesh: Mesh::default(),
            diagnostics: Vec::new(),
        }
    }

    /// Adds what is no file, such as standard input. Scans leave it as it is.
    pub fn add_text(&mut self, name: &str, text: &str) {
        let namespace = &self.options.default_namespace;
        self.files
            .insert(PathBuf::from(name), File::of_text(name, text, namespace));
    }

    /// Reads what changed on disk. `now` tells files that may still be in the making.
    pub fn scan(&mut self, now: SystemTime) -> Scan {
        let listing = walk::list(&self.options.roots);
        let mut problems: Vec<Diagnostic> = listing
            .errors
            .iter()
            .map(|(path, error)| unreadable(path, error))
            .collect();
        let mut touched: BTreeSet<ObjectRef> = BTreeSet::new();
        let mut unsettled = false;

        let gone: Vec<PathBuf> = self
            .files
            .iter()
            .filter(|(path, file)| file.is_on_disk() && !listing.may_hold(path))
            .map(|(path, _)| path.clone())
            .collect();
        for path in gone {
            let file = self.files.remove(&path);
            touched.extend(file.iter().flat_map(File::references).cloned());
        }
        for path in &listing.files {
            let file = self.files.entry(path.clone()).or_default();
            match file.refresh(path, &self.options.default_namespace, now) {
                Ok(refreshed) => {
                    unsettled |= refreshed.unsettled;
                    touched.extend(refreshed.touched);
                }
                Err(error) => problems.push(unreadable(path, &error)),
            }
        }
        // What was added as text is new at the first scan.
        let texts = self.files.values_mut().filter_map(File::take_added);
        touched.extend(texts.flatten());

        let (update, changed) = self.settle(touched, problems);
        Scan {
            update,
            changed,
            unsettled,
        }
    }

    /// Every object that counts.
    pub fn objects(&self) -> impl Iterator<Item = &Object> {
        self.objects.values()
    }

    fn settle(
        &mut self,
        touched: BTreeSet<ObjectRef>,
        mut diagnostics: Vec<Diagnostic>,
    ) -> (Option<Update>, usize) {
        let (world, duplicates) = merge(&self.files);
        diagnostics.extend(duplicates);
        diagnostics.extend(self.files.values().flat_map(File::diagnostics).cloned());

        let mut changes = Vec::new();
        let mut changed = 0;
        for reference in touched {
            let old = self.objects.get(&reference);
            match world.get(&reference) {
                Some(new) => {
                    changed += usize::from(old != Some(new));
                    changes.push(Change::Upsert(new.clone()));
                }
                None if old.is_some() => {
                    changed += 1;
                    changes.push(Change::Delete(reference));
                }
                None => {}
            }
        }
        self.objects = world;

        let mesh = self.mesh.refresh(&self.options, &self.objects);
        diagnostics.extend(self.mesh.diagnostics().iter().cloned());
        diagnostics.sort();
        diagnostics.dedup();

        if changes.is_empty() && mesh.is_none() && diagnostics == self.diagnostics {
            return (None, 0);
        }
        self.diagnostics.clone_from(&diagnostics);
        let update = Update {
            changes,
            mesh,
            diagnostics,
            objects: self.objects.len(),
        };
        (Some(update), changed)
    }
}

/// The objects that count, by path order, and a complaint about each later definition.
fn merge(files: &BTreeMap<PathBuf, File>) -> (BTreeMap<ObjectRef, Object>, Vec<Diagnostic>) {
    let mut world: BTreeMap<ObjectRef, Object> = BTreeMap::new();
    let mut diagnostics = Vec::new();
    for file in files.values() {
        diagnostics.extend(file.repeated().iter().cloned());
        for (reference, object) in file.objects() {
            match world.get(reference) {
                Some(first) => diagnostics.push(document::repeats(object, first)),
                None => {
                    world.insert(reference.clone(), object.clone());
                }
            }
        }
    }
    (world, diagnostics)
}

fn unreadable(path: &std::path::Path, error: &std::io::Error) -> Diagnostic {
    Diagnostic {
        severity: Severity::Error,
        code: UNREADABLE.into(),
        object: None,
        field: String::new(),
        message: format!("cannot be read: {error}"),
        location: Some(Location {
            file: Arc::from(path.to_string_lossy()),
            line: 1,
            column: 1,
        }),
    }
}

#[cfg(test)]
mod tests;
