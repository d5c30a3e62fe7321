//! One proxy from start to end: the tasks, their order, and what happens when one of them stops.

use std::{
    fs::{self, DirBuilder, File, TryLockError},
    io,
    os::unix::fs::DirBuilderExt as _,
    path::PathBuf,
    sync::Arc,
};

use tokio::{sync::watch, task::JoinSet};
use tracing::{info, warn};

use crate::{
    config::{Config, RunDir},
    envoy::{self, Ending, EnvoyError, Shutdown, State, admin::Admin},
    health::{self, HealthError, Readiness, Watcher},
    identity,
    secrets::{self, SocketError, Store},
};

/// Why a proxy cannot run.
#[derive(Debug, thiserror::Error)]
pub enum ProxyError {
    /// Not writable, or taken.
    #[error("run directory {}: {source}", path.display())]
    RunDir {
        /// Which.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// Two Envoys would answer on the same sockets.
    #[error("run directory {}: in use by another sluice-proxy", .0.display())]
    InUse(PathBuf),
    /// The socket for Envoy.
    #[error(transparent)]
    Secrets(#[from] SocketError),
    /// The port for kubelet.
    #[error(transparent)]
    Health(#[from] HealthError),
    /// The process itself.
    #[error(transparent)]
    Envoy(#[from] EnvoyError),
    /// A task that has no end has ended.
    #[error("task {0} ended unexpectedly")]
    Task(&'static str),
}

/// Runs the proxy until `shutdown`. With a `launcher` (this program's own path) Envoy is killed
/// by the kernel if this process dies without a chance to do so.
///
/// # Errors
/// When it cannot start, or one of its parts fails.
pub async fn run(
    config: Config,
    launcher: Option<PathBuf>,
    shutdown: Shutdown,
) -> Result<Ending, ProxyError> {
    let config = Arc::new(config);
    let _lock = prepare(&config.run_dir)?;
    // Said before the wait for the control plane, which may be long.
    envoy::check(&config.envoy.binary)?;
    info!(
        node.id = config.node_id(),
        control_plane = %config.control_plane,
        version = env!("CARGO_PKG_VERSION"),
        "starting"
    );

    let store = Arc::new(Store::new());
    let (present_sender, mut present) = watch::channel(None);
    let (state_sender, state) = watch::channel(State::Down);
    let (readiness_sender, readiness) = watch::channel(Readiness::NotReady("starting".to_owned()));
    let secret_socket = secrets::server::bind(&config.run_dir.sds_socket())?;
    let health_port = health::bind(config.health).await?;
    let watcher = Watcher {
        envoy: state,
        present: present.clone(),
        admin: Admin::new(config.run_dir.admin_socket()),
    };

    let mut tasks = JoinSet::new();
    tasks.spawn(named(
        "secret server",
        secrets::server::serve(secret_socket, store.clone()),
    ));
    tasks.spawn(named(
        "secret files",
        secrets::files::follow(store.clone(), config.secret_roots.as_slice().into()),
    ));
    tasks.spawn(named(
        "roots",
        identity::trust::follow(config.root_cert.clone(), store.clone(), present.clone()),
    ));
    tasks.spawn(named(
        "identity",
        identity::keep(config.clone(), store, present_sender),
    ));
    tasks.spawn(named("readiness", watcher.follow(readiness_sender)));
    tasks.spawn(named(
        "health server",
        health::serve(health_port, readiness),
    ));

    // Envoy starts with its first certificate. Without one it could reach nobody, and would wait
    // longer and longer between its attempts.
    tokio::select! {
        arrived = present.wait_for(Option::is_some) => drop(arrived),
        task = first_end(&mut tasks) => return Err(ProxyError::Task(task)),
        () = shutdown.drain.cancelled() => {
            warn!("asked to end before the first certificate came");
            return Ok(Ending::Stopped { cut: 0 });
        }
    }
    tokio::select! {
        ending = envoy::supervise(&config, launcher, state_sender, shutdown) => Ok(ending?),
        task = first_end(&mut tasks) => Err(ProxyError::Task(task)),
    }
}

async fn named<T>(name: &'static str, task: impl Future<Output = T>) -> &'static str {
    task.await;
    name
}

/// The name of the first task that ends. Each of them should run for ever.
async fn first_end(tasks: &mut JoinSet<&'static str>) -> &'static str {
    match tasks.join_next().await {
        Some(Ok(name)) => name,
        Some(Err(_)) => "that panicked",
        None => "list",
    }
}

/// Makes the run directory and takes it.
fn prepare(run_dir: &RunDir) -> Result<File, ProxyError> {
    let failed = |source| ProxyError::RunDir {
        path: run_dir.path().to_owned(),
        source,
    };
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(run_dir.path())
        .map_err(failed)?;
    let lock = File::create(run_dir.lock()).map_err(failed)?;
    match lock.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Err(ProxyError::InUse(run_dir.path().to_owned())),
        Err(TryLockError::Error(source)) => return Err(failed(source)),
    }
    // A stale one would refuse connections, which looks like an Envoy that hangs.
    match fs::remove_file(run_dir.admin_socket()) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(failed(error)),
        Ok(()) | Err(_) => Ok(lock),
    }
}
