//! The model client, a session, and the two directions between them.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::*;

type Names = BTreeSet<String>;

#[derive(Default)]
struct Client {
    held: BTreeMap<TypeUrl, BTreeMap<String, u128>>,
    /// What it would say on reconnect: not what was applied of a rejected response.
    known: BTreeMap<TypeUrl, BTreeMap<String, u128>>,
    last: BTreeMap<TypeUrl, (u64, Option<Version>)>,
    subscribed: BTreeMap<TypeUrl, Names>,
    warming: Names,
    /// Clusters that can take traffic.
    active: Names,
    /// Answers to clusters, until none is warming.
    withheld: VecDeque<Request>,
}

pub(super) struct Run {
    protocol: Protocol,
    session: Session,
    set: ResourceSet,
    now: Instant,
    client: Client,
    to_client: VecDeque<Response>,
    to_server: VecDeque<Request>,
    unanswered: BTreeMap<TypeUrl, u64>,
    /// Neither rejections nor timeouts: traffic must never break.
    is_calm: bool,
}

impl Run {
    pub(super) fn new(protocol: Protocol, is_calm: bool) -> Self {
        let mut run = Self {
            protocol,
            session: Session::new(protocol, Missing::Told),
            set: ResourceSet::default(),
            now: Instant::now(),
            client: Client::default(),
            to_client: VecDeque::new(),
            to_server: VecDeque::new(),
            unanswered: BTreeMap::new(),
            is_calm,
        };
        run.reconnect();
        run
    }

    pub(super) fn step(&mut self, step: Step) {
        match step {
            Step::Publish(world) => {
                self.set = world.set().following(&self.set);
                let outcome = self.session.on_publish(&self.set, self.now);
                self.send(outcome);
            }
            Step::Deliver { names, partly } => self.deliver(names, partly),
            Step::Hear => self.hear(),
            Step::Reconnect => self.reconnect(),
            Step::Drain => {
                self.subscribe(TypeUrl::Route, true);
            }
            Step::Tick => {
                self.now += ACK_TIMEOUT;
                self.unanswered.clear();
                let outcome = self.session.on_tick(&self.set, self.now);
                self.send(outcome);
            }
        }
    }

    fn send(&mut self, outcome: Outcome) {
        for response in &outcome.responses {
            let earlier = self.unanswered.insert(response.kind, response.nonce);
            assert_eq!(
                earlier, None,
                "two unanswered responses of {}",
                response.kind
            );
        }
        self.to_client.extend(outcome.responses);
    }

    fn hear(&mut self) {
        if let Some(request) = self.to_server.pop_front() {
            if self.unanswered.get(&request.kind).copied() == request.nonce {
                self.unanswered.remove(&request.kind);
            }
            let outcome = self.session.on_request(request, &self.set, self.now);
            self.send(outcome);
        }
    }

    fn reconnect(&mut self) {
        self.session = Session::new(self.protocol, Missing::Told);
        self.to_client.clear();
        self.to_server.clear();
        self.unanswered.clear();
        self.client.withheld.clear();
        // Endpoints lost with the stream come no more; Envoy's fetch timeout ends the warming.
        self.client
            .active
            .extend(std::mem::take(&mut self.client.warming));
        for kind in TypeUrl::ALL {
            let names: Vec<String> = self
                .client
                .subscribed
                .entry(kind)
                .or_default()
                .iter()
                .cloned()
                .collect();
            if names.is_empty() && !kind.is_full_state() {
                continue;
            }
            let version = self
                .client
                .last
                .remove(&kind)
                .and_then(|(_, version)| version);
            let known = self.client.known.entry(kind).or_default();
            if self.protocol == Protocol::Delta {
                // What Envoy applied of a rejected response it does not report when it comes
                // again: it is beyond every server, and harmless.
                let held = self.client.held.entry(kind).or_default();
                held.retain(|name, _| known.contains_key(name));
            }
            let names = match self.protocol {
                Protocol::Delta => request::Names::Delta {
                    subscribe: names,
                    unsubscribe: vec![],
                    initial: known
                        .iter()
                        .map(|(n, v)| (n.clone(), Some(Version(*v))))
                        .collect(),
                },
                Protocol::Sotw => request::Names::Sotw { names, version },
            };
            self.to_server.push_back(Request {
                kind,
                nonce: None,
                error: None,
                names,
            });
        }
    }

    fn deliver(&mut self, names: bool, partly: bool) {
        let Some(response) = self.to_client.pop_front() else {
            return;
        };
        let kind = response.kind;
        let culprits: Vec<_> = response
            .resources
            .iter()
            .filter(|r| is_poison(r))
            .map(|r| r.name.to_string())
            .collect();
        let is_good = culprits.is_empty();
        if is_good {
            self.apply(&response, true);
        } else if partly {
            self.apply(&response, false);
        }
        let before = self
            .client
            .last
            .get(&kind)
            .and_then(|(_, version)| *version);
        let accepted = match (is_good, partly) {
            (true, _) => Some(response.version),
            (false, false) => before,
            (false, true) => None,
        };
        self.client.last.insert(kind, (response.nonce, accepted));
        let message = if names {
            culprits.join(": no, ")
        } else {
            "validation failed".to_owned()
        };
        let answer = self.request(kind, vec![], vec![], Some(response.nonce));
        let answer = Request {
            error: (!is_good).then_some(message),
            ..answer
        };
        if kind == TypeUrl::Endpoints && !is_good {
            // A rejection ends the waiting as well.
            for resource in &response.resources {
                self.warmed(&resource.name);
            }
        }
        if kind == TypeUrl::Cluster {
            self.client.withheld.push_back(answer);
        } else {
            self.to_server.push_back(answer);
        }
        self.subscribe(TypeUrl::Endpoints, true);
        // In calm runs listeners drain at once. A listener that comes back to a route config
        // which is still there from an earlier one uses its old content until RDS has come, one
        // message later; no order of ours avoids that.
        self.subscribe(TypeUrl::Route, self.is_calm);
        if self.client.warming.is_empty() {
            self.to_server
                .extend(std::mem::take(&mut self.client.withheld));
        }
    }

    fn apply(&mut self, response: &Response, in_whole: bool) {
        let kind = response.kind;
        let mut gone: Vec<String> = response.removed.iter().map(ToString::to_string).collect();
        if self.protocol == Protocol::Sotw && kind.is_full_state() && in_whole {
            let names: Names = response
                .resources
                .iter()
                .map(|r| r.name.to_string())
                .collect();
            let held = self.client.held.entry(kind).or_default();
            gone.extend(held.keys().filter(|name| !names.contains(*name)).cloned());
        }
        let subscribed = self.client.subscribed.entry(kind).or_default();
        let wants = |resource: &&Arc<Resource>| {
            kind.is_full_state() || subscribed.contains(&*resource.name)
        };
        let good: Vec<_> = response
            .resources
            .iter()
            .filter(wants)
            .filter(|r| !is_poison(r))
            .cloned()
            .collect();
        for resource in good {
            let name = resource.name.to_string();
            let version = resource.version.0;
            let before = self
                .client
                .held
                .entry(kind)
                .or_default()
                .insert(name.clone(), version);
            let known = self.client.known.entry(kind).or_default();
            if in_whole {
                known.insert(name.clone(), version);
            } else {
                known.remove(&name);
            }
            match kind {
                TypeUrl::Cluster if before != Some(version) => {
                    if content(version) == 1 {
                        self.client.warming.insert(name);
                    } else {
                        self.warmed(&name);
                    }
                }
                TypeUrl::Endpoints => self.warmed(&name),
                TypeUrl::Cluster | TypeUrl::Listener | TypeUrl::Route | TypeUrl::Secret => {}
            }
        }
        for name in gone {
            self.client.held.entry(kind).or_default().remove(&name);
            self.client.known.entry(kind).or_default().remove(&name);
            match kind {
                TypeUrl::Cluster => {
                    self.client.warming.remove(&name);
                    self.client.active.remove(&name);
                }
                TypeUrl::Endpoints => self.warmed(&name),
                TypeUrl::Listener | TypeUrl::Route | TypeUrl::Secret => {}
            }
        }
        if self.is_calm {
            self.traffic_flows(response);
        }
    }

    fn warmed(&mut self, name: &str) {
        self.client.warming.remove(name);
        if self.client.held[&TypeUrl::Cluster].contains_key(name) {
            self.client.active.insert(name.to_owned());
        }
    }

    /// Each cluster that a route in use leads to can take traffic.
    fn traffic_flows(&self, after: &Response) {
        for name in self.needed(TypeUrl::Route) {
            let routes = self
                .client
                .held
                .get(&TypeUrl::Route)
                .and_then(|held| held.get(&name));
            let mask = routes.map_or(0, |version| content(*version));
            for host in (0..HOSTS).filter(|host| mask & (1 << host) != 0) {
                let is_active = self.client.active.contains(&format!("c{host}"));
                assert!(
                    is_active,
                    "{name} leads to c{host}, which is not there, after {}",
                    text(after)
                );
            }
        }
    }

    /// The names that what the client holds makes it want.
    fn needed(&self, kind: TypeUrl) -> Names {
        let held = |kind| self.client.held.get(&kind).into_iter().flatten();
        match kind {
            TypeUrl::Endpoints => held(TypeUrl::Cluster)
                .filter(|(_, version)| content(**version) == 1)
                .map(|(name, _)| name.clone())
                .collect(),
            TypeUrl::Route => held(TypeUrl::Listener)
                .map(|(_, version)| format!("r{}", content(*version)))
                .collect(),
            TypeUrl::Cluster | TypeUrl::Listener | TypeUrl::Secret => Names::new(),
        }
    }

    /// Asks for what is needed now, and no longer for what is not.
    fn subscribe(&mut self, kind: TypeUrl, drops: bool) {
        let needed = self.needed(kind);
        let before = self.client.subscribed.entry(kind).or_default().clone();
        let added: Vec<String> = needed.difference(&before).cloned().collect();
        let dropped: Vec<String> = if drops {
            before.difference(&needed).cloned().collect()
        } else {
            vec![]
        };
        if added.is_empty() && dropped.is_empty() {
            return;
        }
        let names = self.client.subscribed.entry(kind).or_default();
        names.extend(added.iter().cloned());
        for name in &dropped {
            names.remove(name);
            self.client.held.entry(kind).or_default().remove(name);
            self.client.known.entry(kind).or_default().remove(name);
        }
        let request = self.request(kind, added, dropped, None);
        self.to_server.push_back(request);
    }

    fn request(
        &self,
        kind: TypeUrl,
        subscribe: Vec<String>,
        unsubscribe: Vec<String>,
        nonce: Option<u64>,
    ) -> Request {
        let last = self.client.last.get(&kind);
        let (nonce, names) = match self.protocol {
            Protocol::Delta => (
                nonce,
                request::Names::Delta {
                    subscribe,
                    unsubscribe,
                    initial: vec![],
                },
            ),
            Protocol::Sotw => {
                let names = self
                    .client
                    .subscribed
                    .get(&kind)
                    .into_iter()
                    .flatten()
                    .cloned();
                let version = last.and_then(|(_, version)| *version);
                let names = request::Names::Sotw {
                    names: names.collect(),
                    version,
                };
                (nonce.or_else(|| last.map(|(nonce, _)| *nonce)), names)
            }
        };
        Request {
            kind,
            nonce,
            error: None,
            names,
        }
    }

    /// Lets everything come to rest.
    fn rest(&mut self) {
        for _ in 0..10_000 {
            if !self.to_server.is_empty() {
                self.hear();
            } else if !self.to_client.is_empty() {
                self.deliver(true, false);
            } else if !self.client.withheld.is_empty() {
                assert_eq!(
                    self.protocol,
                    Protocol::Sotw,
                    "{:?} wait for ever",
                    self.client.warming
                );
                // Missing endpoints have no words here; Envoy's fetch timeout ends the warming.
                self.client
                    .active
                    .extend(std::mem::take(&mut self.client.warming));
                self.to_server
                    .extend(std::mem::take(&mut self.client.withheld));
            } else {
                return;
            }
        }
        panic!("no rest");
    }

    pub(super) fn ends_with_client_equal_to_set(mut self, last: World) {
        self.step(Step::Publish(last));
        self.rest();
        self.step(Step::Tick);
        self.rest();
        self.step(Step::Drain);
        self.rest();
        assert_eq!(self.client.warming, Names::new());
        for kind in TypeUrl::ALL {
            let wanted: BTreeMap<String, u128> = self
                .set
                .iter(kind)
                .map(|r| (r.name.to_string(), r.version.0))
                .collect();
            assert_eq!(
                self.client.held.remove(&kind).unwrap_or_default(),
                wanted,
                "{kind}"
            );
        }
        // And the session knows that: there is nothing left to say.
        let outcome = self.session.on_publish(&self.set, self.now);
        assert_eq!(texts(&outcome.responses), [""; 0]);
    }
}
