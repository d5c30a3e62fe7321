//! What one proxy is told about itself: parsed once, correct afterwards.
//!
//! [`Config`] has no defaults of its own; `cli` gives them, so that `--help` shows them.
//! Durations are wall-clock, addresses are those of the pod.

use std::{
    fmt,
    net::{IpAddr, SocketAddr},
    path::{Path, PathBuf},
    time::Duration,
};

/// Everything that a running proxy depends on.
#[derive(Clone, Debug)]
pub struct Config {
    /// Gateway or sidecar: the first word of the node id.
    pub role: Role,
    /// Where xDS and the certificate service answer.
    pub control_plane: ControlPlane,
    /// The workload that this proxy belongs to.
    pub pod: Pod,
    /// Trust domain of the mesh, `cluster.local` unless changed.
    pub trust_domain: String,
    /// The file with the bearer token; read afresh for every request.
    pub token_file: PathBuf,
    /// Roots that the control plane's certificate must chain to.
    pub root_cert: PathBuf,
    /// Sockets and the bootstrap live here. Never a key.
    pub run_dir: RunDir,
    /// Directories that `file-cert:` and `file-root:` names may reach. Empty: any.
    pub secret_roots: Vec<PathBuf>,
    /// How Envoy is run.
    pub envoy: Envoy,
    /// Where `/healthz/ready` and `/healthz/live` answer.
    pub health: SocketAddr,
    /// Where Envoy answers `/stats/prometheus`.
    pub metrics: SocketAddr,
}

/// Which half of the hop a proxy is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Receives tunnels and decides.
    Gateway,
    /// Captures a pod's connections and sends all of them to a gateway.
    Sidecar,
}

/// The control plane's address and the name that its certificate must carry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ControlPlane {
    /// DNS name or IP address.
    pub host: Host,
    /// The mTLS port, usually 15012.
    pub port: u16,
    /// The DNS SAN that is accepted, and no other.
    pub san: String,
}

/// A host as dialled: a name is resolved again and again, an address is not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Host {
    /// Resolved by DNS.
    Name(String),
    /// Dialled as it is.
    Address(IpAddr),
}

/// The workload that a proxy belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pod {
    /// Name of the Pod.
    pub name: String,
    /// Its namespace.
    pub namespace: String,
    /// Its first address.
    pub ip: IpAddr,
    /// Its service account.
    pub service_account: String,
}

/// How Envoy is run.
#[derive(Clone, Debug)]
pub struct Envoy {
    /// The binary.
    pub binary: PathBuf,
    /// Worker threads; 0 is one per core.
    pub concurrency: u32,
    /// How long open connections may go on after SIGTERM.
    pub drain_time: Duration,
    /// How long to go on after SIGTERM even without connections.
    pub minimum_drain_time: Duration,
    /// Envoy's own log level.
    pub log_level: String,
    /// NACK config with fields that this Envoy does not know. For tests.
    pub reject_unknown_dynamic_fields: bool,
    /// Connections beyond this many are refused at accept.
    pub max_connections: u64,
}

/// What is wrong with an option.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum ConfigError {
    /// Not `HOST:PORT`.
    #[error("control plane {0:?}: expected HOST:PORT, for example sluice.sluice-system.svc:15012")]
    ControlPlane(String),
    /// The kernel refuses longer paths of Unix sockets.
    #[error("run directory {}: too long, its sockets' paths must stay below 108 bytes", .0.display())]
    RunDirTooLong(PathBuf),
    /// A word that goes into a SPIFFE id or the node id.
    #[error("{what} {value:?}: expected a Kubernetes name (letters, digits, '-' and '.')")]
    Name {
        /// Which option.
        what: &'static str,
        /// What was given.
        value: String,
    },
}

impl ControlPlane {
    /// Parses `HOST:PORT`; IPv6 addresses stand in brackets.
    ///
    /// # Errors
    /// When there is no port or no host.
    pub fn parse(address: &str, san: &str) -> Result<Self, ConfigError> {
        let wrong = || ConfigError::ControlPlane(address.to_owned());
        let (host, port) = address.rsplit_once(':').ok_or_else(wrong)?;
        let port = port
            .parse()
            .ok()
            .filter(|port| *port != 0)
            .ok_or_else(wrong)?;
        let bracketed = host
            .strip_prefix('[')
            .and_then(|rest| rest.strip_suffix(']'));
        let host = match (bracketed, host.parse()) {
            (Some(inner), _) => Host::Address(IpAddr::V6(inner.parse().map_err(|_| wrong())?)),
            (None, Ok(IpAddr::V4(v4))) => Host::Address(v4.into()),
            (None, Ok(IpAddr::V6(_))) => return Err(wrong()),
            (None, Err(_)) if is_name(host) => Host::Name(host.to_owned()),
            (None, Err(_)) => return Err(wrong()),
        };
        Ok(Self {
            host,
            port,
            san: san.to_owned(),
        })
    }
}

impl fmt::Display for ControlPlane {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.host {
            Host::Address(IpAddr::V6(v6)) => write!(f, "[{v6}]:{}", self.port),
            host => write!(f, "{host}:{}", self.port),
        }
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::Address(address) => address.fmt(f),
        }
    }
}

impl Role {
    /// The first word of the node id, as Istio has it.
    #[must_use]
    pub fn node_type(self) -> &'static str {
        match self {
            Self::Gateway => "router",
            Self::Sidecar => "sidecar",
        }
    }
}

impl Config {
    /// `sidecar~IP~POD.NS~NS.svc.cluster.local`, as Istio has it.
    #[must_use]
    pub fn node_id(&self) -> String {
        let Pod {
            name,
            namespace,
            ip,
            ..
        } = &self.pod;
        let node_type = self.role.node_type();
        format!("{node_type}~{ip}~{name}.{namespace}~{namespace}.svc.cluster.local")
    }

    /// The SPIFFE id that this proxy expects to get.
    #[must_use]
    pub fn spiffe_id(&self) -> String {
        let Pod {
            namespace,
            service_account,
            ..
        } = &self.pod;
        format!(
            "spiffe://{}/ns/{namespace}/sa/{service_account}",
            self.trust_domain
        )
    }

    /// Checks the words that are put together into ids.
    ///
    /// # Errors
    /// When one of them could be read as two.
    pub fn checked(self) -> Result<Self, ConfigError> {
        let names = [
            ("pod name", &self.pod.name),
            ("pod namespace", &self.pod.namespace),
            ("service account", &self.pod.service_account),
            ("trust domain", &self.trust_domain),
            ("control plane SAN", &self.control_plane.san),
        ];
        for (what, value) in names {
            if !is_name(value) {
                return Err(ConfigError::Name {
                    what,
                    value: value.clone(),
                });
            }
        }
        Ok(self)
    }
}

/// The directory of the sockets and the bootstrap.
#[derive(Clone, Debug)]
pub struct RunDir(PathBuf);

impl RunDir {
    /// Refuses a path that would not fit a socket's address.
    ///
    /// # Errors
    /// When the longest socket path would be 108 bytes or more.
    pub fn new(path: &Path) -> Result<Self, ConfigError> {
        let dir = Self(path.to_owned());
        if dir.admin_socket().as_os_str().len() >= MAX_SOCKET_PATH {
            return Err(ConfigError::RunDirTooLong(path.to_owned()));
        }
        Ok(dir)
    }

    /// The directory itself.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Where Envoy's admin interface answers.
    #[must_use]
    pub fn admin_socket(&self) -> PathBuf {
        self.0.join("admin.sock")
    }

    /// Where this process serves secrets to its Envoy.
    #[must_use]
    pub fn sds_socket(&self) -> PathBuf {
        self.0.join("sds.sock")
    }

    /// Envoy's bootstrap, without secrets.
    #[must_use]
    pub fn bootstrap(&self) -> PathBuf {
        self.0.join("bootstrap.json")
    }

    /// Held while a `sluice-proxy` uses the directory.
    #[must_use]
    pub fn lock(&self) -> PathBuf {
        self.0.join("lock")
    }
}

fn is_name(value: &str) -> bool {
    let first = value
        .bytes()
        .next()
        .is_some_and(|byte| byte.is_ascii_alphanumeric());
    first
        && value
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_'))
}

/// `sun_path` of unix(7) holds 108 bytes with its closing zero.
const MAX_SOCKET_PATH: usize = 108;

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(address: &str) -> Option<String> {
        ControlPlane::parse(address, "sluice.sluice-system.svc")
            .ok()
            .map(|plane| plane.to_string())
    }

    #[test]
    fn control_plane_is_a_name_or_an_address_with_a_port() {
        for good in [
            "sluice.sluice-system.svc:15012",
            "10.96.0.10:15012",
            "[fd00::1]:15012",
        ] {
            assert_eq!(parsed(good).as_deref(), Some(good));
        }
        for bad in [
            "sluice",
            "sluice:",
            ":15012",
            "sluice:0",
            "fd00::1:15012",
            "[fd00::1:15012",
            "a b:1",
            "a:65536",
        ] {
            assert_eq!(parsed(bad), None, "{bad}");
        }
    }

    #[test]
    fn run_directory_must_leave_room_for_socket_names() {
        assert!(RunDir::new(Path::new("/run/sluice")).is_ok());
        let long = PathBuf::from(format!("/{}", "x".repeat(100)));
        assert_eq!(
            RunDir::new(&long).err(),
            Some(ConfigError::RunDirTooLong(long))
        );
    }

    #[test]
    fn names_cannot_smuggle_a_second_part_into_an_id() {
        for bad in ["", "a/b", "a~b", ".a", "a b", "a\n"] {
            assert!(!is_name(bad), "{bad:?}");
        }
        assert!(is_name("istio-egressgateway-service-account"));
    }
}
