//! The serving side of `IstioCertificateService`: implement [`CertificateService`], serve [`CertificateServer`].

use std::{convert::Infallible, sync::Arc};

use tonic::{
    Request, Response, Status,
    body::Body,
    codegen::{BoxFuture, Context, Poll, Service, StdError},
    server::{Grpc, NamedService, UnaryService},
};

use crate::wire::{CREATE_CERTIFICATE, IstioCertificateRequest, IstioCertificateResponse, SERVICE};

/// A request is a CSR and little else; RSA-8192 with Istio's metadata stays below 8 KiB.
const MAX_REQUEST_BYTES: usize = 64 * 1024;

/// Signs workloads' keys.
#[tonic::async_trait]
pub trait CertificateService: Send + Sync + 'static {
    /// Certifies the key of the request's CSR for the caller that the request authenticates.
    async fn create_certificate(
        &self,
        request: Request<IstioCertificateRequest>,
    ) -> Result<Response<IstioCertificateResponse>, Status>;
}

/// A tonic service over a [`CertificateService`]; clones share it.
#[derive(Debug)]
pub struct CertificateServer<T>(Arc<T>);

impl<T: CertificateService> CertificateServer<T> {
    /// Serves `service`.
    pub fn new(service: T) -> Self {
        Self(Arc::new(service))
    }
}

impl<T> Clone for CertificateServer<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T> NamedService for CertificateServer<T> {
    const NAME: &'static str = SERVICE;
}

impl<T, B> Service<http::Request<B>> for CertificateServer<T>
where
    T: CertificateService,
    B: tonic::codegen::Body + Send + 'static,
    B::Error: Into<StdError> + Send + 'static,
{
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<Self::Response, Self::Error>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<B>) -> Self::Future {
        if request.uri().path() != CREATE_CERTIFICATE {
            return Box::pin(async { Ok(Status::unimplemented("no such method").into_http()) });
        }
        let method = CreateCertificate(Arc::clone(&self.0));
        Box::pin(async move {
            let mut grpc = Grpc::new(tonic_prost::ProstCodec::default())
                .apply_max_message_size_config(Some(MAX_REQUEST_BYTES), None);
            Ok(grpc.unary(method, request).await)
        })
    }
}

struct CreateCertificate<T>(Arc<T>);

impl<T: CertificateService> UnaryService<IstioCertificateRequest> for CreateCertificate<T> {
    type Response = IstioCertificateResponse;
    type Future = BoxFuture<Response<Self::Response>, Status>;

    fn call(&mut self, request: Request<IstioCertificateRequest>) -> Self::Future {
        let service = Arc::clone(&self.0);
        Box::pin(async move { service.create_certificate(request).await })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::CertificateClient;

    struct Echo;

    #[tonic::async_trait]
    impl CertificateService for Echo {
        async fn create_certificate(
            &self,
            request: Request<IstioCertificateRequest>,
        ) -> Result<Response<IstioCertificateResponse>, Status> {
            let token = request.metadata().get("authorization");
            let token = token.ok_or_else(|| Status::unauthenticated("no token"))?;
            let token = token.to_str().unwrap().to_owned();
            let csr = request.into_inner().csr;
            Ok(Response::new(IstioCertificateResponse {
                cert_chain: vec![csr, token],
            }))
        }
    }

    fn request(csr: String) -> Request<IstioCertificateRequest> {
        let mut request = Request::new(IstioCertificateRequest {
            csr,
            ..IstioCertificateRequest::default()
        });
        let token = "Bearer abc".parse().unwrap();
        request.metadata_mut().insert("authorization", token);
        request
    }

    #[tokio::test]
    async fn client_and_server_speak_the_same_protocol() {
        let mut client = CertificateClient::new(CertificateServer::new(Echo));

        let reply = client
            .create_certificate(request("pem".to_owned()))
            .await
            .unwrap();

        assert_eq!(reply.cert_chain, ["pem", "Bearer abc"]);
    }

    #[tokio::test]
    async fn status_of_the_service_reaches_the_client() {
        let mut client = CertificateClient::new(CertificateServer::new(Echo));

        let refused = client
            .create_certificate(Request::new(IstioCertificateRequest::default()))
            .await
            .unwrap_err();

        assert_eq!(refused.code(), tonic::Code::Unauthenticated);
    }

    #[tokio::test]
    async fn oversized_request_is_refused() {
        let mut client = CertificateClient::new(CertificateServer::new(Echo));

        let refused = client
            .create_certificate(request("x".repeat(MAX_REQUEST_BYTES)))
            .await
            .unwrap_err();

        assert_eq!(refused.code(), tonic::Code::OutOfRange);
    }
}
