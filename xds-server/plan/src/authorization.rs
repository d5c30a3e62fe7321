//! Who may pass a chain: Istio's AuthorizationPolicy, with all that is known beforehand worked out.
//!
//! Whoever makes these values knows the chain: its port, its server names and, behind the tunnel,
//! the client. What those decide is gone from the conditions; what is left is asked of each
//! connection or request. [`Authorization::decide`] is the one reading of them: it tells what is
//! settled before a client has said anything, and what a simulated call meets.

use regex::Regex;
use serde::Serialize;

use crate::address::Cidr;

/// Who may pass; without stages, everyone.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub struct Authorization {
    /// In the order in which they are asked: AUDIT, DENY, ALLOW; each at most once.
    pub stages: Vec<Stage>,
}

/// The policies of one action.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub struct Stage {
    /// What a match means.
    pub action: Action,
    /// The rules in force, if any policy has this action.
    pub enforced: Option<Rules>,
    /// The rules that are only logged, if any policy has this action on trial.
    pub dry_run: Option<Rules>,
}

/// What a match means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub enum Action {
    /// It is logged.
    Audit,
    /// It is refused, whatever else allows it.
    Deny,
    /// It is allowed; what no rule allows is refused.
    Allow,
}

/// The rules of some policies, one of which must match.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub struct Rules {
    /// The policies, as logs and `explain` show them: `AuthorizationPolicy/shop/partner`.
    pub policies: Vec<String>,
    /// Their rules; those that can never match here are left out.
    pub rules: Vec<Rule>,
}

/// One rule: both conditions must hold.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub struct Rule {
    /// Istio's name for it: `ns[shop]-policy[partner]-rule[0]`.
    pub name: String,
    /// Its policy: `AuthorizationPolicy/shop/partner`.
    pub policy: String,
    /// Who calls.
    pub source: Condition<Source>,
    /// What is called.
    pub operation: Condition<Operation>,
}

/// A condition on facts.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub enum Condition<F> {
    /// All hold; without any, it always does.
    All(Vec<Self>),
    /// One holds; without any, it never does.
    Any(Vec<Self>),
    /// It does not hold.
    Not(Box<Self>),
    /// This holds.
    Is(F),
}

/// A fact about who calls.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub enum Source {
    /// The principal of the mTLS peer, `TRUST_DOMAIN/ns/NS/sa/SA`.
    Peer(TextMatch),
    /// The address that the packets come from.
    DirectAddress(Cidr),
    /// The address of the client, which something before may have told.
    RemoteAddress(Cidr),
}

/// A fact about what is called.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub enum Operation {
    /// The address that the connection was made to.
    Address(Cidr),
    /// The TLS server name, lower-case; empty if there is none.
    ServerName(TextMatch),
    /// A header of the request; `:method` and `:authority` are headers too.
    Header(String, TextMatch),
    /// The path of the request, without query.
    Path(TextMatch),
}

/// How a text is compared.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub enum TextMatch {
    /// Equal.
    Exact(String),
    /// Begins so.
    Prefix(String),
    /// Ends so.
    Suffix(String),
    /// There is one, and it is not empty.
    Present,
    /// Matches this RE2 expression, from begin to end.
    Regex(String),
}

/// What is said of a connection or request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision<'a> {
    /// It may pass.
    Allowed,
    /// It may not.
    Denied {
        /// The policy that decides; of several that fail to allow, the first.
        policy: &'a str,
        /// Why, in one clause.
        reason: &'static str,
    },
    /// It depends on a fact that is not known.
    Depends {
        /// The policy that would have to know it.
        policy: &'a str,
    },
}

impl Authorization {
    /// Whether nothing is asked.
    pub fn is_empty(&self) -> bool {
        self.stages.is_empty()
    }

    /// Whether something may be refused.
    pub fn may_deny(&self) -> bool {
        self.stages.iter().any(|stage| match stage.action {
            Action::Audit => false,
            Action::Deny | Action::Allow => stage.enforced.is_some(),
        })
    }

    /// What follows from the facts that `source` and `operation` tell; `None` is not known.
    pub fn decide(
        &self,
        source: impl Fn(&Source) -> Option<bool>,
        operation: impl Fn(&Operation) -> Option<bool>,
    ) -> Decision<'_> {
        let holds =
            |rule: &Rule| and([rule.source.holds(&source), rule.operation.holds(&operation)]);
        let mut depends = None;
        for stage in &self.stages {
            let Some(enforced) = &stage.enforced else {
                continue;
            };
            let matched = |wanted| enforced.rules.iter().find(|rule| holds(rule) == wanted);
            match stage.action {
                Action::Audit => {}
                Action::Deny => match (matched(Some(true)), matched(None)) {
                    (Some(rule), _) => {
                        return Decision::Denied {
                            policy: &rule.policy,
                            reason: "a DENY rule matches",
                        };
                    }
                    (None, Some(rule)) => depends = depends.or(Some(rule.policy.as_str())),
                    (None, None) => {}
                },
                Action::Allow => match (matched(Some(true)), matched(None)) {
                    (Some(_), _) => {}
                    (None, Some(rule)) => depends = depends.or(Some(rule.policy.as_str())),
                    (None, None) => {
                        return Decision::Denied {
                            policy: enforced.policies.first().map_or("", String::as_str),
                            reason: "no ALLOW rule matches",
                        };
                    }
                },
            }
        }
        depends.map_or(Decision::Allowed, |policy| Decision::Depends { policy })
    }
}

impl<F> Condition<F> {
    /// What holds always, or never.
    pub fn constant(holds: bool) -> Self {
        match holds {
            true => Self::All(Vec::new()),
            false => Self::Any(Vec::new()),
        }
    }

    /// Whether it holds whatever the facts are, or never does; `None` if they decide.
    pub fn settled(&self) -> Option<bool> {
        self.holds(&|_| None)
    }

    /// All of these, without those that always hold.
    pub fn all(conditions: impl IntoIterator<Item = Self>) -> Self {
        let mut open = Vec::new();
        for condition in conditions {
            match condition.settled() {
                Some(true) => {}
                Some(false) => return Self::constant(false),
                None => open.push(condition),
            }
        }
        match open.len() {
            1 => open.remove(0),
            _ => Self::All(open),
        }
    }

    /// One of these, without those that never hold.
    pub fn any(conditions: impl IntoIterator<Item = Self>) -> Self {
        let mut open = Vec::new();
        for condition in conditions {
            match condition.settled() {
                Some(true) => return Self::constant(true),
                Some(false) => {}
                None => open.push(condition),
            }
        }
        match open.len() {
            1 => open.remove(0),
            _ => Self::Any(open),
        }
    }

    /// The opposite.
    pub fn negated(self) -> Self {
        match self.settled() {
            Some(holds) => Self::constant(!holds),
            None => Self::Not(Box::new(self)),
        }
    }

    /// Whether it holds, given what is known of the facts.
    fn holds(&self, fact: &impl Fn(&F) -> Option<bool>) -> Option<bool> {
        match self {
            Self::All(conditions) => and(conditions.iter().map(|condition| condition.holds(fact))),
            Self::Any(conditions) => {
                let none = and(conditions
                    .iter()
                    .map(|condition| condition.holds(fact).map(|holds| !holds)));
                none.map(|none| !none)
            }
            Self::Not(condition) => condition.holds(fact).map(|holds| !holds),
            Self::Is(known) => fact(known),
        }
    }
}

/// Whether all are true: one that is false settles it, one that is unknown leaves it open.
fn and(values: impl IntoIterator<Item = Option<bool>>) -> Option<bool> {
    let mut result = Some(true);
    for value in values {
        match value {
            Some(false) => return Some(false),
            None => result = None,
            Some(true) => {}
        }
    }
    result
}

impl TextMatch {
    /// As Istio's policies write it: `*` is any, `*x` a suffix, `x*` a prefix.
    pub fn new(text: &str) -> Self {
        match (text, text.strip_prefix('*'), text.strip_suffix('*')) {
            ("*", ..) => Self::Present,
            (_, Some(suffix), _) => Self::Suffix(suffix.to_owned()),
            (_, None, Some(prefix)) => Self::Prefix(prefix.to_owned()),
            (_, None, None) => Self::Exact(text.to_owned()),
        }
    }

    /// Whether `text` matches. An expression that is none matches nothing.
    pub fn matches(&self, text: &str) -> bool {
        match self {
            Self::Exact(exact) => text == exact,
            Self::Prefix(prefix) => text.starts_with(prefix),
            Self::Suffix(suffix) => text.ends_with(suffix),
            Self::Present => !text.is_empty(),
            Self::Regex(pattern) => {
                Regex::new(&format!("^(?:{pattern})$")).is_ok_and(|regex| regex.is_match(text))
            }
        }
    }

    /// The same as part of an expression in which `any` stands for any further text.
    pub fn expression(&self, any: &str) -> String {
        match self {
            Self::Exact(text) => regex::escape(text),
            Self::Prefix(text) => format!("{}{any}*", regex::escape(text)),
            Self::Suffix(text) => format!("{any}*{}", regex::escape(text)),
            Self::Present => format!("{any}+"),
            Self::Regex(pattern) => pattern.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(source: Condition<Source>) -> Rule {
        Rule {
            name: "ns[a]-policy[b]-rule[0]".to_owned(),
            policy: "AuthorizationPolicy/a/b".to_owned(),
            source,
            operation: Condition::constant(true),
        }
    }

    fn stage(action: Action, rules: Vec<Rule>) -> Stage {
        Stage {
            action,
            enforced: Some(Rules {
                policies: vec!["AuthorizationPolicy/a/b".to_owned()],
                rules,
            }),
            dry_run: None,
        }
    }

    fn from(address: &str) -> Condition<Source> {
        Condition::Is(Source::DirectAddress(address.parse().unwrap()))
    }

    /// What is said if nothing is known but whether addresses match.
    fn decided(stages: Vec<Stage>, address: Option<bool>) -> &'static str {
        match (Authorization { stages }).decide(|_| address, |_| None) {
            Decision::Allowed => "allowed",
            Decision::Denied { .. } => "denied",
            Decision::Depends { .. } => "depends",
        }
    }

    #[test]
    fn without_policies_everyone_passes() {
        assert_eq!(decided(Vec::new(), None), "allowed");
    }

    #[test]
    fn an_allow_without_rules_denies_all() {
        assert_eq!(
            decided(vec![stage(Action::Allow, Vec::new())], None),
            "denied"
        );
    }

    #[test]
    fn deny_wins_over_allow() {
        let always = || rule(Condition::constant(true));
        let stages = vec![
            stage(Action::Deny, vec![rule(from("192.0.2.1"))]),
            stage(Action::Allow, vec![always()]),
        ];
        assert_eq!(decided(stages.clone(), Some(true)), "denied");
        assert_eq!(decided(stages.clone(), Some(false)), "allowed");
        assert_eq!(decided(stages, None), "depends");
    }

    #[test]
    fn what_is_audited_or_on_trial_passes() {
        let mut trial = stage(Action::Deny, vec![rule(Condition::constant(true))]);
        trial.dry_run = trial.enforced.take();
        let audit = stage(Action::Audit, vec![rule(Condition::constant(true))]);
        let authorization = Authorization {
            stages: vec![audit, trial],
        };
        assert!(!authorization.may_deny());
        assert_eq!(decided(authorization.stages, None), "allowed");
    }

    #[test]
    fn conditions_are_worked_out_as_far_as_facts_are_known() {
        let open = || from("192.0.2.1");
        let yes = Condition::constant(true);
        let no = Condition::constant(false);
        assert_eq!(Condition::all([yes.clone(), open()]), open());
        assert_eq!(Condition::all([no.clone(), open()]), no);
        assert_eq!(Condition::any([no.clone(), open()]), open());
        assert_eq!(Condition::any([yes.clone(), open()]), yes);
        assert_eq!(no.negated(), yes);
        assert_eq!(open().negated(), Condition::Not(Box::new(open())));
    }

    #[test]
    fn wildcards_are_istios() {
        assert_eq!(TextMatch::new("*"), TextMatch::Present);
        assert!(TextMatch::new("*.b.com").matches("a.b.com"));
        assert!(!TextMatch::new("*.b.com").matches("b.com"));
        assert!(TextMatch::new("/v1/*").matches("/v1/x"));
        assert!(!TextMatch::new("*").matches(""));
        assert!(TextMatch::Regex(TextMatch::new("a.b").expression(".")).matches("a.b"));
        assert!(!TextMatch::Regex(TextMatch::new("a.b").expression(".")).matches("axb"));
    }
}
