//! The control plane as one process: what `sluice serve` runs.
//!
//! Order matters at the start. Configuration is read first: without a readable source, or without
//! the trust domain, nothing is served. Then the CA, the sockets, and last the tasks, all of them
//! under one [`Supervisor`].

use std::{
    net::SocketAddr,
    path::PathBuf,
    sync::Arc,
    time::{Duration, SystemTime},
};

use sluice_ads::AdsServer;
use sluice_identity::{
    server::{CertificateServer, CertificateService},
    wire::{IstioCertificateRequest, IstioCertificateResponse},
};
use sluice_plan::identity::{IdentityError, SpiffeId};
use tokio::{net::TcpListener, sync::mpsc, task::spawn_blocking};
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status, transport::Server};
use tracing::{info, warn};

use crate::{
    admin,
    ca::{Authority, CaError, service::Issuing, serving::ServingCertificate},
    metrics::Metrics,
    publish::{self, Publisher},
    streams::Streams,
    supervisor::{Failure, Supervisor},
    tls::{Incoming, server_config},
    tokens::{TokenFileError, Tokens},
    watch::files::{self, Files},
};

/// What to serve, and where.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where objects come from.
    pub files: files::Options,
    /// Which tokens prove which Pods.
    pub token_file: PathBuf,
    /// Where the CA's root is kept.
    pub state_dir: PathBuf,
    /// An Istio-format `cacerts` directory, instead of a root of our own.
    pub cacerts: Option<PathBuf>,
    /// Where proxies connect: xDS and certificates over mTLS.
    pub listen: SocketAddr,
    /// Where health, metrics and dumps are served, in plain HTTP.
    pub admin: SocketAddr,
    /// The names that proxies check in our certificate.
    pub dns_names: Vec<String>,
}

/// Namespace and service account of the control plane's own identity.
const IDENTITY: (&str, &str) = ("sluice-system", "sluice");

/// Notices a dead proxy, and keeps middleboxes from forgetting a quiet stream.
const KEEPALIVE: Duration = Duration::from_secs(30);

/// Why the control plane does not start, or stops.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// No configuration at all: a wrong path as a rule.
    #[error("cannot read {}: {cause}", path.display())]
    Source {
        /// What was to be read.
        path: PathBuf,
        /// Why not.
        #[source]
        cause: std::io::Error,
    },
    /// The mesh config's trust domain cannot stand in a SPIFFE id.
    #[error("mesh config: trustDomain")]
    TrustDomain(#[from] IdentityError),
    /// No authority.
    #[error("certificate authority")]
    Ca(#[from] CaError),
    /// No tokens.
    #[error(transparent)]
    Tokens(#[from] TokenFileError),
    /// The TLS configuration is refused.
    #[error("TLS configuration")]
    Tls(#[from] rustls::Error),
    /// A port is taken, or not ours to take.
    #[error("cannot listen on {address}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why not.
        #[source]
        cause: std::io::Error,
    },
    /// A task ended that should not have.
    #[error(transparent)]
    Task(#[from] Failure),
}

/// The control plane, started.
pub struct ControlPlane {
    supervisor: Supervisor,
    /// Where proxies connect.
    pub listen: SocketAddr,
    /// Where the admin port is.
    pub admin: SocketAddr,
}

/// Serves until `stop`.
pub async fn serve(config: Config, stop: CancellationToken) -> Result<(), ServeError> {
    ControlPlane::start(config, stop).await?.run().await
}

impl ControlPlane {
    /// Reads all configuration, takes the ports and starts serving, until `stop`.
    pub async fn start(config: Config, stop: CancellationToken) -> Result<Self, ServeError> {
        check_sources(&config.files)?;
        let metrics = Arc::new(Metrics::default());
        let publisher = Arc::new(Publisher::new(metrics.clone()));
        let tokens = Tokens::read(&config.token_file)?;
        let files = read_all(config.files.clone(), &publisher).await;

        let trust_domain = publisher.catalog().mesh().trust_domain.clone();
        let authority = Arc::new(authority(&config, &trust_domain)?);
        let (namespace, service_account) = IDENTITY;
        let certificate = ServingCertificate::new(
            authority.clone(),
            SpiffeId::new(&trust_domain, namespace, service_account)?,
            config.dns_names.clone(),
            SystemTime::now(),
        )?;
        let tls = server_config(&authority, certificate.clone())?;
        let (proxies, listen) = bind(config.listen).await?;
        let (admin_listener, admin) = bind(config.admin).await?;

        let mut supervisor = Supervisor::new(stop);
        let (feed, updates) = mpsc::channel(1);
        let stop = || supervisor.stop();
        let source = files::watch(files, feed, stop());
        let publish = publish::run(publisher.clone(), updates, stop());
        let renewal = certificate.keep_renewed(stop());
        let admin_server = admin::serve(admin_listener, publisher.clone(), metrics.clone(), stop());
        let issuing = Counted {
            inner: Issuing::new(authority, Arc::new(tokens), publisher.clone()),
            metrics: metrics.clone(),
        };
        let streams = Arc::new(Streams::new(metrics, publisher.clone()));
        let server = Server::builder()
            .http2_keepalive_interval(Some(KEEPALIVE))
            .http2_keepalive_timeout(Some(KEEPALIVE))
            .add_service(AdsServer::new(publisher, streams).into_service())
            .add_service(CertificateServer::new(issuing))
            .serve_with_incoming_shutdown(Incoming::new(proxies, tls), stop().cancelled_owned());

        supervisor.spawn("file source", source);
        supervisor.spawn("publisher", publish);
        supervisor.spawn("certificate renewal", renewal);
        supervisor.spawn_fallible("admin server", admin_server);
        supervisor.spawn_fallible("xDS server", server);
        info!(%listen, %admin, trust_domain, "serving");
        Ok(Self {
            supervisor,
            listen,
            admin,
        })
    }

    /// Serves on, until told to stop or a part of it fails.
    pub async fn run(self) -> Result<(), ServeError> {
        Ok(self.supervisor.run().await?)
    }
}

/// A path that does not exist at the start is a mistake; one that vanishes later is an incident.
fn check_sources(options: &files::Options) -> Result<(), ServeError> {
    for path in options.roots.iter().chain(&options.mesh_config) {
        std::fs::metadata(path).map_err(|cause| ServeError::Source {
            path: path.clone(),
            cause,
        })?;
    }
    Ok(())
}

async fn read_all(options: files::Options, publisher: &Arc<Publisher>) -> Files {
    let publisher = publisher.clone();
    let read = spawn_blocking(move || {
        let mut files = Files::new(options);
        let scan = files.scan(SystemTime::now());
        publisher.apply(scan.update.unwrap_or_default());
        files
    });
    read.await.unwrap_or_else(|error| {
        // As if it had happened here.
        std::panic::resume_unwind(error.into_panic())
    })
}

fn authority(config: &Config, trust_domain: &str) -> Result<Authority, CaError> {
    let now = SystemTime::now();
    match &config.cacerts {
        Some(dir) => Authority::from_cacerts(dir, now),
        None => Authority::from_state_dir(&config.state_dir, trust_domain, now),
    }
}

/// A listener, and its address, since port 0 becomes another.
async fn bind(address: SocketAddr) -> Result<(TcpListener, SocketAddr), ServeError> {
    let bound = async {
        let listener = TcpListener::bind(address).await?;
        let local = listener.local_addr()?;
        Ok((listener, local))
    };
    bound
        .await
        .map_err(|cause| ServeError::Listen { address, cause })
}

/// Counts what a certificate service answers.
struct Counted<T> {
    inner: T,
    metrics: Arc<Metrics>,
}

#[tonic::async_trait]
impl<T: CertificateService> CertificateService for Counted<T> {
    async fn create_certificate(
        &self,
        request: Request<IstioCertificateRequest>,
    ) -> Result<Response<IstioCertificateResponse>, Status> {
        let reply = self.inner.create_certificate(request).await;
        self.metrics.certificate(reply.is_ok());
        if let Err(status) = &reply {
            warn!(code = ?status.code(), error = status.message(), "refused a certificate");
        }
        reply
    }
}
