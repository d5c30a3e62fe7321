//! `sluice serve`: the control plane.

use std::{net::SocketAddr, path::PathBuf, process::ExitCode};

use anyhow::Context;
use clap::Args;
use sluice_runtime::serve::{Config, serve};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing::info;

use super::{input::Defaults, logging::Logging};

/// Run the control plane: xDS and certificates for every proxy, from a directory of YAML
///
/// The directory holds Istio's objects and the Pods that may connect; it is read again whenever it
/// changes. A file that breaks keeps its last good objects.
///
/// The token file says who may get a first certificate, one line TOKEN,NAMESPACE,SERVICE_ACCOUNT,POD
/// for each Pod; it must have mode 0600. The state directory keeps the CA's root over restarts.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  sluice serve --config-dir config --token-file tokens --state-dir /var/lib/sluice
  curl http://127.0.0.1:15014/debug/config_dump?proxy=istio-system/egress-0")]
pub(super) struct Serve {
    /// Directory of *.yaml, *.yml and *.json; repeatable
    #[arg(long, value_name = "DIR", required = true)]
    config_dir: Vec<PathBuf>,

    /// Lines TOKEN,NAMESPACE,SERVICE_ACCOUNT,POD
    #[arg(long, value_name = "FILE")]
    token_file: PathBuf,

    /// Where the CA's root is kept; made if it is not there
    #[arg(long, value_name = "DIR")]
    state_dir: PathBuf,

    /// CA in Istio's format (ca-cert.pem, ca-key.pem, root-cert.pem, cert-chain.pem) instead of an own root
    #[arg(long, value_name = "DIR")]
    cacerts: Option<PathBuf>,

    /// Address for proxies: xDS and certificates over mTLS
    #[arg(long, value_name = "ADDRESS", default_value = "0.0.0.0:15012")]
    listen: SocketAddr,

    /// Address for /healthz, /readyz, /metrics and /debug/config_dump, in plain HTTP
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:15014")]
    admin: SocketAddr,

    /// Name that proxies expect in the control plane's certificate; repeatable
    #[arg(long, value_name = "NAME", default_value = "sluice.sluice-system.svc")]
    dns_name: Vec<String>,

    #[command(flatten)]
    defaults: Defaults,

    #[command(flatten)]
    logging: Logging,
}

impl Serve {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        self.logging.start()?;
        let config = Config {
            files: self.defaults.options(self.config_dir),
            token_file: self.token_file,
            state_dir: self.state_dir,
            cacerts: self.cacerts,
            listen: self.listen,
            admin: self.admin,
            dns_names: self.dns_name,
        };
        let runtime = tokio::runtime::Runtime::new().context("cannot start the runtime")?;
        runtime.block_on(async {
            let stop = CancellationToken::new();
            let mut terminate = signal(SignalKind::terminate())?;
            let mut interrupt = signal(SignalKind::interrupt())?;
            let told = stop.clone();
            // Ends with the runtime; a second signal while stopping is not needed: that is bounded.
            tokio::spawn(async move {
                tokio::select! {
                    _ = terminate.recv() => {}
                    _ = interrupt.recv() => {}
                }
                info!("stopping");
                told.cancel();
            });
            serve(config, stop).await?;
            Ok(ExitCode::SUCCESS)
        })
    }
}
