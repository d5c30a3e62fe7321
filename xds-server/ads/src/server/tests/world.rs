//! A server with its feed and notes, and a scripted client of it.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use crate::{
    AdsServer, Observer, Peer, Resource, ResourceSet, SdsServer, Sent, Snapshots, StreamInfo,
    Subscription, TypeUrl, Version,
};
use bytes::Bytes;
use envoy_types::pb::{
    envoy::{
        config::core::v3::Node,
        service::discovery::v3::{
            DeltaDiscoveryRequest, DeltaDiscoveryResponse,
            aggregated_discovery_service_client::AggregatedDiscoveryServiceClient,
        },
    },
    google::rpc,
};
use futures::StreamExt;
use hyper_util::rt::TokioIo;
use tokio::{
    io::DuplexStream,
    sync::{mpsc, watch},
};
use tonic::{
    Status, Streaming,
    service::Routes,
    transport::{Channel, Endpoint, Server, Uri},
};

/// Feeds one set to everybody but the banned, and makes secrets that are asked for.
pub(super) struct Feed {
    pub(super) sets: Mutex<Option<watch::Sender<Arc<ResourceSet>>>>,
    pub(super) makes_secrets: bool,
}

impl Feed {
    pub(super) fn publish(&self, set: Arc<ResourceSet>) {
        self.sets
            .lock()
            .unwrap()
            .as_ref()
            .unwrap()
            .send_replace(set);
    }
}

impl Snapshots for Feed {
    fn subscribe(&self, peer: &Peer, node: &crate::Node) -> Result<Subscription, Status> {
        if peer.uri_sans.iter().any(|san| san.contains("banned")) {
            return Err(Status::permission_denied("banned"));
        }
        let updates = self.sets.lock().unwrap().as_ref().unwrap().subscribe();
        Ok(Subscription::new(node.id.as_str(), updates))
    }

    fn subscribed(&self, _id: &str, kind: TypeUrl, names: &[String]) {
        if self.makes_secrets {
            let secrets = names.iter().map(|name| (kind, resource(name, 1)));
            self.publish(Arc::new(ResourceSet::new(secrets).unwrap()));
        }
    }
}

/// Notes down what it hears.
#[derive(Default)]
pub(super) struct Notes(pub(super) Mutex<Vec<String>>);

impl Notes {
    fn note(&self, what: String) {
        self.0.lock().unwrap().push(what);
    }

    pub(super) fn taken(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

impl Observer for Notes {
    fn connected(&self, stream: &StreamInfo) {
        self.note(format!(
            "connected {} {} {}",
            stream.id, stream.protocol, stream.agent
        ));
    }

    fn refused(&self, _: &Peer, status: &Status) {
        self.note(format!("refused {}", status.message()));
    }

    fn disconnected(&self, stream: &StreamInfo, _: Duration) {
        self.note(format!("disconnected {}", stream.id));
    }

    fn sent(&self, _: &StreamInfo, sent: Sent) {
        self.note(format!(
            "sent {} {} -{}",
            sent.kind, sent.resources, sent.removed
        ));
    }

    fn acked(&self, _: &StreamInfo, kind: TypeUrl, nonce: u64, _: Duration) {
        self.note(format!("acked {kind} {nonce}"));
    }

    fn nacked(&self, _: &StreamInfo, kind: TypeUrl, _: u64, names: &[Arc<str>], message: &str) {
        self.note(format!("nacked {kind} {names:?} {message}"));
    }

    fn stalled(&self, _: &StreamInfo, kind: TypeUrl, nonce: u64, waited: Duration) {
        self.note(format!("stalled {kind} {nonce} {waited:?}"));
    }
}

pub(super) fn resource(name: &str, version: u128) -> Arc<Resource> {
    Arc::new(Resource {
        name: name.into(),
        version: Version(version),
        body: Bytes::from(format!("{name} {version}")),
        requires: Arc::default(),
    })
}

pub(super) fn clusters(versions: &[(&str, u128)]) -> Arc<ResourceSet> {
    let resources = versions
        .iter()
        .map(|(name, v)| (TypeUrl::Cluster, resource(name, *v)));
    Arc::new(ResourceSet::new(resources).unwrap())
}

pub(super) struct World {
    pub(super) feed: Arc<Feed>,
    pub(super) notes: Arc<Notes>,
    pub(super) channel: Channel,
    pub(super) _server: tokio::task::JoinSet<()>,
}

/// A server with both services, and a connection of `peer` to it.
pub(super) async fn world(peer: Option<Peer>, set: Arc<ResourceSet>, makes_secrets: bool) -> World {
    let feed = Arc::new(Feed {
        sets: Mutex::new(Some(watch::Sender::new(set))),
        makes_secrets,
    });
    let notes = Arc::new(Notes::default());
    let routes = Routes::new(AdsServer::new(feed.clone(), notes.clone()).into_service())
        .add_service(SdsServer::new(feed.clone(), notes.clone()).into_service());
    let (near, far) = tokio::io::duplex(1 << 16);
    let with_peer = move |mut request: tonic::Request<()>| {
        if let Some(peer) = &peer {
            request.extensions_mut().insert(peer.clone());
        }
        Ok(request)
    };
    let mut server = tokio::task::JoinSet::new();
    server.spawn(async move {
        let incoming = tokio_stream::once(Ok::<DuplexStream, std::io::Error>(far));
        let server = Server::builder()
            .layer(tonic::service::InterceptorLayer::new(with_peer))
            .add_routes(routes)
            .serve_with_incoming(incoming.chain(tokio_stream::pending()));
        server.await.unwrap();
    });
    let mut near = Some(near);
    let connector = tower::service_fn(move |_: Uri| {
        let near = near.take().map(TokioIo::new);
        async move { near.ok_or_else(|| std::io::Error::other("one connection only")) }
    });
    let channel = Endpoint::from_static("http://control-plane")
        .connect_with_connector(connector)
        .await
        .unwrap();
    World {
        feed,
        notes,
        channel,
        _server: server,
    }
}

pub(super) fn peer() -> Option<Peer> {
    Some(Peer {
        uri_sans: vec!["spiffe://td/ns/a/sa/b".to_owned()],
        ..Peer::default()
    })
}

pub(super) fn node() -> Option<Node> {
    Some(Node {
        id: "router~1".to_owned(),
        user_agent_name: "envoy".to_owned(),
        ..Node::default()
    })
}

pub(super) struct DeltaClient {
    pub(super) requests: mpsc::Sender<DeltaDiscoveryRequest>,
    pub(super) responses: Streaming<DeltaDiscoveryResponse>,
}

impl DeltaClient {
    pub(super) async fn start(world: &World) -> Self {
        let (requests, receiver) = mpsc::channel(16);
        let requests_stream = tokio_stream::wrappers::ReceiverStream::new(receiver);
        let responses = AggregatedDiscoveryServiceClient::new(world.channel.clone())
            .delta_aggregated_resources(requests_stream)
            .await
            .unwrap()
            .into_inner();
        Self {
            requests,
            responses,
        }
    }

    pub(super) async fn say(&self, request: DeltaDiscoveryRequest) {
        self.requests.send(request).await.unwrap();
    }

    pub(super) async fn hear(&mut self) -> DeltaDiscoveryResponse {
        self.responses.message().await.unwrap().unwrap()
    }

    pub(super) async fn end(&mut self) -> Status {
        self.responses.message().await.unwrap_err()
    }

    pub(super) async fn answer(&self, response: &DeltaDiscoveryResponse, error: Option<&str>) {
        self.say(DeltaDiscoveryRequest {
            type_url: response.type_url.clone(),
            response_nonce: response.nonce.clone(),
            error_detail: error.map(|message| rpc::Status {
                message: message.to_owned(),
                ..Default::default()
            }),
            ..Default::default()
        })
        .await;
    }
}

pub(super) fn cds() -> DeltaDiscoveryRequest {
    DeltaDiscoveryRequest {
        node: node(),
        type_url: TypeUrl::Cluster.as_str().to_owned(),
        ..Default::default()
    }
}

pub(super) fn contents(response: &DeltaDiscoveryResponse) -> Vec<(String, String)> {
    let body = |resource: &envoy_types::pb::envoy::service::discovery::v3::Resource| {
        String::from_utf8(resource.resource.as_ref().unwrap().value.clone()).unwrap()
    };
    response
        .resources
        .iter()
        .map(|resource| (resource.name.clone(), body(resource)))
        .collect()
}

pub(super) fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs
        .iter()
        .map(|(a, b)| (a.to_string(), b.to_string()))
        .collect()
}
