//! Runs Envoy in gateways and sidecars.
//!
//! `sluice-proxy` is the process that a pod starts. It asks the control plane for the workload's
//! certificate and keeps it fresh (`identity`), hands it to Envoy on a pod-local socket
//! (`secrets`), writes Envoy's bootstrap ([`bootstrap`]), and looks after the Envoy process
//! ([`envoy`]) and its readiness (`health`). All config of user objects goes from the control
//! plane to Envoy directly, by delta ADS.
//!
//! Enter at [`main`] (the command) or [`proxy::run`] (one proxy).

pub mod cli;
pub mod config;

pub mod bootstrap;

mod identity;
mod secrets;

pub mod envoy;
mod health;

pub mod proxy;

mod backoff;
mod errors;

use std::{ffi::OsString, path::PathBuf, process::ExitCode};

use clap::Parser as _;
use tokio::signal::unix::{SignalKind, signal};
use tracing::{error, info};
use tracing_subscriber::EnvFilter;

use crate::{
    cli::Options,
    envoy::{Ending, Shutdown, launcher},
};

/// The `sluice-proxy` command. `arguments` start with the program's name.
///
/// The exit code is 0 when Envoy was drained and ended on request, 1 when anything else ended it,
/// 2 for wrong options.
pub fn main(arguments: impl Iterator<Item = OsString>) -> ExitCode {
    let mut arguments = arguments.peekable();
    let program = arguments.next().unwrap_or_default();
    if arguments
        .next_if(|argument| argument == launcher::COMMAND)
        .is_some()
    {
        let error = launcher::launch(arguments);
        return fail(&format!("cannot start envoy: {error}"));
    }
    let options = Options::parse_from(std::iter::once(program).chain(arguments));
    if let Err(error) = log_to_stderr(&options.log_level) {
        return fail(&format!("--log-level: {error}"));
    }
    let config = match options.config(launcher::open_files()) {
        Ok(config) => config,
        Err(error) => return fail(&error.to_string()),
    };
    // The threads of this runtime live as long as the process: Envoy is tied to the thread that starts it.
    let runtime = match tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => return fail(&format!("cannot start threads: {error}")),
    };
    runtime.block_on(async {
        let shutdown = match on_signals() {
            Ok(shutdown) => shutdown,
            Err(error) => return fail(&format!("cannot listen to signals: {error}")),
        };
        exit_code(proxy::run(config, own_path(), shutdown).await)
    })
}

fn exit_code(outcome: Result<Ending, proxy::ProxyError>) -> ExitCode {
    match outcome {
        Ok(Ending::Stopped { .. }) => ExitCode::SUCCESS,
        Ok(Ending::Killed | Ending::Died(_)) => ExitCode::FAILURE,
        Err(error) => {
            error!(error = errors::with_causes(&error), "ending");
            ExitCode::FAILURE
        }
    }
}

/// SIGTERM and SIGINT; the second one is in a hurry.
fn on_signals() -> std::io::Result<Shutdown> {
    let shutdown = Shutdown::default();
    let (mut terminate, mut interrupt) = (
        signal(SignalKind::terminate())?,
        signal(SignalKind::interrupt())?,
    );
    let tokens = shutdown.clone();
    tokio::spawn(async move {
        for token in [tokens.drain, tokens.now] {
            tokio::select! {
                _ = terminate.recv() => info!(signal = "SIGTERM", "asked to end"),
                _ = interrupt.recv() => info!(signal = "SIGINT", "asked to end"),
            }
            token.cancel();
        }
    });
    Ok(shutdown)
}

/// This program, to be started again as the launcher, even if its file was replaced meanwhile.
fn own_path() -> Option<PathBuf> {
    Some(PathBuf::from("/proc/self/exe")).filter(|path| path.exists())
}

fn log_to_stderr(level: &str) -> Result<(), tracing_subscriber::filter::ParseError> {
    let filter = EnvFilter::try_new(level)?;
    // Access logs have stdout for themselves.
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(false)
        .init();
    Ok(())
}

#[expect(clippy::print_stderr, reason = "there may be no log yet")]
fn fail(message: &str) -> ExitCode {
    eprintln!("sluice-proxy: {message}");
    ExitCode::FAILURE
}
