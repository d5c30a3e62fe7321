//! One stream: joins the client's messages, the sets to hold and the clock to a session.
//!
//! The stream is driven by the transport's demand and owns no task: when the client goes, it is
//! dropped and all that it held with it. While the client does not read, nothing is made for it.

use std::{
    collections::VecDeque,
    future::pending,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, SystemTime},
};

use envoy_types::pb::envoy::{
    config::core::v3 as core,
    service::discovery::v3::{DeltaDiscoveryRequest, DiscoveryRequest},
};
use futures::Stream;
use tokio::{
    sync::watch,
    time::{Instant, sleep_until, timeout},
};
use tonic::{Status, Streaming};

use super::service::Discovery;
use crate::{
    Node, Observer, Outcome, Peer, Protocol, Report, Request, ResourceSet, Response, Sent, Session,
    Snapshots, StreamInfo, TypeUrl, wire,
};

/// A client that opens a stream speaks at once; one that does not only holds memory.
const FIRST_MESSAGE_TIMEOUT: Duration = Duration::from_secs(10);

/// The message of a client in one variant of the protocol.
pub(crate) trait ClientMessage: prost::Message + Default + 'static {
    const PROTOCOL: Protocol;
    fn node(&self) -> Option<&core::Node>;
    fn read(self, implied: Option<TypeUrl>) -> Option<Request>;
}

impl ClientMessage for DeltaDiscoveryRequest {
    const PROTOCOL: Protocol = Protocol::Delta;

    fn node(&self) -> Option<&core::Node> {
        self.node.as_ref()
    }

    fn read(self, implied: Option<TypeUrl>) -> Option<Request> {
        Request::from_delta(self, implied)
    }
}

impl ClientMessage for DiscoveryRequest {
    const PROTOCOL: Protocol = Protocol::Sotw;

    fn node(&self) -> Option<&core::Node> {
        self.node.as_ref()
    }

    fn read(self, implied: Option<TypeUrl>) -> Option<Request> {
        Request::from_sotw(self, implied)
    }
}

/// The responses to one client. An error is the last item.
pub(crate) fn responses<S: Snapshots, O: Observer, R: ClientMessage>(
    discovery: Arc<Discovery<S, O>>,
    peer: Peer,
    inbound: Streaming<R>,
) -> impl Stream<Item = Result<Response, Status>> + Send {
    let start = State::Arriving {
        discovery,
        peer,
        inbound: Box::new(inbound),
    };
    futures::stream::unfold(start, |state| async move {
        let mut client = match state {
            State::Arriving {
                discovery,
                peer,
                inbound,
            } => match Client::admit(discovery, peer, *inbound).await {
                Ok(client) => Box::new(client),
                Err(Ended::Left) => return None,
                Err(Ended::With(status)) => return Some((Err(status), State::Done)),
            },
            State::Admitted(client) => client,
            State::Done => return None,
        };
        match client.next().await {
            Ok(response) => Some((Ok(response), State::Admitted(client))),
            Err(Ended::Left) => None,
            Err(Ended::With(status)) => Some((Err(status), State::Done)),
        }
    })
}

enum State<S, O: Observer, R> {
    Arriving {
        discovery: Arc<Discovery<S, O>>,
        peer: Peer,
        inbound: Box<Streaming<R>>,
    },
    Admitted(Box<Client<S, O, R>>),
    Done,
}

/// Why there is no next response.
enum Ended {
    /// The client closed the stream.
    Left,
    /// We close it.
    With(Status),
}

struct Client<S, O: Observer, R> {
    discovery: Arc<Discovery<S, O>>,
    inbound: Streaming<R>,
    node: Node,
    updates: watch::Receiver<Arc<ResourceSet>>,
    session: Session,
    outbox: VecDeque<Response>,
    expires: Option<Instant>,
    presence: Presence<O>,
}

/// Tells the observer of the client's coming and, however the stream ends, of its going.
struct Presence<O: Observer> {
    observer: Arc<O>,
    info: StreamInfo,
    since: Instant,
}

impl<O: Observer> Presence<O> {
    fn new(observer: Arc<O>, info: StreamInfo) -> Self {
        observer.connected(&info);
        Self {
            observer,
            info,
            since: Instant::now(),
        }
    }
}

impl<O: Observer> Drop for Presence<O> {
    fn drop(&mut self) {
        self.observer.disconnected(&self.info, self.since.elapsed());
    }
}

impl<S: Snapshots, O: Observer, R: ClientMessage> Client<S, O, R> {
    async fn admit(
        discovery: Arc<Discovery<S, O>>,
        peer: Peer,
        mut inbound: Streaming<R>,
    ) -> Result<Self, Ended> {
        let admitted = match timeout(FIRST_MESSAGE_TIMEOUT, inbound.message()).await {
            Ok(Ok(Some(first))) => admission(&*discovery.snapshots, &peer, first),
            Ok(Ok(None)) => return Err(Ended::Left),
            Ok(Err(status)) => Err(status),
            Err(_) => Err(Status::deadline_exceeded("no first message")),
        };
        let (first, node, subscription, expires) = admitted.map_err(|status| {
            discovery.observer.refused(&peer, &status);
            Ended::With(status)
        })?;

        static NUMBER: AtomicU64 = AtomicU64::new(1);
        let info = StreamInfo {
            number: NUMBER.fetch_add(1, Ordering::Relaxed),
            id: subscription.id,
            protocol: R::PROTOCOL,
            remote: peer.remote,
            agent: node.agent.clone(),
        };
        let mut client = Self {
            presence: Presence::new(discovery.observer.clone(), info),
            session: match R::PROTOCOL {
                Protocol::Delta => Session::delta(discovery.missing),
                Protocol::Sotw => Session::sotw(discovery.missing),
            },
            discovery,
            inbound,
            node,
            updates: subscription.updates,
            outbox: VecDeque::new(),
            expires,
        };
        client.hear(first)?;
        Ok(client)
    }

    async fn next(&mut self) -> Result<Response, Ended> {
        loop {
            if let Some(response) = self.outbox.pop_front() {
                self.presence.observer.sent(
                    &self.presence.info,
                    Sent {
                        kind: response.kind,
                        nonce: response.nonce,
                        bytes: wire::encoded_len(&response, R::PROTOCOL),
                        resources: response.resources.len(),
                        removed: response.removed.len(),
                    },
                );
                return Ok(response);
            }
            tokio::select! {
                message = self.inbound.message() => match message {
                    Ok(Some(message)) => self.hear(message)?,
                    Ok(None) => return Err(Ended::Left),
                    // The transport's failure, or a message that is none.
                    Err(status) => return Err(Ended::With(status)),
                },
                changed = self.updates.changed() => {
                    if changed.is_err() {
                        return Err(Ended::With(Status::unavailable("no more configuration")));
                    }
                    let set = self.updates.borrow_and_update().clone();
                    let outcome = self.session.on_publish(&set, Instant::now().into_std());
                    self.take(outcome);
                }
                () = at(self.session.wake_at().map(Instant::from_std)) => {
                    let set = self.updates.borrow().clone();
                    let outcome = self.session.on_tick(&set, Instant::now().into_std());
                    self.take(outcome);
                }
                () = at(self.expires) => {
                    return Err(Ended::With(Status::unauthenticated("certificate has expired")));
                }
            }
        }
    }

    fn hear(&mut self, message: R) -> Result<(), Ended> {
        if message
            .node()
            .is_some_and(|node| !node.id.is_empty() && node.id != self.node.id)
        {
            let status = Status::invalid_argument("node id changed within the stream");
            return Err(Ended::With(status));
        }
        let Some(request) = message.read(self.discovery.only) else {
            // Types that we do not serve: Envoy asks for some by itself, silence is the answer.
            return Ok(());
        };
        if self.discovery.only.is_some_and(|only| only != request.kind) {
            return Ok(());
        }
        let new = self.session.new_names(&request);
        if !new.is_empty() {
            self.discovery
                .snapshots
                .subscribed(&self.presence.info.id, request.kind, &new);
        }
        let set = self.updates.borrow_and_update().clone();
        let outcome = self
            .session
            .on_request(request, &set, Instant::now().into_std());
        self.take(outcome);
        Ok(())
    }

    fn take(&mut self, outcome: Outcome) {
        let Presence { observer, info, .. } = &self.presence;
        for report in outcome.reports {
            match report {
                Report::Acked {
                    kind,
                    nonce,
                    elapsed,
                } => observer.acked(info, kind, nonce, elapsed),
                Report::Nacked {
                    kind,
                    nonce,
                    names,
                    message,
                } => {
                    observer.nacked(info, kind, nonce, &names, &message);
                }
                Report::Stalled {
                    kind,
                    nonce,
                    waited,
                } => {
                    observer.stalled(info, kind, nonce, waited);
                }
            }
        }
        self.outbox.extend(outcome.responses);
    }
}

type Admission<R> = (R, Node, crate::Subscription, Option<Instant>);

fn admission<R: ClientMessage>(
    snapshots: &impl Snapshots,
    peer: &Peer,
    first: R,
) -> Result<Admission<R>, Status> {
    let expires = match peer.not_after {
        Some(end) => match end.duration_since(SystemTime::now()) {
            Ok(left) => Instant::now().checked_add(left),
            Err(_) => return Err(Status::unauthenticated("certificate has expired")),
        },
        None => None,
    };
    let node = first
        .node()
        .map(Node::from)
        .ok_or_else(|| Status::invalid_argument("the first message has no node"))?;
    let subscription = snapshots.subscribe(peer, &node)?;
    Ok((first, node, subscription, expires))
}

async fn at(time: Option<Instant>) {
    match time {
        Some(time) => sleep_until(time).await,
        None => pending().await,
    }
}
