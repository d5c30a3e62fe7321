//! The calling side of `IstioCertificateService`: reach a control plane, have a key certified.

use std::time::Duration;

use rcgen::{KeyPair, PublicKeyData};
use rustls_pki_types::{CertificateDer, pem::PemObject};
use tonic::{
    Request, Status,
    client::Grpc,
    codegen::{Body, Bytes, StdError, http::uri::PathAndQuery},
    metadata::{Ascii, MetadataValue},
    transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity},
};
use x509_parser::{certificate::X509Certificate, prelude::FromDer};

use crate::{
    certificate::{CertificateError, Contents, Validity},
    csr,
    names::WorkloadNames,
    wire::{CREATE_CERTIFICATE, IstioCertificateRequest, IstioCertificateResponse},
};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const CALL_TIMEOUT: Duration = Duration::from_secs(10);

/// Where the control plane is, and how it is known to be the one.
#[derive(Clone, Debug)]
pub struct ControlPlane {
    /// `HOST:PORT` of the mTLS port.
    pub address: String,
    /// The root certificate(s) that its certificate must lead to, PEM.
    pub roots_pem: String,
    /// The DNS name that its certificate must have, such as `sluice.sluice-system.svc`.
    pub san: String,
}

/// How the caller proves who it is.
#[derive(Clone, Copy)]
pub enum Credential<'a> {
    /// A service account's token.
    Token(&'a str),
    /// The present certificate, sent in the TLS handshake.
    Certificate {
        /// The chain, leaf first, PEM.
        chain_pem: &'a str,
        /// The private key, PEM.
        key_pem: &'a str,
    },
}

/// A certified key's certificates.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Issued {
    /// The leaf and the intermediates, PEM: what to present in handshakes.
    pub chain_pem: String,
    /// The root(s), PEM: what to trust.
    pub roots_pem: String,
    /// Whom the leaf names.
    pub names: WorkloadNames,
    /// When the leaf is valid; renew at [`Validity::half_life`].
    pub validity: Validity,
}

/// Why no certificate came.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The address or the roots cannot be used.
    #[error("cannot reach a control plane at {address}")]
    Endpoint {
        /// `HOST:PORT` as configured.
        address: String,
        /// What tonic said.
        #[source]
        cause: tonic::transport::Error,
    },
    /// The token holds characters that no header may hold.
    #[error("the token is not printable ASCII")]
    Token,
    /// The key cannot sign a request.
    #[error("cannot make a certificate request")]
    Request(#[source] rcgen::Error),
    /// The control plane could not be reached, or refused.
    #[error("the control plane issued no certificate: {}", .0.message())]
    Refused(#[source] Box<Status>),
    /// The reply holds no leaf and root that can be read.
    #[error("the control plane's reply holds no certificate chain")]
    Chain,
    /// The leaf cannot be read.
    #[error("the control plane issued an unusable certificate")]
    Leaf(#[from] CertificateError),
    /// The leaf is over a key that is not ours.
    #[error("the control plane certified another key")]
    OtherKey,
}

/// Has the control plane certify `key`; `lifetime` is a wish, the control plane caps it.
pub async fn request_certificate(
    control_plane: &ControlPlane,
    credential: Credential<'_>,
    key: &KeyPair,
    lifetime: Option<Duration>,
) -> Result<Issued, ClientError> {
    let mut request = Request::new(IstioCertificateRequest {
        csr: csr::request(key).map_err(ClientError::Request)?,
        validity_duration: lifetime.map_or(0, |lifetime| {
            i64::try_from(lifetime.as_secs()).unwrap_or(i64::MAX)
        }),
        metadata: None,
    });
    request.set_timeout(CALL_TIMEOUT);
    if let Credential::Token(token) = credential {
        request
            .metadata_mut()
            .insert("authorization", bearer(token)?);
    }
    let channel = control_plane.channel(credential)?;
    let reply = CertificateClient::new(channel)
        .create_certificate(request)
        .await
        .map_err(|status| ClientError::Refused(Box::new(status)))?;
    Issued::read(&reply.cert_chain, key)
}

impl ControlPlane {
    /// A channel that connects at the first call.
    pub fn channel(&self, credential: Credential<'_>) -> Result<Channel, ClientError> {
        let mut tls = ClientTlsConfig::new()
            .ca_certificate(Certificate::from_pem(&self.roots_pem))
            .domain_name(&self.san);
        if let Credential::Certificate { chain_pem, key_pem } = credential {
            tls = tls.identity(Identity::from_pem(chain_pem, key_pem));
        }
        let unusable = |cause| ClientError::Endpoint {
            address: self.address.clone(),
            cause,
        };
        let endpoint = Endpoint::from_shared(format!("https://{}", self.address))
            .and_then(|endpoint| endpoint.tls_config(tls))
            .map_err(unusable)?;
        Ok(endpoint
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(CALL_TIMEOUT)
            .tcp_nodelay(true)
            .connect_lazy())
    }
}

impl Issued {
    /// Reads a reply: the leaf first, the root(s) last; the leaf must be over `key`.
    pub fn read(cert_chain: &[String], key: &KeyPair) -> Result<Self, ClientError> {
        let [chain @ .., roots_pem] = cert_chain else {
            return Err(ClientError::Chain);
        };
        let chain_pem = chain.concat();
        let leaf =
            CertificateDer::from_pem_slice(chain_pem.as_bytes()).map_err(|_| ClientError::Chain)?;
        CertificateDer::from_pem_slice(roots_pem.as_bytes()).map_err(|_| ClientError::Chain)?;
        let (_, certificate) =
            X509Certificate::from_der(&leaf).map_err(|_| CertificateError::Malformed)?;
        if certificate.public_key().raw != key.subject_public_key_info() {
            return Err(ClientError::OtherKey);
        }
        let contents = Contents::read(&leaf)?;
        Ok(Self {
            names: contents.workload_names()?,
            validity: contents.validity,
            chain_pem,
            roots_pem: roots_pem.clone(),
        })
    }
}

fn bearer(token: &str) -> Result<MetadataValue<Ascii>, ClientError> {
    let mut value = MetadataValue::try_from(format!("Bearer {}", token.trim()))
        .map_err(|_| ClientError::Token)?;
    value.set_sensitive(true);
    Ok(value)
}

/// The bare gRPC client, over any transport.
#[derive(Clone, Debug)]
pub struct CertificateClient<T>(Grpc<T>);

impl<T> CertificateClient<T>
where
    T: tonic::client::GrpcService<tonic::body::Body>,
    T::Error: Into<StdError>,
    T::ResponseBody: Body<Data = Bytes> + Send + 'static,
    <T::ResponseBody as Body>::Error: Into<StdError> + Send,
{
    /// Calls over `transport`.
    pub fn new(transport: T) -> Self {
        Self(Grpc::new(transport))
    }

    /// Sends one request.
    pub async fn create_certificate(
        &mut self,
        request: Request<IstioCertificateRequest>,
    ) -> Result<IstioCertificateResponse, Status> {
        self.0.ready().await.map_err(|error| {
            let error: StdError = error.into();
            Status::unavailable(with_causes(error.as_ref()))
        })?;
        let reply = self
            .0
            .unary(
                request,
                PathAndQuery::from_static(CREATE_CERTIFICATE),
                tonic_prost::ProstCodec::default(),
            )
            .await?;
        Ok(reply.into_inner())
    }
}

/// An error and what caused it, in one line: tonic's own text is only `transport error`.
fn with_causes(error: &(dyn std::error::Error + 'static)) -> String {
    let mut line = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        line.push_str(": ");
        line.push_str(&error.to_string());
        cause = error.source();
    }
    line
}
