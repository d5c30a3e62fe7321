//! What a client says that it wants, and what it says that it holds.

use std::sync::Arc;

use super::{Due, Held, Ledger};
use crate::{
    Version,
    resource_set::Collection,
    session::{fingerprint::fingerprint, request::Names},
};

impl Ledger {
    /// Takes note of what the client wants, and of what it says it holds.
    pub(in crate::session) fn hear(&mut self, names: &Names, collection: &Collection) {
        let change = match names {
            Names::Delta {
                subscribe,
                unsubscribe,
                ..
            } => self.interest.delta(self.kind, subscribe, unsubscribe),
            Names::Sotw { names, .. } => self.interest.sotw(self.kind, names),
        };
        for name in &change.dropped {
            self.forget(name);
        }
        if change.first {
            match names {
                Names::Delta { initial, .. } => self.believe(initial),
                Names::Sotw { version, .. } => self.believe_if_current(*version, collection),
            }
        }
        let owed = std::mem::take(&mut self.owed);
        for name in change.asked {
            let known = change.first && self.held.contains_key(&name) && !owed.contains(&name);
            self.due
                .insert(name, if known { Due::IfChanged } else { Due::Always });
        }
        if change.wildcard_began {
            // A client that holds nothing waits for an answer, be it empty.
            self.answer_due = self.held.is_empty();
        }
        if change.wildcard_ended {
            let gone: Vec<_> = self
                .held
                .keys()
                .filter(|name| !self.interest.wants(name))
                .cloned()
                .collect();
            gone.iter().for_each(|name| self.forget(name));
        }
        if change.first || change.wildcard_began {
            self.seen = None;
        }
    }

    /// Delta: the client says what it holds from an earlier stream.
    fn believe(&mut self, initial: &[(String, Option<Version>)]) {
        for (name, version) in initial {
            if self.interest.wants(name) {
                self.held.insert(
                    name.as_str().into(),
                    Held {
                        version: *version,
                        body: None,
                    },
                );
            }
        }
    }

    /// State of the world: the client says the version of all that it holds. It is ours, or
    /// else nothing is known.
    fn believe_if_current(&mut self, version: Option<Version>, collection: &Collection) {
        let wanted = || {
            collection
                .iter()
                .filter(|(name, _)| self.interest.wants(name))
        };
        if version == Some(fingerprint(wanted().map(|(_, resource)| &**resource))) {
            self.held = wanted()
                .map(|(name, resource)| {
                    let held = Held {
                        version: Some(resource.version),
                        body: Some(resource.clone()),
                    };
                    (name.clone(), held)
                })
                .collect();
        }
    }

    pub(super) fn forget(&mut self, name: &str) {
        self.held.remove(name);
        self.due.remove(name);
        self.rejected.remove(name);
    }

    /// Sends `name` again even if the client holds it.
    pub(in crate::session) fn owe(&mut self, name: &Arc<str>) {
        if !self.interest.started() {
            self.owed.insert(name.clone());
        } else if self.interest.wants(name) {
            self.due.insert(name.clone(), Due::Always);
        }
        // Otherwise the client asks by itself, and a question is always answered.
    }
}
