//! The rules of a session, each by name.

mod delta;
mod model;
mod order;
mod rejection;
mod sotw;

use std::time::Instant;

use bytes::Bytes;

use super::{request::Names, *};

/// A session, the set that it serves, and the time.
struct Stream {
    session: Session,
    set: ResourceSet,
    now: Instant,
    reports: Vec<Report>,
}

/// What a response says, as `CDS a@1 b@2 -c`.
fn text(response: &Response) -> String {
    let mut text = response.kind.to_string();
    for resource in &response.resources {
        text += &format!(" {}@{}", resource.name, resource.version.0);
    }
    for name in &response.removed {
        text += &format!(" -{name}");
    }
    text
}

fn texts(responses: &[Response]) -> Vec<String> {
    responses.iter().map(text).collect()
}

fn resource(name: &str, version: u128, requires: &[(TypeUrl, &str)]) -> Arc<Resource> {
    Arc::new(Resource {
        name: name.into(),
        version: Version(version),
        body: Bytes::from(version.to_string()),
        requires: requires
            .iter()
            .map(|(kind, name)| (*kind, Arc::from(*name)))
            .collect(),
    })
}

fn cluster(name: &str, version: u128) -> (TypeUrl, Arc<Resource>) {
    (TypeUrl::Cluster, resource(name, version, &[]))
}

/// A cluster that gets its endpoints by EDS.
fn eds_cluster(name: &str, version: u128) -> (TypeUrl, Arc<Resource>) {
    (
        TypeUrl::Cluster,
        resource(name, version, &[(TypeUrl::Endpoints, name)]),
    )
}

fn endpoints(name: &str, version: u128) -> (TypeUrl, Arc<Resource>) {
    (TypeUrl::Endpoints, resource(name, version, &[]))
}

fn listener(name: &str, version: u128) -> (TypeUrl, Arc<Resource>) {
    (TypeUrl::Listener, resource(name, version, &[]))
}

fn route(name: &str, version: u128) -> (TypeUrl, Arc<Resource>) {
    (TypeUrl::Route, resource(name, version, &[]))
}

fn secret(name: &str, version: u128) -> (TypeUrl, Arc<Resource>) {
    (TypeUrl::Secret, resource(name, version, &[]))
}

fn set<const N: usize>(resources: [(TypeUrl, Arc<Resource>); N]) -> ResourceSet {
    ResourceSet::new(resources).unwrap()
}

fn owned(names: &[&str]) -> Vec<String> {
    names.iter().map(ToString::to_string).collect()
}

impl Stream {
    fn new<const N: usize>(session: Session, resources: [(TypeUrl, Arc<Resource>); N]) -> Self {
        Self {
            session,
            set: set(resources),
            now: Instant::now(),
            reports: Vec::new(),
        }
    }

    fn delta<const N: usize>(resources: [(TypeUrl, Arc<Resource>); N]) -> Self {
        Self::new(Session::delta(Missing::Told), resources)
    }

    fn sotw<const N: usize>(resources: [(TypeUrl, Arc<Resource>); N]) -> Self {
        Self::new(Session::sotw(Missing::Told), resources)
    }

    fn take(&mut self, outcome: Outcome) -> Vec<Response> {
        self.reports.extend(outcome.reports);
        outcome.responses
    }

    fn say(&mut self, request: Request) -> Vec<Response> {
        let outcome = self.session.on_request(request, &self.set, self.now);
        self.take(outcome)
    }

    fn publish<const N: usize>(
        &mut self,
        resources: [(TypeUrl, Arc<Resource>); N],
    ) -> Vec<Response> {
        self.set = set(resources).following(&self.set);
        let outcome = self.session.on_publish(&self.set, self.now);
        self.take(outcome)
    }

    fn wait(&mut self, time: Duration) -> Vec<Response> {
        self.now += time;
        let outcome = self.session.on_tick(&self.set, self.now);
        self.take(outcome)
    }

    // Delta.

    fn subscribe(&mut self, kind: TypeUrl, names: &[&str]) -> Vec<Response> {
        self.change(kind, names, &[], &[])
    }

    fn unsubscribe(&mut self, kind: TypeUrl, names: &[&str]) -> Vec<Response> {
        self.change(kind, &[], names, &[])
    }

    /// The first message of a type on a new stream, with what the client holds.
    fn resume(&mut self, kind: TypeUrl, names: &[&str], held: &[(&str, u128)]) -> Vec<Response> {
        self.change(kind, names, &[], held)
    }

    fn change(
        &mut self,
        kind: TypeUrl,
        subscribe: &[&str],
        unsubscribe: &[&str],
        held: &[(&str, u128)],
    ) -> Vec<Response> {
        let initial = held
            .iter()
            .map(|(name, version)| (name.to_string(), Some(Version(*version))))
            .collect();
        let names = Names::Delta {
            subscribe: owned(subscribe),
            unsubscribe: owned(unsubscribe),
            initial,
        };
        self.say(Request {
            kind,
            nonce: None,
            error: None,
            names,
        })
    }

    fn ack(&mut self, response: &Response) -> Vec<Response> {
        self.answer(response, None)
    }

    fn nack(&mut self, response: &Response, message: &str) -> Vec<Response> {
        self.answer(response, Some(message.to_owned()))
    }

    fn answer(&mut self, response: &Response, error: Option<String>) -> Vec<Response> {
        let names = Names::Delta {
            subscribe: vec![],
            unsubscribe: vec![],
            initial: vec![],
        };
        self.say(Request {
            kind: response.kind,
            nonce: Some(response.nonce),
            error,
            names,
        })
    }

    /// Accepts all, and what comes of it; what was sent, in order.
    fn ack_all(&mut self, responses: Vec<Response>) -> Vec<String> {
        let mut sent = Vec::new();
        let mut queue = std::collections::VecDeque::from(responses);
        while let Some(response) = queue.pop_front() {
            sent.push(text(&response));
            queue.extend(self.ack(&response));
        }
        sent
    }

    /// An Envoy that has everything: clusters and listeners by wildcard, the rest by name.
    fn settle(&mut self) -> &mut Self {
        for kind in TypeUrl::ALL {
            let names: Vec<_> = match kind {
                TypeUrl::Cluster | TypeUrl::Listener => Vec::new(),
                TypeUrl::Endpoints | TypeUrl::Route | TypeUrl::Secret => self
                    .set
                    .iter(kind)
                    .map(|resource| resource.name.clone())
                    .collect(),
            };
            let names: Vec<&str> = names.iter().map(|name| &**name).collect();
            let responses = self.subscribe(kind, &names);
            self.ack_all(responses);
        }
        self.reports.clear();
        self
    }

    // State of the world.

    /// A message with all names, answering `response` if there is one.
    fn state(
        &mut self,
        kind: TypeUrl,
        names: &[&str],
        response: Option<&Response>,
    ) -> Vec<Response> {
        self.say(Request {
            kind,
            nonce: response.map(|response| response.nonce),
            error: None,
            names: Names::Sotw {
                names: owned(names),
                version: response.map(|response| response.version),
            },
        })
    }

    /// A rejection; `names` are still all that is wanted.
    fn state_nack(&mut self, names: &[&str], response: &Response, message: &str) -> Vec<Response> {
        self.say(Request {
            kind: response.kind,
            nonce: Some(response.nonce),
            error: Some(message.to_owned()),
            names: Names::Sotw {
                names: owned(names),
                version: None,
            },
        })
    }

    /// The first message on a new stream, with the version of the last accepted response.
    fn state_resume(&mut self, kind: TypeUrl, names: &[&str], version: Version) -> Vec<Response> {
        let names = Names::Sotw {
            names: owned(names),
            version: Some(version),
        };
        self.say(Request {
            kind,
            nonce: None,
            error: None,
            names,
        })
    }
}
