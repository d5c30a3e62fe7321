//! How a client answers: it accepts, rejects, or says nothing.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use super::{Due, Held, InFlight, Item, Ledger, Rejected};
use crate::session::{ACK_TIMEOUT, blame};

/// Stalled responses that are still remembered, so that a late answer finds its response.
const REMEMBERED_STALLED: usize = 4;

/// How a client answered.
#[derive(Debug)]
pub(in crate::session) enum Answer {
    Acked { elapsed: Duration },
    Nacked { names: Vec<Arc<str>> },
}

impl Ledger {
    /// Takes the answer to a response. None when it is to none that is waited for.
    pub(in crate::session) fn answer(
        &mut self,
        nonce: u64,
        error: Option<&str>,
        now: Instant,
    ) -> Option<Answer> {
        let place = self.in_flight.iter().position(|sent| sent.nonce == nonce)?;
        // Answers come in order: what is before it has lost its own.
        let sent = self.in_flight.drain(..=place).next_back()?;
        Some(match error {
            None => {
                self.accept(&sent);
                Answer::Acked {
                    elapsed: now.saturating_duration_since(sent.sent_at),
                }
            }
            Some(message) => Answer::Nacked {
                names: self.reject(sent, message),
            },
        })
    }

    fn accept(&mut self, sent: &InFlight) {
        for item in &sent.items {
            self.rejected.remove(&item.name);
        }
        self.batch = self
            .batch
            .filter(|_| !self.due.is_empty())
            .map(|n| n.saturating_mul(2));
    }

    /// Sets the culprits aside and sends the others again.
    ///
    /// Envoy applies the good part of some responses and nothing of others, so what the client
    /// holds of any of them is not known now. The names returned are those to report.
    fn reject(&mut self, sent: InFlight, message: &str) -> Vec<Arc<str>> {
        let sends: Vec<&Arc<str>> = sent
            .items
            .iter()
            .filter(|item| item.version.is_some())
            .map(|item| &item.name)
            .collect();
        if sends.is_empty() {
            // A removal cannot be said in another way.
            return sent.items.into_iter().map(|item| item.name).collect();
        }
        let blamed = blame::named(message, sends.iter().copied());
        let all: Vec<Arc<str>> = sends.into_iter().cloned().collect();
        let (culprits, reported) = match (blamed.is_empty(), all.len()) {
            (false, _) => (blamed.clone(), blamed),
            (true, 1) => (all.clone(), all),
            (true, count) => {
                self.batch = Some(count / 2);
                (Vec::new(), all)
            }
        };
        for name in sent
            .denied
            .into_iter()
            .filter(|name| self.interest.wants(name))
        {
            self.due.insert(name, Due::Always);
        }
        for item in sent.items {
            self.unsettle(item, &culprits);
        }
        reported
    }

    /// `culprits` are sorted.
    fn unsettle(&mut self, item: Item, culprits: &[Arc<str>]) {
        let held = self.held.get(&item.name);
        let was_overtaken = match item.version {
            Some(version) => held.is_none_or(|held| held.version != Some(version)),
            None => held.is_some() || !self.interest.wants(&item.name),
        };
        if was_overtaken {
            return;
        }
        let prior = item.prior.unwrap_or_default();
        if let Some(version) = item
            .version
            .filter(|_| culprits.binary_search(&item.name).is_ok())
        {
            let has_last_good = prior.version.is_some()
                || prior.body.is_some()
                || self
                    .rejected
                    .get(&item.name)
                    .is_some_and(|earlier| earlier.has_last_good);
            self.rejected.insert(
                item.name.clone(),
                Rejected {
                    version,
                    has_last_good,
                },
            );
        }
        self.held.insert(
            item.name.clone(),
            Held {
                version: None,
                body: prior.body,
            },
        );
        self.due.entry(item.name).or_insert(Due::IfChanged);
    }

    /// A response in state of the world repeats what was sent before. What the client has not
    /// accepted must not spoil it, or be taken for the last good version.
    pub(super) fn take_back_stalled(&mut self) {
        let stalled = self.in_flight.iter_mut().filter(|sent| sent.stalled);
        let items: Vec<_> = stalled
            .flat_map(|sent| std::mem::take(&mut sent.items))
            .collect();
        for item in items {
            self.unsettle(item, &[]);
        }
    }

    pub(super) fn push_in_flight(&mut self, sent: InFlight) {
        if self.in_flight.len() == REMEMBERED_STALLED {
            self.in_flight.pop_front();
        }
        self.in_flight.push_back(sent);
    }

    /// Whether there is an answer to wait for.
    pub(in crate::session) fn is_awaiting_answer(&self) -> bool {
        self.in_flight.iter().any(|sent| !sent.stalled)
    }

    /// When the next answer is overdue.
    pub(in crate::session) fn wake_at(&self) -> Option<Instant> {
        self.in_flight
            .iter()
            .filter(|sent| !sent.stalled)
            .filter_map(|sent| sent.sent_at.checked_add(ACK_TIMEOUT))
            .min()
    }

    /// Stops waiting for answers that are overdue; their nonces and how long they took so far.
    pub(in crate::session) fn give_up(&mut self, now: Instant) -> Vec<(u64, Duration)> {
        let mut overdue = Vec::new();
        for sent in self.in_flight.iter_mut().filter(|sent| !sent.stalled) {
            let waited = now.saturating_duration_since(sent.sent_at);
            if waited >= ACK_TIMEOUT {
                sent.stalled = true;
                overdue.push((sent.nonce, waited));
            }
        }
        overdue
    }

    /// When the oldest response that was given up was sent.
    pub(in crate::session) fn stalled_since(&self) -> Option<Instant> {
        self.in_flight
            .iter()
            .find(|sent| sent.stalled)
            .map(|sent| sent.sent_at)
    }
}
