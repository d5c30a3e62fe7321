//! The protocol, as a state machine without socket and clock.
//!
//! A session knows what one client asked for and what it was told, type by type (the
//! [`Ledger`](ledger::Ledger)), and says what to send next. Its rules, each with a test in
//! `session/tests`:
//!
//! - One response per type is on its way at a time; when the answer comes, the next one is made
//!   from the newest set. Equal versions: nothing is sent.
//! - Make before break: CDS, EDS, LDS, RDS. Listeners and routes wait until the clusters and
//!   endpoints that were sent are accepted. Removals run the other way: clusters go when no
//!   listener or route that may use them is left.
//! - EDS never waits for the acceptance of CDS: Envoy withholds that until it has the endpoints.
//!   A cluster that is sent takes its endpoints with it, because Envoy warms it anew and does
//!   not ask again (Envoy #33607).
//! - A rejected resource stays as it was and waits for different content. What was good in the
//!   same response is sent again without it; when the message names no culprit, in halves.
//! - An answer that does not come within [`ACK_TIMEOUT`] is reported, and no longer waited for:
//!   Envoy can leave a rejection unsaid until the next push.

mod blame;
mod fingerprint;
mod interest;
mod ledger;
mod request;
#[cfg(test)]
mod tests;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

pub use request::Request;

use crate::{Protocol, Resource, ResourceSet, TypeUrl, Version};
use fingerprint::fingerprint;
use ledger::{Answer, Draft, Ledger, Scope};

/// How long an answer may take. Above Envoy's initial fetch timeout of 15 s, for which a warming
/// cluster withholds it legitimately.
pub const ACK_TIMEOUT: Duration = Duration::from_secs(20);

/// How long after its first message a client may take to ask for its other types. Until then it
/// may hold listeners and routes that lead to a cluster which it should not have any more.
const ARRIVAL: Duration = Duration::from_secs(2);

/// One client's state.
#[derive(Debug)]
pub struct Session {
    protocol: Protocol,
    next_nonce: u64,
    arrived_at: Option<Instant>,
    is_arriving: bool,
    ledgers: [Ledger; TypeUrl::ALL.len()],
}

/// What a client hears about a name that it asks for and that the set lacks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Missing {
    /// That it does not exist, so that it goes on without.
    Told,
    /// Nothing, until it exists.
    Awaited,
}

/// One response, not yet encoded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    /// The type of the resources.
    pub kind: TypeUrl,
    /// What the answer will refer to. Counted from 1 in each session.
    pub nonce: u64,
    /// The fingerprint of what the client holds of this type with it (state of the world), or
    /// of the response (delta, where it is for people only).
    pub version: Version,
    /// What is new or changed; all there is for clusters and listeners in state of the world.
    pub resources: Vec<Arc<Resource>>,
    /// What does not exist any more. Delta only.
    pub removed: Vec<Arc<str>>,
}

/// What an event leads to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// What was learned, for the observer.
    pub reports: Vec<Report>,
    /// What to send, in this order.
    pub responses: Vec<Response>,
}

/// Something that an observer wants to know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Report {
    /// A response was accepted.
    Acked {
        /// Its type.
        kind: TypeUrl,
        /// Its nonce.
        nonce: u64,
        /// The time since it was sent.
        elapsed: Duration,
    },
    /// A response was rejected.
    Nacked {
        /// Its type.
        kind: TypeUrl,
        /// Its nonce.
        nonce: u64,
        /// The resources that the message names; all of the response when it names none.
        names: Vec<Arc<str>>,
        /// What the client says.
        message: String,
    },
    /// A response has no answer yet.
    Stalled {
        /// Its type.
        kind: TypeUrl,
        /// Its nonce.
        nonce: u64,
        /// The time since it was sent.
        waited: Duration,
    },
}

/// The order of adding: what may be referred to comes first. Secrets are never held back: a
/// cluster or listener that waits for one is not accepted before.
const MAKE: [TypeUrl; 5] = [
    TypeUrl::Cluster,
    TypeUrl::Endpoints,
    TypeUrl::Secret,
    TypeUrl::Listener,
    TypeUrl::Route,
];

/// The order of removing: what refers goes first.
const BREAK: [TypeUrl; 5] = [
    TypeUrl::Listener,
    TypeUrl::Route,
    TypeUrl::Cluster,
    TypeUrl::Endpoints,
    TypeUrl::Secret,
];

impl Session {
    /// A session of a delta stream.
    pub fn delta(missing: Missing) -> Self {
        Self::new(Protocol::Delta, missing)
    }

    /// A session of a state-of-the-world stream.
    pub fn sotw(missing: Missing) -> Self {
        Self::new(Protocol::Sotw, missing)
    }

    fn new(protocol: Protocol, missing: Missing) -> Self {
        Self {
            protocol,
            next_nonce: 1,
            arrived_at: None,
            is_arriving: true,
            ledgers: TypeUrl::ALL.map(|kind| Ledger::new(kind, protocol, missing)),
        }
    }

    /// The names that `request` asks for and none before it did.
    pub fn new_names(&self, request: &Request) -> Vec<String> {
        self.ledger(request.kind).unknown(request.subscribes())
    }

    /// The client says something.
    pub fn on_request(&mut self, request: Request, set: &ResourceSet, now: Instant) -> Outcome {
        let kind = request.kind;
        self.arrived_at.get_or_insert(now);
        let mut reports = Vec::new();
        if let Some(nonce) = request.nonce {
            let error = request.error.as_deref();
            match self.ledger_mut(kind).answer(nonce, error, now) {
                Some(Answer::Acked { elapsed }) => {
                    reports.push(Report::Acked {
                        kind,
                        nonce,
                        elapsed,
                    });
                }
                Some(Answer::Nacked { names }) => {
                    let message = without_keys(kind, &request.error.unwrap_or_default());
                    reports.push(Report::Nacked {
                        kind,
                        nonce,
                        names,
                        message,
                    });
                }
                // Stale, as happens under load. What it says about names counts all the same.
                None => {}
            }
        }
        self.ledger_mut(kind)
            .hear(&request.names, set.collection(kind));
        Outcome {
            reports,
            responses: self.responses(set, now),
        }
    }

    /// There is a newer set.
    pub fn on_publish(&mut self, set: &ResourceSet, now: Instant) -> Outcome {
        Outcome {
            reports: Vec::new(),
            responses: self.responses(set, now),
        }
    }

    /// Time has passed; to be called at [`wake_at`](Self::wake_at).
    pub fn on_tick(&mut self, set: &ResourceSet, now: Instant) -> Outcome {
        let mut reports = Vec::new();
        for kind in TypeUrl::ALL {
            let overdue = self.ledger_mut(kind).give_up(now);
            reports.extend(overdue.into_iter().map(|(nonce, waited)| Report::Stalled {
                kind,
                nonce,
                waited,
            }));
        }
        Outcome {
            reports,
            responses: self.responses(set, now),
        }
    }

    /// When [`on_tick`](Self::on_tick) has something to do.
    pub fn wake_at(&self) -> Option<Instant> {
        let arrived = self
            .arrived_at
            .filter(|_| self.is_arriving)
            .map(|at| at + ARRIVAL);
        self.ledgers
            .iter()
            .filter_map(Ledger::wake_at)
            .chain(arrived)
            .min()
    }

    /// Since when the client owes an answer of this type, if it is overdue.
    pub fn stalled_since(&self, kind: TypeUrl) -> Option<Instant> {
        self.ledger(kind).stalled_since()
    }

    /// All that may be sent now.
    fn responses(&mut self, set: &ResourceSet, now: Instant) -> Vec<Response> {
        self.is_arriving = self.arrived_at.is_none_or(|at| now < at + ARRIVAL)
            && [TypeUrl::Cluster, TypeUrl::Listener, TypeUrl::Route]
                .into_iter()
                .any(|kind| !self.ledger(kind).has_started());
        for kind in TypeUrl::ALL {
            self.ledger_mut(kind).look(set.collection(kind));
        }
        let mut responses = Vec::new();
        for kind in MAKE {
            if self.may_add(kind, set) {
                let scope = Scope {
                    adds: true,
                    removals: self.may_remove(kind),
                };
                responses.extend(self.response(kind, scope, set, now));
            }
        }
        for kind in BREAK {
            if self.may_remove(kind) {
                let scope = Scope {
                    adds: false,
                    removals: true,
                };
                responses.extend(self.response(kind, scope, set, now));
            }
        }
        responses
    }

    /// Listeners and routes wait for the clusters and endpoints that they may lead to.
    fn may_add(&self, kind: TypeUrl, set: &ResourceSet) -> bool {
        let is_made = |kind: TypeUrl| !self.ledger(kind).is_making(set.collection(kind));
        match kind {
            TypeUrl::Cluster | TypeUrl::Endpoints | TypeUrl::Secret => true,
            TypeUrl::Listener | TypeUrl::Route => {
                is_made(TypeUrl::Cluster) && is_made(TypeUrl::Endpoints)
            }
        }
    }

    /// What others may refer to stays until they are gone, and as long as a client goes on with
    /// an earlier version of them.
    fn may_remove(&self, kind: TypeUrl) -> bool {
        let is_settled = |kind: TypeUrl| {
            let ledger = self.ledger(kind);
            if ledger.has_started() {
                ledger.is_settled()
            } else {
                !self.is_arriving
            }
        };
        let is_free = |kind: TypeUrl| is_settled(kind) && !self.ledger(kind).keeps_last_good();
        match kind {
            TypeUrl::Listener => true,
            TypeUrl::Route => is_settled(TypeUrl::Listener),
            TypeUrl::Cluster => is_free(TypeUrl::Listener) && is_free(TypeUrl::Route),
            TypeUrl::Endpoints => is_settled(TypeUrl::Cluster),
            TypeUrl::Secret => is_free(TypeUrl::Cluster) && is_free(TypeUrl::Listener),
        }
    }

    fn response(
        &mut self,
        kind: TypeUrl,
        scope: Scope,
        set: &ResourceSet,
        now: Instant,
    ) -> Option<Response> {
        let draft = self.ledger_mut(kind).draft(set.collection(kind), scope)?;
        let nonce = self.next_nonce;
        self.next_nonce += 1;
        self.ledger_mut(kind).commit(&draft, nonce, now);
        if kind == TypeUrl::Cluster {
            self.owe_endpoints(&draft);
        }
        Some(self.compose(kind, nonce, draft))
    }

    fn compose(&self, kind: TypeUrl, nonce: u64, draft: Draft) -> Response {
        let Draft {
            sends,
            mut removes,
            denies,
        } = draft;
        let bodies = || self.ledger(kind).bodies();
        match self.protocol {
            Protocol::Delta => {
                let version = fingerprint(sends.iter().map(|resource| &**resource));
                removes.extend(denies);
                Response {
                    kind,
                    nonce,
                    version,
                    resources: sends,
                    removed: removes,
                }
            }
            Protocol::Sotw => Response {
                kind,
                nonce,
                version: fingerprint(bodies().map(|resource| &**resource)),
                resources: if kind.is_full_state() {
                    bodies().cloned().collect()
                } else {
                    sends
                },
                removed: Vec::new(),
            },
        }
    }

    fn owe_endpoints(&mut self, clusters: &Draft) {
        for (kind, name) in clusters
            .sends
            .iter()
            .flat_map(|cluster| cluster.requires.iter())
        {
            if *kind == TypeUrl::Endpoints {
                self.ledger_mut(TypeUrl::Endpoints).owe(name);
            }
        }
    }

    fn ledger(&self, kind: TypeUrl) -> &Ledger {
        &self.ledgers[kind.index()]
    }

    fn ledger_mut(&mut self, kind: TypeUrl) -> &mut Ledger {
        &mut self.ledgers[kind.index()]
    }
}

/// Envoy quotes what it rejects. Of a secret, and of any line with a private key, nobody shall
/// read that.
fn without_keys(kind: TypeUrl, message: &str) -> String {
    let is_open = |line: &&str| !line.contains("PRIVATE KEY");
    let mut lines = message.lines().filter(is_open);
    match kind {
        TypeUrl::Secret => lines.next_back().unwrap_or("[redacted]").to_owned(),
        TypeUrl::Cluster | TypeUrl::Endpoints | TypeUrl::Listener | TypeUrl::Route => {
            lines.collect::<Vec<_>>().join("\n")
        }
    }
}
