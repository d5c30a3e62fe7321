//! The gRPC services: aggregated discovery for proxies, and secrets alone for a Unix socket.
//!
//! They are written on tonic's server by hand, because the generated ones would copy every
//! resource into a generated message first (see [`wire`](crate::wire)).

mod service;
mod stream;
#[cfg(test)]
mod tests;

use std::{
    convert::Infallible,
    sync::Arc,
    task::{Context, Poll},
};

use tonic::{
    body::Body as GrpcBody,
    codegen::{Body, BoxFuture, Service, StdError, http},
    server::NamedService,
};

use crate::{Missing, Observer, Snapshots, TypeUrl};
use service::{Discovery, Paths};

/// Aggregated discovery (`envoy.service.discovery.v3.AggregatedDiscoveryService`), delta and
/// state of the world. Every connection must carry a [`Peer`](crate::Peer).
pub struct AdsServer<S, O>(Discovery<S, O>);

/// Secret discovery alone (`envoy.service.secret.v3.SecretDiscoveryService`), for a socket whose
/// file mode says who may connect; a [`Peer`](crate::Peer) is optional.
///
/// A name that the set lacks is left unanswered until it appears: Envoy waits for it.
pub struct SdsServer<S, O>(Discovery<S, O>);

/// [`AdsServer`] as a tonic service.
pub struct AdsService<S, O>(Arc<Discovery<S, O>>);

/// [`SdsServer`] as a tonic service.
pub struct SdsService<S, O>(Arc<Discovery<S, O>>);

impl<S: Snapshots, O: Observer> AdsServer<S, O> {
    /// A server of these snapshots.
    pub fn new(snapshots: Arc<S>, observer: Arc<O>) -> Self {
        Self(Discovery {
            snapshots,
            observer,
            paths: Paths {
                delta: "/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources",
                sotw: "/envoy.service.discovery.v3.AggregatedDiscoveryService/StreamAggregatedResources",
            },
            only: None,
            missing: Missing::Told,
            peer_is_optional: false,
        })
    }

    /// The service, for `tonic::transport::server::Router::add_service` or `tonic::service::Routes`.
    pub fn into_service(self) -> AdsService<S, O> {
        AdsService(Arc::new(self.0))
    }
}

impl<S: Snapshots, O: Observer> SdsServer<S, O> {
    /// A server of the secrets in these snapshots.
    pub fn new(snapshots: Arc<S>, observer: Arc<O>) -> Self {
        Self(Discovery {
            snapshots,
            observer,
            paths: Paths {
                delta: "/envoy.service.secret.v3.SecretDiscoveryService/DeltaSecrets",
                sotw: "/envoy.service.secret.v3.SecretDiscoveryService/StreamSecrets",
            },
            only: Some(TypeUrl::Secret),
            missing: Missing::Awaited,
            peer_is_optional: true,
        })
    }

    /// The service, as [`AdsServer::into_service`].
    pub fn into_service(self) -> SdsService<S, O> {
        SdsService(Arc::new(self.0))
    }
}

impl<S, O> NamedService for AdsService<S, O> {
    const NAME: &'static str = "envoy.service.discovery.v3.AggregatedDiscoveryService";
}

impl<S, O> NamedService for SdsService<S, O> {
    const NAME: &'static str = "envoy.service.secret.v3.SecretDiscoveryService";
}

impl<S, O> Clone for AdsService<S, O> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<S, O> Clone for SdsService<S, O> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<S, O, B> Service<http::Request<B>> for AdsService<S, O>
where
    S: Snapshots,
    O: Observer,
    B: Body + Send + 'static,
    B::Error: Into<StdError> + Send + 'static,
{
    type Response = http::Response<GrpcBody>;
    type Error = Infallible;
    type Future = BoxFuture<Self::Response, Infallible>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<B>) -> Self::Future {
        service::call(self.0.clone(), request)
    }
}

impl<S, O, B> Service<http::Request<B>> for SdsService<S, O>
where
    S: Snapshots,
    O: Observer,
    B: Body + Send + 'static,
    B::Error: Into<StdError> + Send + 'static,
{
    type Response = http::Response<GrpcBody>;
    type Error = Infallible;
    type Future = BoxFuture<Self::Response, Infallible>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<B>) -> Self::Future {
        service::call(self.0.clone(), request)
    }
}
