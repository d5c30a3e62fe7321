//! The port under test: authority, tokens and Pods as the control plane joins them, on loopback.

use std::{
    collections::BTreeMap,
    error::Error,
    fs,
    os::unix::fs::PermissionsExt,
    sync::{Arc, Mutex},
    time::{Duration, SystemTime},
};

use rcgen::KeyPair;
use rustls::{
    ClientConfig, RootCertStore, SupportedProtocolVersion,
    pki_types::{CertificateDer, ServerName, pem::PemObject},
    version::TLS13,
};
use sluice_ads::Peer;
use sluice_identity::{
    WorkloadNames,
    client::{CertificateClient, ControlPlane, Credential},
    csr::{self, ProvenKey},
    server::{CertificateServer, CertificateService},
    wire::{IstioCertificateRequest, IstioCertificateResponse},
};
use sluice_plan::identity::{ClassId, SpiffeId};
use sluice_runtime::{
    ca::{
        Authority,
        service::{Issuing, Workloads},
        serving::ServingCertificate,
    },
    tls::{Incoming, server_config},
    tokens::{Caller, Tokens},
};
use tempfile::TempDir;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::client::TlsStream;
use tokio_util::sync::{CancellationToken, DropGuard};
use tonic::{
    Request, Response, Status,
    transport::{Channel, Server},
};

pub(crate) const TOKEN: &str = "token-of-web-0";
pub(crate) const ANONYMOUS_LIFETIME: Duration = Duration::from_secs(4);
const SAN: &str = "sluice.sluice-system.svc";

/// A control plane's port that ends with the test.
pub(crate) struct Port {
    pub(crate) authority: Arc<Authority>,
    pub(crate) serving: Arc<ServingCertificate>,
    pods: Arc<Pods>,
    seen: Arc<Mutex<Option<Peer>>>,
    address: String,
    echo_address: String,
    dir: TempDir,
    _stop: DropGuard,
}

impl Port {
    pub(crate) async fn start() -> Self {
        Self::start_with_serving_lifetime(Duration::from_secs(3600)).await
    }

    pub(crate) async fn start_with_serving_lifetime(lifetime: Duration) -> Self {
        let now = SystemTime::now();
        let dir = tempfile::tempdir().unwrap();
        let state = dir.path().join("state");
        let authority = Arc::new(Authority::from_state_dir(&state, "cluster.local", now).unwrap());
        let serving = ServingCertificate::with_lifetime(
            Arc::clone(&authority),
            SpiffeId::new("cluster.local", "sluice-system", "sluice").unwrap(),
            vec![SAN.to_owned()],
            lifetime,
            now,
        )
        .unwrap();
        let tokens = dir.path().join("tokens");
        write_private(&tokens, &format!("{TOKEN},shop,checkout,web-0\n"));
        let pods = Arc::new(Pods::default());
        let issuing = Issuing::new(
            Arc::clone(&authority),
            Arc::new(Tokens::read(&tokens).unwrap()),
            Arc::<Pods>::clone(&pods),
        );
        let seen = Arc::new(Mutex::new(None));
        let stop = CancellationToken::new();

        let address = serve(&authority, &serving, issuing, &stop).await;
        let echo_address = serve(&authority, &serving, Seeing(Arc::clone(&seen)), &stop).await;
        tokio::spawn(Arc::clone(&serving).keep_renewed(stop.clone()));
        Self {
            authority,
            serving,
            pods,
            seen,
            address,
            echo_address,
            dir,
            _stop: stop.drop_guard(),
        }
    }

    pub(crate) fn plane(&self) -> ControlPlane {
        ControlPlane {
            address: self.address.clone(),
            roots_pem: self.authority.roots_pem(),
            san: SAN.to_owned(),
        }
    }

    /// What the Pod is called now.
    pub(crate) fn names(&self) -> WorkloadNames {
        self.pods.names(&web_0()).unwrap()
    }

    pub(crate) fn relabel(&self, key: &str, value: &str) {
        let mut pod = self.pods.0.lock().unwrap();
        let labels = &mut pod.as_mut().unwrap().labels;
        labels.insert(key.to_owned(), value.to_owned());
    }

    pub(crate) fn recreate_pod(&self, uid: &str) {
        self.pods.0.lock().unwrap().as_mut().unwrap().uid = uid.to_owned();
    }

    pub(crate) fn delete_pod(&self) {
        *self.pods.0.lock().unwrap() = None;
    }

    pub(crate) fn write_tokens(&self, text: &str) {
        write_private(&self.dir.path().join("tokens"), text);
    }

    /// A certificate of the Pod as if issued at `when`, and its key.
    pub(crate) fn certificate_made(&self, when: SystemTime) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let proven = ProvenKey::from_request(&csr::request(&key).unwrap()).unwrap();
        let chain = self
            .authority
            .certify(&self.names(), &proven, None, when)
            .unwrap();
        let mut reply = chain.reply(&self.authority);
        reply.pop();
        (reply.concat(), key.serialize_pem())
    }

    /// A channel to the service that only looks who calls.
    pub(crate) fn connect(
        &self,
        credential: Credential<'_>,
    ) -> (Channel, Arc<Mutex<Option<Peer>>>) {
        let plane = ControlPlane {
            address: self.echo_address.clone(),
            ..self.plane()
        };
        (plane.channel(credential).unwrap(), Arc::clone(&self.seen))
    }

    pub(crate) async fn who_am_i(&self, credential: Credential<'_>) -> Result<Peer, Status> {
        ask(&self.connect(credential)).await
    }

    /// What a new connection is shown.
    pub(crate) async fn serving_certificate(&self) -> Vec<u8> {
        let stream = self.anonymous(self.client_config(&TLS13)).await;
        stream.get_ref().1.peer_certificates().unwrap()[0].to_vec()
    }

    /// A client of this version without certificate, which would resume sessions if it were let.
    pub(crate) fn client_config(
        &self,
        version: &'static SupportedProtocolVersion,
    ) -> Arc<ClientConfig> {
        let mut roots = RootCertStore::empty();
        let root = self.authority.roots_pem();
        let root = CertificateDer::from_pem_slice(root.as_bytes()).unwrap();
        roots.add(root).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[version])
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        Arc::new(config)
    }

    /// A bare TLS connection.
    pub(crate) async fn anonymous(&self, config: Arc<ClientConfig>) -> TlsStream<TcpStream> {
        let stream = TcpStream::connect(&self.address).await.unwrap();
        let name = ServerName::try_from(SAN).unwrap();
        let connector = tokio_rustls::TlsConnector::from(config);
        connector.connect(name, stream).await.unwrap()
    }
}

/// One call over a channel; the peer that the service saw.
pub(crate) async fn ask(
    (channel, seen): &(Channel, Arc<Mutex<Option<Peer>>>),
) -> Result<Peer, Status> {
    let request = Request::new(IstioCertificateRequest::default());
    CertificateClient::new(channel.clone())
        .create_certificate(request)
        .await?;
    Ok(seen.lock().unwrap().take().unwrap())
}

/// An error and all its causes.
pub(crate) fn lines(error: &dyn Error) -> String {
    let cause = error.source().map(lines).unwrap_or_default();
    format!("{error} {error:?}\n{cause}")
}

async fn serve(
    authority: &Authority,
    serving: &Arc<ServingCertificate>,
    service: impl CertificateService,
    stop: &CancellationToken,
) -> String {
    let certificate = Arc::<ServingCertificate>::clone(serving);
    let config = server_config(authority, certificate).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let incoming = Incoming::new(listener, config).with_anonymous_lifetime(ANONYMOUS_LIFETIME);
    let stopped = stop.clone().cancelled_owned();
    tokio::spawn(
        Server::builder()
            .add_service(CertificateServer::new(service))
            .serve_with_incoming_shutdown(incoming, stopped),
    );
    address
}

fn write_private(path: &std::path::Path, text: &str) {
    fs::write(path, text).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
}

fn web_0() -> Caller {
    Caller {
        namespace: "shop".to_owned(),
        service_account: "checkout".to_owned(),
        pod: "web-0".to_owned(),
        uid: None,
    }
}

/// The one Pod, as its object says.
struct Pods(Mutex<Option<Pod>>);

struct Pod {
    labels: BTreeMap<String, String>,
    uid: String,
}

impl Default for Pods {
    fn default() -> Self {
        Self(Mutex::new(Some(Pod {
            labels: BTreeMap::from([("tier".to_owned(), "front".to_owned())]),
            uid: "7f6c2a52-3a5e-4a0e-9b0f-0d3c9b1f2a11".to_owned(),
        })))
    }
}

impl Workloads for Pods {
    fn names(&self, caller: &Caller) -> Result<WorkloadNames, Status> {
        let pod = self.0.lock().unwrap();
        let pod = pod
            .as_ref()
            .filter(|_| caller.pod == "web-0")
            .ok_or_else(|| Status::permission_denied("no such pod"))?;
        let labels = pod.labels.iter();
        let class = ClassId::of("shop", "checkout", labels.map(|(k, v)| (&**k, &**v)));
        let spiffe = SpiffeId::new("cluster.local", "shop", "checkout").unwrap();
        Ok(WorkloadNames::new(spiffe, Some(class), Some("web-0"), Some(&pod.uid)).unwrap())
    }
}

/// A service on the port that keeps what it sees of its caller, as the xDS server does.
struct Seeing(Arc<Mutex<Option<Peer>>>);

#[tonic::async_trait]
impl CertificateService for Seeing {
    async fn create_certificate(
        &self,
        request: Request<IstioCertificateRequest>,
    ) -> Result<Response<IstioCertificateResponse>, Status> {
        *self.0.lock().unwrap() = request.extensions().get::<Peer>().cloned();
        Ok(Response::new(IstioCertificateResponse::default()))
    }
}
