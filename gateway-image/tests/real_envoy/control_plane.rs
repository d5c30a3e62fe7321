//! A control plane of two real parts: the ADS server and Istio's certificate service, on one mTLS port.

use std::{
    net::SocketAddr,
    path::PathBuf,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::SeqCst},
    },
    time::{Duration, SystemTime},
};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use sluice_ads::{
    AdsServer, Node, Observer, Peer, Resource, ResourceSet, Snapshots, StreamInfo, Subscription,
    TypeUrl,
};
use sluice_identity::{
    WorkloadNames,
    certificate::{Contents, Validity, leaf_params, workload_params},
    csr::ProvenKey,
    server::{CertificateServer, CertificateService},
    wire::{IstioCertificateRequest, IstioCertificateResponse},
};
use tempfile::TempDir;
use tokio::{net::TcpListener, runtime::Runtime, sync::watch};
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{
    Request, Response, Status,
    service::interceptor::InterceptorLayer,
    transport::{Certificate, Identity, Server, ServerTlsConfig},
};

pub(crate) const SAN: &str = "sluice.sluice-system.svc";
pub(crate) const TOKEN: &str = "good-token";
const WORKLOAD: &str = "spiffe://cluster.local/ns/shop/sa/checkout";

/// A running control plane; it ends with this value.
pub(crate) struct ControlPlane {
    pub(crate) address: SocketAddr,
    pub(crate) state: Arc<State>,
    files: TempDir,
    _runtime: Runtime,
}

/// What a test may change and see.
pub(crate) struct State {
    root: CertifiedIssuer<'static, KeyPair>,
    sets: watch::Sender<Arc<ResourceSet>>,
    /// While closed, streams are refused.
    pub(crate) open: AtomicBool,
    /// While closed, tokens are refused.
    pub(crate) takes_tokens: AtomicBool,
    /// Seconds that certificates live.
    pub(crate) lifetime_s: AtomicU64,
    pub(crate) issued_by_token: AtomicU32,
    pub(crate) issued_by_certificate: AtomicU32,
    /// Node ids with the URI of the certificate that they came with.
    pub(crate) streams: Mutex<Vec<(String, String)>>,
    pub(crate) rejections: Mutex<Vec<String>>,
}

impl ControlPlane {
    pub(crate) fn start() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let root = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let state = Arc::new(State {
            root,
            sets: watch::Sender::default(),
            open: true.into(),
            takes_tokens: true.into(),
            lifetime_s: 3600.into(),
            issued_by_token: 0.into(),
            issued_by_certificate: 0.into(),
            streams: Mutex::default(),
            rejections: Mutex::default(),
        });
        let files = tempfile::tempdir().unwrap();
        std::fs::write(files.path().join("root.pem"), state.root.pem()).unwrap();
        std::fs::write(files.path().join("token"), format!("{TOKEN}\n")).unwrap();

        let runtime = Runtime::new().unwrap();
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap();
        runtime.spawn(serve(listener, state.clone()));
        Self {
            address,
            state,
            files,
            _runtime: runtime,
        }
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.files.path().join(name)
    }

    /// Puts these resources in place of the last ones.
    pub(crate) fn publish(&self, resources: impl IntoIterator<Item = (TypeUrl, Resource)>) {
        let resources = resources
            .into_iter()
            .map(|(kind, resource)| (kind, Arc::new(resource)));
        self.state
            .sets
            .send_replace(Arc::new(ResourceSet::new(resources).unwrap()));
    }

    /// A certificate for the server `name` and its key, PEM.
    pub(crate) fn server_certificate(&self, name: &str) -> (String, String) {
        self.state.server_certificate(name)
    }

    pub(crate) fn assert_nothing_rejected(&self) {
        assert_eq!(*self.state.rejections.lock().unwrap(), Vec::<String>::new());
    }
}

async fn serve(listener: TcpListener, state: Arc<State>) {
    let (chain, key) = state.server_certificate(SAN);
    let tls = ServerTlsConfig::new()
        .identity(Identity::from_pem(chain, key))
        .client_ca_root(Certificate::from_pem(state.root.pem()))
        .client_auth_optional(true);
    Server::builder()
        .tls_config(tls)
        .unwrap()
        .layer(InterceptorLayer::new(with_peer))
        .add_service(AdsServer::new(state.clone(), state.clone()).into_service())
        .add_service(CertificateServer::new(Authority(state)))
        .serve_with_incoming(TcpListenerStream::new(listener))
        .await
        .unwrap();
}

fn with_peer(mut request: Request<()>) -> Result<Request<()>, Status> {
    let mut peer = Peer::default();
    if let Some(leaf) = request
        .peer_certs()
        .as_deref()
        .and_then(|chain| chain.first())
    {
        let contents = Contents::read(leaf).unwrap();
        peer.uri_sans = contents.uris;
        peer.dns_sans = contents.dns_names;
        peer.not_after = Some(contents.validity.not_after);
    }
    request.extensions_mut().insert(peer);
    Ok(request)
}

impl State {
    fn server_certificate(&self, name: &str) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let validity = validity(Duration::from_secs(3600));
        let uri = "spiffe://cluster.local/ns/sluice-system/sa/sluice";
        let params = leaf_params(uri, &[name.to_owned()], validity, [7; 16]).unwrap();
        (
            params.signed_by(&key, &self.root).unwrap().pem(),
            key.serialize_pem(),
        )
    }
}

fn validity(lifetime: Duration) -> Validity {
    let now = SystemTime::now();
    Validity {
        not_before: now - Duration::from_secs(120),
        not_after: now + lifetime,
    }
}

impl Snapshots for State {
    fn subscribe(&self, peer: &Peer, node: &Node) -> Result<Subscription, Status> {
        if !self.open.load(SeqCst) {
            return Err(Status::unavailable("the test has closed the door"));
        }
        let uri = peer
            .uri_sans
            .first()
            .ok_or_else(|| Status::unauthenticated("no certificate"))?;
        self.streams
            .lock()
            .unwrap()
            .push((node.id.clone(), uri.clone()));
        Ok(Subscription::new(&*node.id, self.sets.subscribe()))
    }
}

impl Observer for State {
    fn nacked(&self, _: &StreamInfo, kind: TypeUrl, _: u64, _: &[Arc<str>], message: &str) {
        self.rejections
            .lock()
            .unwrap()
            .push(format!("{kind}: {message}"));
    }
}

struct Authority(Arc<State>);

#[tonic::async_trait]
impl CertificateService for Authority {
    async fn create_certificate(
        &self,
        request: Request<IstioCertificateRequest>,
    ) -> Result<Response<IstioCertificateResponse>, Status> {
        let state = &self.0;
        let token = request
            .metadata()
            .get("authorization")
            .map(|value| value.to_str().unwrap());
        let by_certificate = request
            .extensions()
            .get::<Peer>()
            .is_some_and(|peer| !peer.uri_sans.is_empty());
        let counter = match token {
            Some(token)
                if token == format!("Bearer {TOKEN}") && state.takes_tokens.load(SeqCst) =>
            {
                &state.issued_by_token
            }
            None if by_certificate => &state.issued_by_certificate,
            _ => return Err(Status::unauthenticated("unknown token")),
        };
        let number = counter.fetch_add(1, SeqCst);
        let key = ProvenKey::from_request(&request.get_ref().csr).unwrap();
        let names = WorkloadNames::from_sans([WORKLOAD], []).unwrap();
        let lifetime = Duration::from_secs(state.lifetime_s.load(SeqCst));
        let mut serial = [1; 16];
        serial[12..].copy_from_slice(&number.to_be_bytes());
        let leaf = workload_params(&names, validity(lifetime), serial).signed_by(&key, &state.root);
        let cert_chain = vec![leaf.unwrap().pem(), state.root.pem()];
        Ok(Response::new(IstioCertificateResponse { cert_chain }))
    }
}
