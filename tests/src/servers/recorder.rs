//! A list that servers append to and tests wait on.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// What was recorded, in order; clones share it.
pub struct Recorder<T> {
    shared: Arc<Shared<T>>,
}

struct Shared<T> {
    entries: Mutex<Vec<T>>,
    changed: Condvar,
}

impl<T> Recorder<T> {
    pub(crate) fn new() -> Self {
        Self {
            shared: Arc::new(Shared {
                entries: Mutex::new(Vec::new()),
                changed: Condvar::new(),
            }),
        }
    }

    /// Appends `entry` and tells its index, by which it may be updated.
    pub(crate) fn push(&self, entry: T) -> usize {
        let mut entries = self.entries();
        entries.push(entry);
        self.shared.changed.notify_all();
        entries.len() - 1
    }

    /// Changes an entry while it is still happening. One that was cleared away is let go.
    pub(crate) fn update(&self, index: usize, change: impl FnOnce(&mut T)) {
        if let Some(entry) = self.entries().get_mut(index) {
            change(entry);
        }
        self.shared.changed.notify_all();
    }

    /// How many entries there are.
    pub fn count(&self) -> usize {
        self.entries().len()
    }

    fn entries(&self) -> MutexGuard<'_, Vec<T>> {
        self.shared
            .entries
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T: Clone> Recorder<T> {
    /// All entries.
    pub fn all(&self) -> Vec<T> {
        self.entries().clone()
    }

    /// The newest entry.
    #[track_caller]
    pub fn last(&self) -> T {
        self.entries()
            .last()
            .cloned()
            .expect("nothing was recorded")
    }

    /// Waits until there are `count` entries, and returns all.
    #[track_caller]
    pub fn wait_for_count(&self, count: usize, timeout: Duration) -> Vec<T> {
        self.wait_until(timeout, |entries| entries.len() >= count)
            .unwrap_or_else(|| {
                panic!(
                    "{} of {count} expected within {timeout:?} were recorded",
                    self.count()
                )
            })
    }

    /// Waits until `done` holds of the entries, and returns them; `None` after `timeout`.
    pub fn wait_until(&self, timeout: Duration, done: impl Fn(&[T]) -> bool) -> Option<Vec<T>> {
        let deadline = Instant::now() + timeout;
        let mut entries = self.entries();
        loop {
            if done(&entries) {
                return Some(entries.clone());
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return None;
            }
            entries = self
                .shared
                .changed
                .wait_timeout(entries, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
    }
}

impl<T> Clone for Recorder<T> {
    fn clone(&self) -> Self {
        Self {
            shared: self.shared.clone(),
        }
    }
}
