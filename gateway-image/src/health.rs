//! `/healthz/ready` and `/healthz/live`, for kubelet.
//!
//! Ready is: the certificate is valid, Envoy is live, and it has accepted its first listeners and
//! clusters, so the pod's first connection finds what it needs.

use std::{
    io,
    net::SocketAddr,
    time::{Duration, SystemTime},
};

use axum::{Router, extract::State as Extract, http::StatusCode, routing::get};
use tokio::{net::TcpListener, sync::watch, time::timeout};
use tracing::{info, warn};

use crate::{
    envoy::{
        State,
        admin::{Admin, AdminError},
    },
    identity::Present,
};

/// Whether the proxy can serve, and if not, why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Readiness {
    /// It can.
    Ready,
    /// Not (yet, or any more).
    NotReady(String),
}

/// What readiness is made of.
pub(crate) struct Watcher {
    /// Envoy's process.
    pub(crate) envoy: watch::Receiver<State>,
    /// The certificate.
    pub(crate) present: watch::Receiver<Option<Present>>,
    /// Envoy's own word.
    pub(crate) admin: Admin,
}

impl Watcher {
    /// Keeps `readiness` up to date, for ever.
    pub(crate) async fn follow(mut self, readiness: watch::Sender<Readiness>) {
        // The start of Envoy that is known to have its first config. Asking for it means looking
        // through all statistics, so it is done only until it is so.
        let mut configured = None;
        loop {
            let now = self.look(&mut configured).await;
            readiness.send_if_modified(|before| {
                let changed = *before != now;
                match &now {
                    _ if !changed => {}
                    Readiness::Ready => info!("ready"),
                    Readiness::NotReady(reason) if *before == Readiness::Ready => {
                        warn!(reason, "not ready any more")
                    }
                    Readiness::NotReady(reason) => info!(reason, "not ready"),
                }
                *before = now;
                changed
            });
            let pause = if *readiness.borrow() == Readiness::Ready {
                SLOW
            } else {
                FAST
            };
            if let Ok(Err(_)) = timeout(pause, self.envoy.changed()).await {
                return;
            }
        }
    }

    async fn look(&mut self, configured: &mut Option<u64>) -> Readiness {
        let state = *self.envoy.borrow_and_update();
        let not_after = self
            .present
            .borrow()
            .as_ref()
            .map(|present| present.not_after);
        match not_after {
            None => return not("no certificate yet"),
            Some(not_after) if not_after <= SystemTime::now() => {
                return not("the certificate has expired");
            }
            Some(_) => {}
        }
        let start = match state {
            State::Down => return not("envoy is not running"),
            State::Draining => return not("draining"),
            State::Running(start) => start,
        };
        match self.ask_envoy(*configured == Some(start)).await {
            Ok(None) => {
                *configured = Some(start);
                Readiness::Ready
            }
            Ok(Some(reason)) => Readiness::NotReady(reason),
            Err(error) => Readiness::NotReady(error.to_string()),
        }
    }

    /// What Envoy lacks.
    async fn ask_envoy(&self, configured: bool) -> Result<Option<String>, AdminError> {
        let (status, text) = self.admin.get("/ready").await?;
        if !status.is_success() {
            return Ok(Some(format!("envoy is in state {}", text.trim())));
        }
        if configured {
            return Ok(None);
        }
        let statistics = self
            .admin
            .stats("%28update_success%7Cworkers_started%29%24")
            .await?;
        let missing = REQUIRED.iter().find(|(name, _)| {
            !statistics
                .iter()
                .any(|(found, value)| found == name && *value > 0)
        });
        Ok(missing.map(|(_, reason)| (*reason).to_owned()))
    }
}

fn not(reason: &str) -> Readiness {
    Readiness::NotReady(reason.to_owned())
}

/// Opens the health port.
pub(crate) async fn bind(address: SocketAddr) -> Result<TcpListener, HealthError> {
    TcpListener::bind(address)
        .await
        .map_err(|source| HealthError { address, source })
}

/// Answers on the health port, for ever.
pub(crate) async fn serve(
    listener: TcpListener,
    readiness: watch::Receiver<Readiness>,
) -> io::Result<()> {
    let router = Router::new()
        .route("/healthz/ready", get(ready))
        .route("/healthz/live", get(async || "live\n"))
        .with_state(readiness);
    axum::serve(listener, router).await
}

async fn ready(Extract(readiness): Extract<watch::Receiver<Readiness>>) -> (StatusCode, String) {
    match &*readiness.borrow() {
        Readiness::Ready => (StatusCode::OK, "ready\n".to_owned()),
        Readiness::NotReady(reason) => (
            StatusCode::SERVICE_UNAVAILABLE,
            format!("not ready: {reason}\n"),
        ),
    }
}

/// The port is taken.
#[derive(Debug, thiserror::Error)]
#[error("health port {address}: {source}")]
pub struct HealthError {
    address: SocketAddr,
    source: io::Error,
}

const REQUIRED: [(&str, &str); 3] = [
    (
        "cluster_manager.cds.update_success",
        "envoy has no clusters from the control plane yet",
    ),
    (
        "listener_manager.lds.update_success",
        "envoy has no listeners from the control plane yet",
    ),
    (
        "listener_manager.workers_started",
        "envoy's workers have not started yet",
    ),
];
/// Until ready: somebody waits for it.
const FAST: Duration = Duration::from_millis(100);
/// Afterwards: an Envoy that died is noticed at once anyway, this is for one that hangs.
const SLOW: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    async fn look(state: State, not_after: Option<SystemTime>) -> Readiness {
        let roots_pem = "".into();
        let present = not_after.map(|not_after| Present {
            not_after,
            roots_pem,
        });
        let mut watcher = Watcher {
            envoy: watch::channel(state).1,
            present: watch::channel(present).1,
            admin: Admin::new("/nowhere/admin.sock".into()),
        };
        watcher.look(&mut Some(1)).await
    }

    #[tokio::test]
    async fn each_lack_is_named() {
        let now = SystemTime::now();
        let later = Some(now + Duration::from_secs(60));
        for (state, not_after, reason) in [
            (State::Running(1), None, "no certificate yet"),
            (State::Running(1), Some(now), "the certificate has expired"),
            (State::Down, later, "envoy is not running"),
            (State::Draining, later, "draining"),
            (
                State::Running(1),
                later,
                "envoy's admin socket does not answer",
            ),
        ] {
            let Readiness::NotReady(said) = look(state, not_after).await else {
                panic!("ready without {reason}");
            };
            assert!(said.starts_with(reason), "{said}");
        }
    }
}
