//! The workload's certificate: asked for, checked, served, renewed at half life.
//!
//! Enter at [`keep`]. The key is made here and leaves this process over the pod-local SDS socket
//! only. Who we are is proven by the token, read afresh from its file each time; where that fails,
//! by the present certificate. A renewal makes a new key and cuts no connection.

mod schedule;
pub(crate) mod trust;

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, SystemTime},
};

use rcgen::KeyPair;
use sluice_identity::client::{ClientError, ControlPlane, Credential, Issued, request_certificate};
use tokio::{fs, sync::watch};
use tonic::Code;
use tracing::{info, warn};

use crate::{
    backoff::Backoff,
    config::Config,
    errors::with_causes,
    secrets::{DEFAULT, PrivateKey, Secret, Store},
};

/// A certificate with its key.
struct Held {
    issued: Issued,
    key_pem: PrivateKey,
}

/// What readiness and the trust store need to know of the certificate.
#[derive(Clone, Debug)]
pub(crate) struct Present {
    /// The last moment of its validity.
    pub(crate) not_after: SystemTime,
    /// The roots that came with it, PEM.
    pub(crate) roots_pem: Arc<str>,
}

/// Why there is no (new) certificate.
#[derive(Debug, thiserror::Error)]
enum IdentityError {
    /// A file that the pod must mount.
    #[error("{what} {}: {source}", path.display())]
    File {
        what: &'static str,
        path: PathBuf,
        source: io::Error,
    },
    /// The control plane does not answer, or says no.
    #[error("control plane {address}: {}", with_causes(source))]
    ControlPlane {
        address: String,
        source: ClientError,
    },
    /// The same, and it is the token that it does not like.
    #[error("control plane {address} refuses the token of {}: {message}", path.display())]
    Token {
        address: String,
        path: PathBuf,
        message: String,
    },
    /// The token belongs to another workload than the options say.
    #[error(
        "the certificate is for {got}, but this pod is configured as {expected}: \
         check the token file, --pod-namespace, --service-account and --trust-domain"
    )]
    OtherName { got: String, expected: String },
    /// Does not happen: P-256 from the system's randomness.
    #[error("cannot make a key: {0}")]
    Key(#[from] rcgen::Error),
}

/// Keeps the secret `default` of `store` fresh, for ever.
pub(crate) async fn keep(
    config: Arc<Config>,
    store: Arc<Store>,
    present: watch::Sender<Option<Present>>,
) {
    let mut backoff = Backoff::new(Duration::from_millis(500), Duration::from_secs(10));
    let mut held = None;
    loop {
        match obtain(&config, held.as_ref()).await {
            Ok(new) => {
                backoff.reset();
                let now = SystemTime::now();
                let renewal =
                    schedule::renewal(now, new.issued.validity.not_after, schedule::jitter());
                publish(&new, &store, &present);
                info!(
                    identity = new.issued.names.uri(),
                    valid_for = ?left(new.issued.validity.not_after, now),
                    renewal_in = ?left(renewal, now),
                    "obtained certificate"
                );
                held = Some(new);
                schedule::sleep_until(renewal).await;
            }
            Err(error) => {
                let pause = backoff.next();
                let valid_for = held
                    .as_ref()
                    .map(|held| left(held.issued.validity.not_after, SystemTime::now()));
                warn!(%error, retry_in = ?pause, ?valid_for, "obtained no certificate");
                tokio::time::sleep(pause).await;
            }
        }
    }
}

fn publish(new: &Held, store: &Store, present: &watch::Sender<Option<Present>>) {
    let secret = Secret::Certificate {
        chain_pem: new.issued.chain_pem.clone(),
        key_pem: new.key_pem.clone(),
    };
    store.set(DEFAULT, secret);
    present.send_replace(Some(Present {
        not_after: new.issued.validity.not_after,
        roots_pem: new.issued.roots_pem.as_str().into(),
    }));
}

/// A certificate over a new key: by the token, else by the certificate that is `held`.
async fn obtain(config: &Config, held: Option<&Held>) -> Result<Held, IdentityError> {
    let control_plane = ControlPlane {
        address: config.control_plane.to_string(),
        roots_pem: read("root certificate", &config.root_cert).await?,
        san: config.control_plane.san.clone(),
    };
    let key = KeyPair::generate()?;
    let by_token = async {
        let token = read("token file", &config.token_file).await?;
        let issued =
            request_certificate(&control_plane, Credential::Token(&token), &key, None).await;
        issued.map_err(|source| refusal(config, source))
    };
    let issued = match (by_token.await, held) {
        (Err(error @ (IdentityError::Token { .. } | IdentityError::File { .. })), Some(held)) => {
            warn!(%error, "asking with the present certificate instead");
            let credential = Credential::Certificate {
                chain_pem: &held.issued.chain_pem,
                key_pem: held.key_pem.reveal(),
            };
            let issued = request_certificate(&control_plane, credential, &key, None).await;
            issued.map_err(|source| IdentityError::ControlPlane {
                address: control_plane.address,
                source,
            })?
        }
        (outcome, _) => outcome?,
    };
    let (got, expected) = (issued.names.uri(), config.spiffe_id());
    if got != expected {
        return Err(IdentityError::OtherName { got, expected });
    }
    Ok(Held {
        issued,
        key_pem: PrivateKey::new(key.serialize_pem()),
    })
}

fn refusal(config: &Config, source: ClientError) -> IdentityError {
    let address = config.control_plane.to_string();
    match &source {
        ClientError::Refused(status)
            if matches!(
                status.code(),
                Code::Unauthenticated | Code::PermissionDenied
            ) =>
        {
            IdentityError::Token {
                address,
                path: config.token_file.clone(),
                message: status.message().to_owned(),
            }
        }
        _ => IdentityError::ControlPlane { address, source },
    }
}

async fn read(what: &'static str, path: &Path) -> Result<String, IdentityError> {
    let read = fs::read_to_string(path).await;
    read.map_err(|source| IdentityError::File {
        what,
        path: path.to_owned(),
        source,
    })
}

/// For people: in whole seconds.
fn left(until: SystemTime, now: SystemTime) -> Duration {
    Duration::from_secs(until.duration_since(now).unwrap_or_default().as_secs())
}
