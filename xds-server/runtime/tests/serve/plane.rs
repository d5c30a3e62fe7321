//! A control plane of the test's own, with two Pods and their tokens.

use std::{
    fs,
    net::SocketAddr,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    time::Duration,
};

use rcgen::KeyPair;
use sluice_identity::client::{
    ClientError, ControlPlane as Remote, Credential, request_certificate,
};
use sluice_runtime::{
    serve::{Config, ControlPlane, ServeError},
    watch::files::Options,
};
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    task::JoinHandle,
    time::timeout,
};
use tokio_util::sync::{CancellationToken, DropGuard};
use tonic::transport::Channel;

const SAN: &str = "sluice.sluice-system.svc";
const ROOT_NAMESPACE: &str = "istio-system";

/// A Pod and its token.
pub(crate) struct Workload {
    namespace: &'static str,
    service_account: &'static str,
    pod: &'static str,
    token: &'static str,
}

pub(crate) const SIDECAR: Workload = Workload {
    namespace: "shop",
    service_account: "checkout",
    pod: "web-0",
    token: "token-of-web-0",
};

pub(crate) const GATEWAY: Workload = Workload {
    namespace: ROOT_NAMESPACE,
    service_account: "istio-egressgateway",
    pod: "egress-0",
    token: "token-of-egress-0",
};

impl Workload {
    pub(crate) fn node(&self, role: &str) -> String {
        let Self { namespace, pod, .. } = self;
        format!("{role}~127.0.0.1~{pod}.{namespace}~{namespace}.svc.cluster.local")
    }

    pub(crate) fn pod(&self, labels: &str) -> String {
        let Self {
            namespace,
            service_account,
            pod,
            ..
        } = self;
        format!(
            "apiVersion: v1\nkind: Pod\nmetadata:\n  name: {pod}\n  namespace: {namespace}\n  \
             labels: {{{labels}}}\nspec:\n  serviceAccountName: {service_account}\n\
             status:\n  podIP: 127.0.0.1\n"
        )
    }
}

/// A certificate and its key.
#[derive(Debug)]
pub(crate) struct Certificate {
    chain_pem: String,
    key_pem: String,
}

/// A control plane that ends with the test.
pub(crate) struct Plane {
    dir: TempDir,
    listen: SocketAddr,
    admin: SocketAddr,
    served: JoinHandle<Result<(), ServeError>>,
    stop: DropGuard,
}

impl Plane {
    pub(crate) async fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("config")).unwrap();
        write(dir.path(), "web-0.yaml", &SIDECAR.pod("tier: front"));
        write(
            dir.path(),
            "egress-0.yaml",
            &GATEWAY.pod("istio: egressgateway"),
        );
        write(
            dir.path(),
            "mesh.yaml",
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: istio, namespace: istio-system}\n\
             data:\n  mesh: |\n    sluice:\n      identityLabels: [tier]\n",
        );
        let config = config(dir.path(), dir.path().join("config"));
        let stop = CancellationToken::new();
        let plane = ControlPlane::start(config, stop.clone()).await.unwrap();
        let (listen, admin) = (plane.listen, plane.admin);
        let served = tokio::spawn(plane.run());
        Self {
            dir,
            listen,
            admin,
            served,
            stop: stop.drop_guard(),
        }
    }

    pub(crate) async fn try_start_at(config_dir: &str) -> Result<(), ServeError> {
        let dir = tempfile::tempdir().unwrap();
        let config = config(dir.path(), PathBuf::from(config_dir));
        ControlPlane::start(config, CancellationToken::new())
            .await
            .map(drop)
    }

    /// Tells it to stop, and waits until it has.
    pub(crate) async fn stop(self) -> Result<(), ServeError> {
        drop(self.stop);
        soon(self.served).await.unwrap()
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        write(self.dir.path(), name, text);
    }

    pub(crate) fn remove(&self, name: &str) {
        fs::remove_file(self.dir.path().join("config").join(name)).unwrap();
    }

    pub(crate) async fn certificate_of(&self, workload: &Workload) -> Certificate {
        self.try_certificate_of(workload).await.unwrap()
    }

    pub(crate) async fn try_certificate_of(
        &self,
        workload: &Workload,
    ) -> Result<Certificate, ClientError> {
        let key = KeyPair::generate().unwrap();
        let token = Credential::Token(workload.token);
        let issued = request_certificate(&self.remote(), token, &key, None).await?;
        Ok(Certificate {
            chain_pem: issued.chain_pem,
            key_pem: key.serialize_pem(),
        })
    }

    pub(crate) async fn channel_of(&self, workload: &Workload) -> Channel {
        self.channel(&self.certificate_of(workload).await)
    }

    pub(crate) fn channel(&self, certificate: &Certificate) -> Channel {
        self.remote()
            .channel(Credential::Certificate {
                chain_pem: &certificate.chain_pem,
                key_pem: &certificate.key_pem,
            })
            .unwrap()
    }

    pub(crate) fn channel_without_certificate(&self) -> Channel {
        self.remote().channel(Credential::Token("unused")).unwrap()
    }

    /// Status and body.
    pub(crate) async fn get(&self, path: &str) -> (u16, String) {
        let mut stream = TcpStream::connect(self.admin).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nhost: admin\r\nconnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut reply = String::new();
        soon(stream.read_to_string(&mut reply)).await.unwrap();
        let (head, body) = reply.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        (status, body.to_owned())
    }

    fn remote(&self) -> Remote {
        let root = self.dir.path().join("state").join("root-cert.pem");
        Remote {
            address: self.listen.to_string(),
            roots_pem: fs::read_to_string(root).unwrap(),
            san: SAN.to_owned(),
        }
    }
}

/// What takes longer hangs.
pub(crate) async fn soon<T>(future: impl Future<Output = T>) -> T {
    timeout(Duration::from_secs(20), future)
        .await
        .expect("it answers in time")
}

pub(crate) fn service_entry(name: &str, host: &str) -> String {
    format!(
        "apiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata:\n  name: {name}\n  \
         namespace: shop\nspec:\n  hosts: [{host}]\n  ports:\n  \
         - {{number: 443, name: tls, protocol: TLS}}\n  resolution: DNS\n"
    )
}

fn config(dir: &Path, config_dir: PathBuf) -> Config {
    let token_file = dir.join("tokens");
    let line = |w: &Workload| {
        format!(
            "{},{},{},{}\n",
            w.token, w.namespace, w.service_account, w.pod
        )
    };
    fs::write(&token_file, line(&SIDECAR) + &line(&GATEWAY)).unwrap();
    fs::set_permissions(&token_file, fs::Permissions::from_mode(0o600)).unwrap();
    Config {
        files: Options {
            roots: vec![config_dir],
            ..Options::default()
        },
        token_file,
        state_dir: dir.join("state"),
        cacerts: None,
        listen: "127.0.0.1:0".parse().unwrap(),
        admin: "127.0.0.1:0".parse().unwrap(),
        dns_names: vec![SAN.to_owned()],
    }
}

fn write(dir: &Path, name: &str, text: &str) {
    fs::write(dir.join("config").join(name), text).unwrap();
}
