//! Whether a call passes a chain's authorization.

use super::{Call, FirstBytes, Outcome, Request, Step};
use crate::{
    authorization::{Authorization, Decision, Operation, Source},
    listener::Filter,
};

/// A call that may not pass.
pub(super) struct Refusal<'p> {
    policy: &'p str,
    outcome: Outcome,
}

impl Refusal<'_> {
    /// The end, told as the step's.
    pub(super) fn end(self, step: &mut Step) -> Outcome {
        self.policy.clone_into(&mut step.rule);
        step.destinations.clear();
        self.outcome
    }
}

/// The refusal of a call that may not pass. A call does not tell where its client is: what depends on
/// that is refused here, with the reason.
pub(super) fn refusal<'p>(
    authorization: &'p Authorization,
    filter: &Filter,
    call: &Call,
) -> Option<Refusal<'p>> {
    let source = |fact: &Source| match fact {
        Source::Peer(_) | Source::DirectAddress(_) | Source::RemoteAddress(_) => None,
    };
    let (policy, reason) = match authorization.decide(source, |fact| holds(fact, call)) {
        Decision::Allowed => return None,
        Decision::Denied { policy, reason } => (policy, reason),
        Decision::Depends { policy } => {
            (policy, "it depends on the client's address or certificate")
        }
    };
    let outcome = match filter {
        Filter::Http(_) => Outcome::Answers {
            status: 403,
            detail: format!("RBAC: access denied ({reason})"),
        },
        Filter::Tcp(_) | Filter::Deny(_) => Outcome::Closes(format!("access denied: {reason}")),
    };
    Some(Refusal { policy, outcome })
}

fn holds(fact: &Operation, call: &Call) -> Option<bool> {
    let request = match &call.first {
        FirstBytes::Http(request) => Some(request),
        FirstBytes::Tls(_) | FirstBytes::Other => None,
    };
    let server_name = match &call.first {
        FirstBytes::Tls(name) => name.as_deref().unwrap_or_default(),
        FirstBytes::Http(_) | FirstBytes::Other => "",
    };
    match fact {
        Operation::Address(range) => call.address.map(|address| range.contains(address)),
        Operation::ServerName(wanted) => Some(wanted.matches(server_name)),
        Operation::Header(name, wanted) => Some(
            request
                .and_then(|request| header(request, name))
                .is_some_and(|value| wanted.matches(value)),
        ),
        Operation::Path(wanted) => Some(request.is_some_and(|request| {
            let path = request.path.split('?').next().unwrap_or_default();
            wanted.matches(path)
        })),
    }
}

fn header<'r>(request: &'r Request, name: &str) -> Option<&'r str> {
    match name {
        ":method" => Some(&request.method),
        ":authority" => Some(&request.host),
        name => request.headers.get(name).map(String::as_str),
    }
}
