//! The mesh config: a file of its own, or the ConfigMap `istio` of the root namespace.

use std::{collections::BTreeMap, fs, path::Path, sync::Arc};

use sluice_crd::{
    diagnostic::{Diagnostic, Severity},
    istio::mesh_config::MeshConfig,
    object::{Kind, Object, ObjectRef},
    parse::mesh_config,
    source::Location,
};

use super::{Options, unreadable};

/// Istio's name of the ConfigMap.
const CONFIG_MAP: &str = "istio";

/// Istio's key in it.
const KEY: &str = "mesh";

/// The mesh config that counts: the last one without errors.
#[derive(Debug, Default)]
pub(super) struct Mesh {
    text: Option<Arc<str>>,
    current: MeshConfig,
    diagnostics: Vec<Diagnostic>,
}

impl Mesh {
    /// Reads it again; gives it if it changed.
    pub(super) fn refresh(
        &mut self,
        options: &Options,
        objects: &BTreeMap<ObjectRef, Object>,
    ) -> Option<MeshConfig> {
        let found = match &options.mesh_config {
            Some(path) => match fs::read_to_string(path) {
                Ok(text) => Some((text, Place::File(path))),
                Err(error) => {
                    self.text = None;
                    self.diagnostics = vec![unreadable(path, &error)];
                    return None;
                }
            },
            None => in_config_map(&options.root_namespace, objects),
        };
        let (text, place) = found.unwrap_or_else(|| (String::new(), Place::Nowhere));
        if self.text.as_deref() == Some(text.as_str()) {
            return None;
        }
        let (config, mut diagnostics) = mesh_config(&place.name(), &text);
        place.relocate(&mut diagnostics);
        let is_broken = diagnostics.iter().any(|d| d.severity == Severity::Error);
        self.text = Some(Arc::from(text));
        self.diagnostics = diagnostics;
        (!is_broken && config != self.current).then(|| {
            self.current = config.clone();
            config
        })
    }

    pub(super) fn diagnostics(&self) -> &[Diagnostic] {
        &self.diagnostics
    }
}

/// Where the text stands.
enum Place<'a> {
    File(&'a Path),
    ConfigMap {
        reference: ObjectRef,
        key: Option<Location>,
    },
    Nowhere,
}

impl Place<'_> {
    fn name(&self) -> String {
        match self {
            Self::File(path) => path.to_string_lossy().into_owned(),
            Self::ConfigMap { key: Some(key), .. } => key.file.to_string(),
            Self::ConfigMap { reference, .. } => reference.to_string(),
            Self::Nowhere => String::new(),
        }
    }

    /// Positions in the ConfigMap's text become positions in its file: exact for a block scalar,
    /// which begins at its first line and whose lines are all indented alike.
    fn relocate(&self, diagnostics: &mut [Diagnostic]) {
        let Self::ConfigMap { reference, key } = self else {
            return;
        };
        for diagnostic in diagnostics {
            diagnostic.object = Some(reference.clone());
            diagnostic.location = match (key, &diagnostic.location) {
                (Some(key), Some(inner)) => Some(Location {
                    file: key.file.clone(),
                    line: key.line + inner.line - 1,
                    column: key.column + inner.column - 1,
                }),
                (key, _) => key.clone(),
            };
        }
    }
}

fn in_config_map<'a>(
    root_namespace: &str,
    objects: &BTreeMap<ObjectRef, Object>,
) -> Option<(String, Place<'a>)> {
    let reference = ObjectRef {
        kind: Kind::ConfigMap,
        namespace: root_namespace.to_owned(),
        name: CONFIG_MAP.to_owned(),
    };
    let Object::ConfigMap(config_map) = objects.get(&reference)? else {
        return None;
    };
    let text = config_map.spec.data.get(KEY)?.clone();
    let source = config_map.source.as_ref();
    let key = source.map(|source| source.locate(&format!("data.{KEY}")));
    Some((text, Place::ConfigMap { reference, key }))
}
