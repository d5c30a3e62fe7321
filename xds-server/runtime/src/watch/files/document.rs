//! What one file said, and what it says now.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::{self, Metadata},
    io,
    os::unix::fs::MetadataExt,
    path::Path,
    time::{Duration, SystemTime},
};

use sluice_crd::{
    diagnostic::{Diagnostic, Severity},
    object::{Object, ObjectRef},
    parse::parse,
};
use sluice_plan::fingerprint::Fingerprint;

use super::DUPLICATE;

/// A larger file is refused rather than read into memory.
const MAX_BYTES: u64 = 256 << 20;

/// A file written so shortly before it was read may be written again without a new time stamp.
const CLOCK_GRAIN: Duration = Duration::from_secs(1);

/// What one file said when it was last read.
#[derive(Debug, Default)]
pub(super) struct File {
    stamp: Option<Stamp>,
    text: Option<Fingerprint>,
    objects: BTreeMap<ObjectRef, Object>,
    diagnostics: Vec<Diagnostic>,
    repeated: Vec<Diagnostic>,
    /// It was found empty once, which an editor may have left for a moment.
    emptied: bool,
    /// Given as text, not yet told as new.
    added: bool,
    in_memory: bool,
}

/// What [`File::refresh`] found.
#[derive(Debug, Default)]
pub(super) struct Refreshed {
    /// Objects that the file defines otherwise than before, or defined before.
    pub(super) touched: BTreeSet<ObjectRef>,
    /// Look again soon.
    pub(super) unsettled: bool,
}

/// Tells a changed file from an unchanged one without reading it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    device: u64,
    inode: u64,
    len: u64,
    modified: (i64, i64),
    changed: (i64, i64),
    /// Read so soon after it was written that the next write may leave the same stamp.
    is_racy: bool,
}

impl Stamp {
    fn new(metadata: &Metadata, now: SystemTime) -> Self {
        let modified = metadata.modified().unwrap_or(now);
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            len: metadata.len(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
            is_racy: modified + CLOCK_GRAIN > now,
        }
    }
}

impl File {
    /// Text that is no file on disk.
    pub(super) fn of_text(name: &str, text: &str, namespace: &str) -> Self {
        let mut file = Self {
            added: true,
            in_memory: true,
            ..Self::default()
        };
        file.take_in(name, text, namespace);
        file
    }

    pub(super) fn is_on_disk(&self) -> bool {
        !self.in_memory
    }

    pub(super) fn objects(&self) -> &BTreeMap<ObjectRef, Object> {
        &self.objects
    }

    pub(super) fn references(&self) -> impl Iterator<Item = &ObjectRef> {
        self.objects.keys()
    }

    pub(super) fn diagnostics(&self) -> &[Diagnostic] {
        &self.diagnostics
    }

    /// Complaints about objects that the file defines twice.
    pub(super) fn repeated(&self) -> &[Diagnostic] {
        &self.repeated
    }

    /// The objects of added text, once.
    pub(super) fn take_added(&mut self) -> Option<Vec<ObjectRef>> {
        std::mem::take(&mut self.added).then(|| self.objects.keys().cloned().collect())
    }

    /// Reads the file again if it may have changed.
    pub(super) fn refresh(
        &mut self,
        path: &Path,
        namespace: &str,
        now: SystemTime,
    ) -> io::Result<Refreshed> {
        if self.in_memory {
            return Ok(Refreshed::default());
        }
        let stamp = Stamp::new(&fs::metadata(path)?, now);
        if self.stamp == Some(stamp) && !stamp.is_racy && !self.emptied {
            return Ok(Refreshed::default());
        }
        if stamp.len > MAX_BYTES {
            let message = format!("larger than {} MiB", MAX_BYTES >> 20);
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, message));
        }
        let text = fs::read_to_string(path)?;
        if text.is_empty() && !self.objects.is_empty() && !self.emptied {
            self.emptied = true;
            return Ok(Refreshed {
                unsettled: true,
                ..Refreshed::default()
            });
        }
        self.emptied = false;
        self.stamp = Some(stamp);
        let touched = self.take_in(&path.to_string_lossy(), &text, namespace);
        Ok(Refreshed {
            touched,
            unsettled: false,
        })
    }

    /// Parses `text`, unless it is the text of before.
    fn take_in(&mut self, name: &str, text: &str, namespace: &str) -> BTreeSet<ObjectRef> {
        let fingerprint = Fingerprint::of(text, "");
        if self.text.replace(fingerprint) == Some(fingerprint) {
            return BTreeSet::new();
        }
        let parsed = parse(name, text, namespace);
        let mut objects: BTreeMap<ObjectRef, Object> = BTreeMap::new();
        let mut repeated = Vec::new();
        for object in parsed.objects {
            let reference = object.reference();
            match objects.get(&reference) {
                Some(first) => repeated.push(repeats(&object, first)),
                None => {
                    objects.insert(reference, object);
                }
            }
        }
        let old = std::mem::take(&mut self.objects);
        let touched = old.keys().chain(objects.keys()).cloned().collect();
        keep_last_good(&mut objects, old, &parsed.diagnostics);
        self.objects = objects;
        self.repeated = repeated;
        self.diagnostics = parsed.diagnostics;
        touched
    }
}

/// Adds to `objects` those of `old` that broke. An error that cannot name its object (the text is
/// no YAML, say) may stand for any of those that are missing, so all of them stay.
fn keep_last_good(
    objects: &mut BTreeMap<ObjectRef, Object>,
    old: BTreeMap<ObjectRef, Object>,
    diagnostics: &[Diagnostic],
) {
    let errors = || diagnostics.iter().filter(|d| d.severity == Severity::Error);
    let is_any = errors().any(|error| error.object.is_none());
    let broken: BTreeSet<&ObjectRef> = errors().filter_map(|e| e.object.as_ref()).collect();
    for (reference, object) in old {
        if is_any || broken.contains(&reference) {
            objects.entry(reference).or_insert(object);
        }
    }
}

/// Says that `object` is defined already, as `first`.
pub(super) fn repeats(object: &Object, first: &Object) -> Diagnostic {
    const FIELD: &str = "metadata.name";
    let first = first.source().map(|source| source.locate(FIELD));
    let place = first.map_or_else(String::new, |place| format!(" at {place}"));
    let message = format!("already defined{place}; that definition counts, this one does not");
    Diagnostic::new(Severity::Error, DUPLICATE, object, FIELD, message)
}
