//! The books on one type for one client: what it wants, what it was given, what it is owed.
//!
//! `due` has the names to look at; looking at one compares the set with what the client holds.
//! So the cost of an event is that of the names it touches, not of all there are.

mod answer;
mod subscribe;

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::{Arc, Weak},
    time::Instant,
};

use super::{Missing, interest::Interest};
use crate::{Protocol, Resource, TypeUrl, Version, resource_set::Collection};

#[derive(Debug)]
pub(super) struct Ledger {
    kind: TypeUrl,
    protocol: Protocol,
    missing: Missing,
    interest: Interest,
    /// What the client holds, counting what is on its way.
    held: BTreeMap<Arc<str>, Held>,
    due: BTreeMap<Arc<str>, Due>,
    rejected: BTreeMap<Arc<str>, Rejected>,
    in_flight: VecDeque<InFlight>,
    /// The collection that `due` was made from.
    seen: Option<Weak<Collection>>,
    /// Names to send whatever the client says it holds, from before its first message.
    owed: BTreeSet<Arc<str>>,
    /// An answer is due even if there is nothing to tell.
    answer_due: bool,
    /// At most this many in one response, while looking for one that spoils the others.
    batch: Option<usize>,
}

/// One resource at the client.
#[derive(Clone, Debug, Default)]
struct Held {
    /// None: something, but we do not know what.
    version: Option<Version>,
    /// The last one that it accepted, if that is kept.
    body: Option<Arc<Resource>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Due {
    IfChanged,
    Always,
}

#[derive(Debug)]
struct Rejected {
    version: Version,
    /// The client goes on with an earlier one.
    has_last_good: bool,
}

#[derive(Debug)]
struct InFlight {
    nonce: u64,
    sent_at: Instant,
    stalled: bool,
    items: Vec<Item>,
    denied: Vec<Arc<str>>,
}

#[derive(Debug)]
struct Item {
    name: Arc<str>,
    /// None: its removal.
    version: Option<Version>,
    /// What the client held before.
    prior: Option<Held>,
}

/// What a name's books say is to be done.
enum Need {
    Nothing,
    Send(Arc<Resource>),
    /// The client has it, the set has not.
    Remove,
    /// The client asks for it, the set has it not.
    Deny,
}

/// What may go into a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Scope {
    pub(super) adds: bool,
    pub(super) removals: bool,
}

/// A response's content.
#[derive(Debug, Default)]
pub(super) struct Draft {
    pub(super) sends: Vec<Arc<Resource>>,
    pub(super) removes: Vec<Arc<str>>,
    /// Names that the client asks for and that the set lacks.
    pub(super) denies: Vec<Arc<str>>,
}

pub(super) use answer::Answer;

impl Ledger {
    pub(super) fn new(kind: TypeUrl, protocol: Protocol, missing: Missing) -> Self {
        Self {
            kind,
            protocol,
            missing,
            interest: Interest::default(),
            held: BTreeMap::new(),
            due: BTreeMap::new(),
            rejected: BTreeMap::new(),
            in_flight: VecDeque::new(),
            seen: None,
            owed: BTreeSet::new(),
            answer_due: false,
            batch: None,
        }
    }

    /// Whether the client has said anything about this type.
    pub(super) fn has_started(&self) -> bool {
        self.interest.started()
    }

    /// Those of `names` that the client has not asked for yet.
    pub(super) fn unknown(&self, names: &[String]) -> Vec<String> {
        self.interest.unknown(names)
    }

    /// Brings `due` up to date with the set, and drops from it what needs nothing.
    pub(super) fn look(&mut self, collection: &Arc<Collection>) {
        if !self.interest.started() {
            return;
        }
        let current = Arc::downgrade(collection);
        match &self.seen {
            Some(seen) if Weak::ptr_eq(seen, &current) => {}
            Some(seen) => match collection.changed_since(seen) {
                Some(changed) => {
                    for name in changed.iter().filter(|name| self.interest.wants(name)) {
                        self.due.entry(name.clone()).or_insert(Due::IfChanged);
                    }
                }
                None => self.compare_all(collection),
            },
            None => self.compare_all(collection),
        }
        self.seen = Some(current);

        let mut due = std::mem::take(&mut self.due);
        due.retain(|name, due| !matches!(self.need(name, *due, collection), Need::Nothing));
        self.due = due;
    }

    fn compare_all(&mut self, collection: &Collection) {
        let mut due = std::mem::take(&mut self.due);
        let mut compare = |name: &Arc<str>, resource: Option<&Arc<Resource>>| {
            let held = self.held.get(name).and_then(|held| held.version);
            if resource.map(|resource| resource.version) != held {
                due.entry(name.clone()).or_insert(Due::IfChanged);
            }
        };
        if self.interest.wildcard() {
            collection
                .iter()
                .for_each(|(name, resource)| compare(name, Some(resource)));
        } else {
            self.interest
                .names()
                .iter()
                .for_each(|name| compare(name, collection.get(name)));
        }
        for name in self
            .held
            .keys()
            .filter(|name| collection.get(name).is_none())
        {
            due.entry(name.clone()).or_insert(Due::IfChanged);
        }
        self.due = due;
    }

    fn need(&self, name: &str, due: Due, collection: &Collection) -> Need {
        let held = self.held.get(name);
        let Some(resource) = collection.get(name).filter(|_| self.interest.wants(name)) else {
            return match (held, due, self.missing) {
                // Somebody waits for it, a warming cluster for instance.
                (_, Due::Always, Missing::Told) => Need::Deny,
                (Some(_), _, _) if self.can_tell_removals() => Need::Remove,
                (Some(_) | None, _, _) => Need::Nothing,
            };
        };
        let is_held = held.is_some_and(|held| held.version == Some(resource.version));
        let is_rejected = self
            .rejected
            .get(name)
            .is_some_and(|rejected| rejected.version == resource.version);
        match due {
            Due::Always => Need::Send(resource.clone()),
            Due::IfChanged if is_held || is_rejected => Need::Nothing,
            Due::IfChanged => Need::Send(resource.clone()),
        }
    }

    /// State of the world has no words for the removal of a named resource: the client keeps it
    /// until it wants it no more.
    fn can_tell_removals(&self) -> bool {
        match self.protocol {
            Protocol::Delta => true,
            Protocol::Sotw => self.kind.is_full_state(),
        }
    }

    /// Whether something new waits to be sent, or to be accepted for not too long.
    pub(super) fn is_making(&self, collection: &Collection) -> bool {
        self.is_awaiting_answer()
            || self
                .due
                .iter()
                .any(|(name, due)| matches!(self.need(name, *due, collection), Need::Send(_)))
    }

    /// Whether the client has all that it shall have, and said so.
    pub(super) fn is_settled(&self) -> bool {
        self.in_flight.is_empty() && self.due.is_empty() && !self.answer_due
    }

    /// Whether the client goes on with something older than the set, and all that it refers to.
    pub(super) fn keeps_last_good(&self) -> bool {
        self.rejected
            .values()
            .any(|rejected| rejected.has_last_good)
    }

    /// The next response's content, if there is something to say and nobody to wait for.
    pub(super) fn draft(&mut self, collection: &Collection, scope: Scope) -> Option<Draft> {
        if self.is_awaiting_answer() {
            return None;
        }
        if self.protocol == Protocol::Sotw && !self.due.is_empty() {
            self.take_back_stalled();
        }
        let limit = self.batch.unwrap_or(usize::MAX);
        // A listener that waits for a route configuration would wait for ever after a denial.
        let denies = if self.kind == TypeUrl::Route {
            scope.removals
        } else {
            scope.adds
        };
        let mut draft = Draft::default();
        for (name, due) in &self.due {
            match self.need(name, *due, collection) {
                Need::Send(resource) if scope.adds && draft.sends.len() < limit => {
                    draft.sends.push(resource);
                }
                Need::Remove if scope.removals => draft.removes.push(name.clone()),
                Need::Deny if denies => draft.denies.push(name.clone()),
                Need::Send(_) | Need::Remove | Need::Deny | Need::Nothing => {}
            }
        }
        let is_empty =
            draft.sends.is_empty() && draft.removes.is_empty() && draft.denies.is_empty();
        (!is_empty || self.answer_due && scope.adds).then_some(draft)
    }

    /// Takes note that the client is sent this draft.
    pub(super) fn commit(&mut self, draft: &Draft, nonce: u64, now: Instant) {
        let mut items = Vec::with_capacity(draft.sends.len() + draft.removes.len());
        // What the client held when its last answer came counts, not what it was sent since.
        let mut accepted = BTreeMap::new();
        for item in self.in_flight.iter().flat_map(|sent| &sent.items) {
            accepted
                .entry(item.name.clone())
                .or_insert_with(|| item.prior.clone());
        }
        let mut prior_of =
            |name: &Arc<str>, held: Option<Held>| accepted.remove(name).unwrap_or(held);
        for resource in &draft.sends {
            // State of the world has to repeat them.
            let body = (self.protocol == Protocol::Sotw).then(|| resource.clone());
            let held = Held {
                version: Some(resource.version),
                body,
            };
            let before = self.held.insert(resource.name.clone(), held);
            let prior = prior_of(&resource.name, before);
            self.due.remove(&resource.name);
            let version = Some(resource.version);
            items.push(Item {
                name: resource.name.clone(),
                version,
                prior,
            });
        }
        for name in &draft.removes {
            let before = self.held.remove(name);
            let prior = prior_of(name, before);
            self.due.remove(name);
            items.push(Item {
                name: name.clone(),
                version: None,
                prior,
            });
        }
        for name in &draft.denies {
            self.held.remove(name);
            self.due.remove(name);
        }
        self.answer_due = false;
        self.push_in_flight(InFlight {
            nonce,
            sent_at: now,
            stalled: false,
            items,
            denied: draft.denies.clone(),
        });
    }

    /// All bodies that the client shall hold: the whole world of a full-state type.
    pub(super) fn bodies(&self) -> impl Iterator<Item = &Arc<Resource>> {
        self.held.values().filter_map(|held| held.body.as_ref())
    }
}
