//! Where a call would go: the plan, read as Envoy reads its translation.
//!
//! `sluice explain` and the simulation tests ask [`simulate`]: "TLS to 203.0.113.1:443 for
//! `api.example.com`, entering at this listener" gives each listener, chain, route and rule on
//! the way, and the end. Hops to internal listeners are followed.

mod authorization;
mod chain;
mod request;

use std::{collections::BTreeMap, net::IpAddr};

use serde::Serialize;

use crate::{
    destination::Resolution,
    listener::{Filter, Listener},
    proxy::{BLACK_HOLE, ProxyPlan},
    route::{
        AbortStatus, Action, Authorized, Fault, Route, RouteTable, VirtualHost, WeightedDestination,
    },
};

use authorization::Refusal;

/// Hops after which a loop is assumed; a plan has at most two.
const MAX_STEPS: usize = 8;

/// In basis points.
const EVERY_REQUEST: u32 = 10_000;

/// A connection and what it says first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// Address that the client dials, if it matters.
    pub address: Option<IpAddr>,
    /// Port that the client dials.
    pub port: u16,
    /// What the client says first.
    pub first: FirstBytes,
}

/// What a client says first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FirstBytes {
    /// A TLS handshake with this server name.
    Tls(Option<String>),
    /// An HTTP request.
    Http(Request),
    /// Anything else, or nothing.
    Other,
}

/// An HTTP request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Request {
    /// Method, in capitals.
    pub method: String,
    /// Host without port.
    pub host: String,
    /// Path with query.
    pub path: String,
    /// Headers, names in lower case.
    pub headers: BTreeMap<String, String>,
}

/// What one listener does with a call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Step {
    /// The listener.
    pub listener: String,
    /// The chain that takes the connection; absent if none does.
    pub chain: Option<String>,
    /// The route table, virtual host and route that take the request, if it is HTTP.
    pub route: Option<RouteStep>,
    /// The object that decides.
    pub rule: String,
    /// Where it goes on to, with weights; empty at the end of the way.
    pub destinations: Vec<(String, u32)>,
}

/// The route of a [`Step`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RouteStep {
    /// Route table.
    pub table: String,
    /// Virtual host.
    pub virtual_host: String,
    /// Route; may be empty where the user named none.
    pub name: String,
}

/// How a call ends.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Outcome {
    /// It leaves for this destination (the heaviest where several share).
    Reaches(String),
    /// The proxy answers by itself.
    Answers {
        /// HTTP status.
        status: u16,
        /// Body, or where a redirect leads.
        detail: String,
    },
    /// The connection is closed.
    Closes(String),
}

/// A call's way through one proxy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Trace {
    /// Listeners, in order.
    pub steps: Vec<Step>,
    /// The end.
    pub outcome: Outcome,
}

/// The way of `call` from the listener of this name.
pub fn simulate(plan: &ProxyPlan, listener: &str, call: &Call) -> Trace {
    let mut steps = Vec::new();
    let mut call = call.clone();
    let mut next = listener.to_owned();
    loop {
        let Some(listener) = plan.listeners.get(&next) else {
            return Trace {
                steps,
                outcome: Outcome::Closes(format!("no listener {next}")),
            };
        };
        let (step, end) = step(plan, listener, &mut call);
        let heaviest = step
            .destinations
            .iter()
            .max_by_key(|(_, weight)| *weight)
            .map(|(name, _)| name.clone());
        steps.push(step);
        let outcome = match (end, heaviest) {
            (Some(outcome), _) => outcome,
            (None, None) => Outcome::Closes("no destination".to_owned()),
            (None, Some(name)) => match plan.destinations.get(&name).map(|found| &found.resolution)
            {
                Some(Resolution::Hop { listener, .. }) if steps.len() < MAX_STEPS => {
                    listener.clone_into(&mut next);
                    continue;
                }
                Some(Resolution::Nowhere) | None => nowhere(&call),
                Some(_) => Outcome::Reaches(name),
            },
        };
        return Trace { steps, outcome };
    }
}

fn nowhere(call: &Call) -> Outcome {
    match call.first {
        FirstBytes::Http(_) => Outcome::Answers {
            status: 503,
            detail: format!("{BLACK_HOLE}: no such destination"),
        },
        FirstBytes::Tls(_) | FirstBytes::Other => {
            Outcome::Closes(format!("{BLACK_HOLE}: no such destination"))
        }
    }
}

fn step(plan: &ProxyPlan, listener: &Listener, call: &mut Call) -> (Step, Option<Outcome>) {
    let chain = chain::select(&listener.chains, call);
    let mut step = Step {
        listener: listener.name.clone(),
        chain: chain.map(|chain| chain.name.clone()),
        route: None,
        rule: String::new(),
        destinations: Vec::new(),
    };
    let filter = chain
        .map(|chain| &chain.filter)
        .or(listener.otherwise.as_ref());
    let refusal =
        chain.and_then(|chain| authorization::refusal(&chain.authorization, &chain.filter, call));
    let end = match filter {
        None => Some(Outcome::Closes(
            "no filter chain takes the connection".to_owned(),
        )),
        Some(Filter::Deny(deny)) => {
            deny.rule.clone_into(&mut step.rule);
            Some(Outcome::Closes(deny.reason.clone()))
        }
        Some(Filter::Tcp(tcp)) => {
            tcp.rule.clone_into(&mut step.rule);
            step.destinations = shares(&tcp.to);
            refusal.map(|refusal| refusal.end(&mut step))
        }
        Some(Filter::Http(http)) => match (&mut call.first, plan.routes.get(&http.route_table)) {
            (FirstBytes::Http(request), Some(table)) => route(table, request, refusal, &mut step),
            (FirstBytes::Http(_), None) => Some(Outcome::Closes(format!(
                "no route table {}",
                http.route_table
            ))),
            (FirstBytes::Tls(_) | FirstBytes::Other, _) => {
                Some(Outcome::Closes("the bytes are no HTTP request".to_owned()))
            }
        },
    };
    (step, end)
}

fn route(
    table: &RouteTable,
    request: &mut Request,
    refusal: Option<Refusal<'_>>,
    step: &mut Step,
) -> Option<Outcome> {
    let Some(host) = request::virtual_host(&table.virtual_hosts, &request.host) else {
        return Some(refused_or_not_found(
            refusal,
            step,
            "no virtual host takes this host",
        ));
    };
    let Some(route) = host
        .routes
        .iter()
        .find(|route| request::matches(&route.matches, request))
    else {
        return Some(refused_or_not_found(
            refusal,
            step,
            "no route takes this request",
        ));
    };
    describe(table, host, route, step);
    match (refusal, route.authorization) {
        (Some(refusal), Authorized::Here) => return Some(refusal.end(step)),
        (Some(_), Authorized::Elsewhere) | (None, _) => {}
    }
    match &route.action {
        Action::Respond { status, body } => Some(Outcome::Answers {
            status: *status,
            detail: body.trim_end().to_owned(),
        }),
        Action::Redirect(redirect) => Some(Outcome::Answers {
            status: redirect.status,
            detail: format!("redirect to {}", request::redirected(redirect, request)),
        }),
        Action::Forward(forward) => match route.fault.as_ref().and_then(aborts_all) {
            Some(outcome) => Some(outcome),
            None => {
                step.destinations = shares(&forward.to);
                request::rewrite(route, forward, request);
                None
            }
        },
    }
}

/// The answer where a fault meets every request; one that meets some of them does not decide.
fn aborts_all(fault: &Fault) -> Option<Outcome> {
    let abort = fault.abort.as_ref();
    let abort = abort.filter(|abort| abort.basis_points >= EVERY_REQUEST)?;
    let (status, detail) = match abort.status {
        AbortStatus::Http(status) => (status, "an injected fault".to_owned()),
        // gRPC has its status in a trailer of an HTTP response that is fine.
        AbortStatus::Grpc(number) => (200, format!("an injected fault, gRPC status {number}")),
    };
    Some(Outcome::Answers { status, detail })
}

fn refused_or_not_found(refusal: Option<Refusal<'_>>, step: &mut Step, why: &str) -> Outcome {
    if let Some(refusal) = refusal {
        return refusal.end(step);
    }

    "default-deny".clone_into(&mut step.rule);
    Outcome::Answers {
        status: 404,
        detail: why.to_owned(),
    }
}

fn describe(table: &RouteTable, host: &VirtualHost, route: &Route, step: &mut Step) {
    route.rule.clone_into(&mut step.rule);
    step.route = Some(RouteStep {
        table: table.name.clone(),
        virtual_host: host.name.clone(),
        name: route.name.clone(),
    });
}

fn shares(to: &[WeightedDestination]) -> Vec<(String, u32)> {
    to.iter()
        .map(|share| (share.destination.clone(), share.weight))
        .collect()
}
