//! From an HTTP request to a stream of responses.

use std::{marker::PhantomData, pin::Pin, sync::Arc};

use envoy_types::pb::envoy::service::discovery::v3::{DeltaDiscoveryRequest, DiscoveryRequest};
use futures::Stream;
use tonic::{
    Request, Status, Streaming,
    body::Body as GrpcBody,
    codegen::{Body, BoxFuture, StdError, http},
    server::{Grpc, StreamingService},
};

use super::stream::{ClientMessage, responses};
use crate::{Missing, Observer, Peer, Response, Snapshots, TypeUrl, wire::DiscoveryCodec};

/// What a client of 30,000 clusters says when it reconnects goes beyond tonic's default of 4 MiB,
/// and one that is refused for it comes again for ever.
const MAX_REQUEST_BYTES: usize = 64 << 20;

/// What the services have in common.
pub(crate) struct Discovery<S, O> {
    pub(crate) snapshots: Arc<S>,
    pub(crate) observer: Arc<O>,
    pub(crate) paths: Paths,
    /// The type of a service with one type only.
    pub(crate) only: Option<TypeUrl>,
    pub(crate) missing: Missing,
    pub(crate) peer_is_optional: bool,
}

pub(crate) struct Paths {
    pub(crate) delta: &'static str,
    pub(crate) sotw: &'static str,
}

pub(crate) fn call<S, O, B>(
    discovery: Arc<Discovery<S, O>>,
    request: http::Request<B>,
) -> BoxFuture<http::Response<GrpcBody>, std::convert::Infallible>
where
    S: Snapshots,
    O: Observer,
    B: Body + Send + 'static,
    B::Error: Into<StdError> + Send + 'static,
{
    Box::pin(async move {
        let path = request.uri().path();
        Ok(if path == discovery.paths.delta {
            serve::<DeltaDiscoveryRequest, _, _, _>(discovery, request).await
        } else if path == discovery.paths.sotw {
            serve::<DiscoveryRequest, _, _, _>(discovery, request).await
        } else {
            Status::unimplemented(format!("no method {path}")).into_http()
        })
    })
}

async fn serve<R, S, O, B>(
    discovery: Arc<Discovery<S, O>>,
    request: http::Request<B>,
) -> http::Response<GrpcBody>
where
    R: ClientMessage,
    S: Snapshots,
    O: Observer,
    B: Body + Send + 'static,
    B::Error: Into<StdError> + Send + 'static,
{
    Grpc::new(DiscoveryCodec::<R>::new(R::PROTOCOL))
        .apply_max_message_size_config(Some(MAX_REQUEST_BYTES), None)
        .streaming(
            Method {
                discovery,
                request: PhantomData::<fn() -> R>,
            },
            request,
        )
        .await
}

struct Method<S, O, R> {
    discovery: Arc<Discovery<S, O>>,
    request: PhantomData<fn() -> R>,
}

impl<S: Snapshots, O: Observer, R: ClientMessage> StreamingService<R> for Method<S, O, R> {
    type Response = Response;
    type ResponseStream = Pin<Box<dyn Stream<Item = Result<Response, Status>> + Send>>;
    type Future = BoxFuture<tonic::Response<Self::ResponseStream>, Status>;

    fn call(&mut self, request: Request<Streaming<R>>) -> Self::Future {
        let discovery = self.discovery.clone();
        Box::pin(async move {
            let peer = match request.extensions().get::<Peer>() {
                Some(peer) => peer.clone(),
                None if discovery.peer_is_optional => Peer::default(),
                None => {
                    let status = Status::unauthenticated("no client certificate");
                    discovery.observer.refused(&Peer::default(), &status);
                    return Err(status);
                }
            };
            let stream = responses(discovery, peer, request.into_inner());
            Ok(tonic::Response::new(
                Box::pin(stream) as Self::ResponseStream
            ))
        })
    }
}
