//! What a client has asked for, of one type.
//!
//! A wildcard is asked for by name (`*`) or, the older way and for clusters and listeners only,
//! by a first message without names. An accidental empty message never subscribes to all secrets.

use std::{collections::BTreeSet, sync::Arc};

use crate::TypeUrl;

const WILDCARD: &str = "*";

#[derive(Debug, Default)]
pub(super) struct Interest {
    started: bool,
    /// The client has named names, so that "no names" now means none.
    has_named: bool,
    wildcard: bool,
    names: BTreeSet<Arc<str>>,
}

/// How a message changed the interest.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Change {
    /// It was the first.
    pub(super) first: bool,
    /// The names that the client wants an answer for.
    pub(super) asked: Vec<Arc<str>>,
    /// The names that it forgets.
    pub(super) dropped: Vec<Arc<str>>,
    pub(super) wildcard_began: bool,
    pub(super) wildcard_ended: bool,
}

impl Interest {
    pub(super) fn started(&self) -> bool {
        self.started
    }

    pub(super) fn wildcard(&self) -> bool {
        self.wildcard
    }

    pub(super) fn names(&self) -> &BTreeSet<Arc<str>> {
        &self.names
    }

    pub(super) fn wants(&self, name: &str) -> bool {
        self.wildcard || self.names.contains(name)
    }

    /// Which of `names` would be new.
    pub(super) fn unknown(&self, names: &[String]) -> Vec<String> {
        let is_new = |name: &&String| *name != WILDCARD && !self.names.contains(name.as_str());
        names.iter().filter(is_new).cloned().collect()
    }

    /// Applies a delta message: names come and go, each subscription wants an answer.
    pub(super) fn delta(
        &mut self,
        kind: TypeUrl,
        subscribe: &[String],
        unsubscribe: &[String],
    ) -> Change {
        let mut change = self.start();
        let was_wildcard = self.wildcard;
        if change.first && subscribe.is_empty() && kind.is_full_state() {
            self.wildcard = true;
        }
        for name in unsubscribe {
            if name == WILDCARD {
                self.wildcard = false;
            } else if let Some(name) = self.names.take(name.as_str()) {
                change.dropped.push(name);
            }
        }
        for name in subscribe {
            if name == WILDCARD {
                self.wildcard = true;
            } else {
                change.asked.push(self.add(name));
            }
        }
        if self.wildcard {
            // The client forgot them; but they still belong to "all", so it must hear of them.
            change.asked.extend(change.dropped.iter().cloned());
        }
        self.note_wildcard(was_wildcard, change)
    }

    /// Applies a state-of-the-world message: the names are the whole subscription.
    pub(super) fn sotw(&mut self, kind: TypeUrl, names: &[String]) -> Change {
        let mut change = self.start();
        let was_wildcard = self.wildcard;
        if names.is_empty() {
            self.wildcard = kind.is_full_state() && !self.has_named;
        } else {
            self.has_named = true;
            self.wildcard = names.iter().any(|name| name == WILDCARD);
        }
        let wanted: BTreeSet<&str> = names
            .iter()
            .map(String::as_str)
            .filter(|name| *name != WILDCARD)
            .collect();
        change.dropped = self
            .names
            .extract_if(.., |name| !wanted.contains(&**name))
            .collect();
        for name in wanted {
            if !self.names.contains(name) {
                change.asked.push(self.add(name));
            }
        }
        self.note_wildcard(was_wildcard, change)
    }

    fn start(&mut self) -> Change {
        let first = !std::mem::replace(&mut self.started, true);
        Change {
            first,
            ..Change::default()
        }
    }

    fn note_wildcard(&self, before: bool, change: Change) -> Change {
        Change {
            wildcard_began: self.wildcard && !before,
            wildcard_ended: before && !self.wildcard,
            ..change
        }
    }

    fn add(&mut self, name: &str) -> Arc<str> {
        match self.names.get(name) {
            Some(known) => known.clone(),
            None => {
                let name: Arc<str> = name.into();
                self.names.insert(name.clone());
                name
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn first_delta_message_without_names_wants_all_clusters_and_listeners() {
        for kind in [TypeUrl::Cluster, TypeUrl::Listener] {
            let mut interest = Interest::default();
            let change = interest.delta(kind, &[], &[]);
            assert!(change.first && change.wildcard_began);
            assert!(interest.wants("anything"));
        }
    }

    #[test]
    fn first_message_without_names_never_wants_all_secrets() {
        for kind in [TypeUrl::Secret, TypeUrl::Route, TypeUrl::Endpoints] {
            let mut delta = Interest::default();
            delta.delta(kind, &[], &[]);
            let mut sotw = Interest::default();
            sotw.sotw(kind, &[]);
            assert!(!delta.wants("key") && !sotw.wants("key"), "{kind}");
        }
    }

    #[test]
    fn legacy_wildcard_survives_later_names_in_delta() {
        let mut interest = Interest::default();
        interest.delta(TypeUrl::Cluster, &[], &[]);
        interest.delta(TypeUrl::Cluster, &names(&["extra"]), &[]);
        assert!(interest.wildcard());
        let change = interest.delta(TypeUrl::Cluster, &[], &names(&["*"]));
        assert!(change.wildcard_ended);
        assert!(interest.wants("extra") && !interest.wants("other"));
    }

    #[test]
    fn named_first_message_is_no_wildcard() {
        let mut interest = Interest::default();
        interest.delta(TypeUrl::Cluster, &names(&["a"]), &[]);
        assert!(interest.wants("a") && !interest.wants("b"));
        interest.delta(TypeUrl::Cluster, &[], &[]);
        assert!(
            !interest.wants("b"),
            "only the first message can be a legacy wildcard"
        );
    }

    #[test]
    fn name_unsubscribed_under_a_wildcard_is_answered() {
        let mut interest = Interest::default();
        interest.delta(TypeUrl::Cluster, &names(&["*", "a"]), &[]);
        let change = interest.delta(TypeUrl::Cluster, &[], &names(&["a"]));
        assert_eq!(change.dropped, change.asked);
        assert_eq!(change.asked, ["a".into()]);
    }

    #[test]
    fn later_empty_sotw_message_unsubscribes_what_was_named() {
        let mut interest = Interest::default();
        interest.sotw(TypeUrl::Secret, &names(&["a", "b"]));
        let change = interest.sotw(TypeUrl::Secret, &[]);
        assert_eq!(change.dropped, ["a".into(), "b".into()]);

        let mut clusters = Interest::default();
        clusters.sotw(TypeUrl::Cluster, &names(&["a"]));
        clusters.sotw(TypeUrl::Cluster, &[]);
        assert!(!clusters.wants("a"));
    }

    #[test]
    fn empty_sotw_messages_stay_a_legacy_wildcard() {
        let mut interest = Interest::default();
        assert!(interest.sotw(TypeUrl::Listener, &[]).wildcard_began);
        assert_eq!(interest.sotw(TypeUrl::Listener, &[]), Change::default());
        assert!(interest.wildcard());
    }

    #[test]
    fn only_new_names_are_unknown() {
        let mut interest = Interest::default();
        interest.sotw(TypeUrl::Secret, &names(&["a"]));
        assert_eq!(interest.unknown(&names(&["*", "a", "b"])), ["b"]);
    }
}
