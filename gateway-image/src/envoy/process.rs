//! One Envoy process.

use std::{
    fs, io,
    os::unix::{fs::PermissionsExt as _, process::ExitStatusExt as _},
    path::Path,
    process::{ExitStatus, Stdio},
    time::Duration,
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use tokio::{
    process::{Child, Command},
    time::timeout,
};

use super::{EnvoyError, launcher};
use crate::{bootstrap::bootstrap, config::Config};

/// A running Envoy. It is killed when this value goes.
pub(super) struct Process {
    child: Child,
    pid: u32,
}

impl Process {
    /// Writes the bootstrap and starts Envoy with it.
    pub(super) fn start(config: &Config, launcher: Option<&Path>) -> Result<Self, EnvoyError> {
        check(&config.envoy.binary)?;
        write_bootstrap(config)?;
        let mut command = match launcher {
            Some(launcher) => {
                let mut command = Command::new(launcher);
                command
                    .arg(launcher::COMMAND)
                    .arg(std::process::id().to_string())
                    .arg(&config.envoy.binary);
                command
            }
            None => Command::new(&config.envoy.binary),
        };
        let spawned = command
            .args(arguments(config))
            .stdin(Stdio::null())
            // A group of its own: ctrl-C in a terminal must reach us alone, we drain first.
            .process_group(0)
            .kill_on_drop(true)
            .spawn();
        let failed = |source| EnvoyError::Binary {
            path: config.envoy.binary.clone(),
            source,
        };
        let child = spawned.map_err(failed)?;
        let pid = child
            .id()
            .expect("a child that nobody waited for has an id");
        Ok(Self { child, pid })
    }

    pub(super) fn pid(&self) -> u32 {
        self.pid
    }

    /// Waits for the process to end.
    pub(super) async fn wait(&mut self) -> ExitStatus {
        // wait(2) fails only if somebody else has reaped our child: then it is gone, status unknown.
        self.child
            .wait()
            .await
            .unwrap_or_else(|_| ExitStatus::from_raw(0xff00))
    }

    /// SIGTERM, then SIGKILL after `patience`. True when SIGTERM was enough.
    pub(super) async fn terminate(mut self, patience: Duration) -> bool {
        let pid = i32::try_from(self.pid).expect("the kernel's process ids fit 22 bits");
        // An error says that the process is gone already, which is what we want.
        let _ = kill(Pid::from_raw(pid), Signal::SIGTERM);
        if timeout(patience, self.wait()).await.is_ok() {
            return true;
        }
        // The same: nothing to kill is no failure.
        let _ = self.child.kill().await;
        false
    }
}

fn arguments(config: &Config) -> Vec<String> {
    let envoy = &config.envoy;
    let mut arguments = vec![
        "--config-path".to_owned(),
        config.run_dir.bootstrap().display().to_string(),
        "--concurrency".to_owned(),
        // Envoy takes 0 for one worker; without the option it takes one per core.
        envoy.concurrency.to_string(),
        "--drain-time-s".to_owned(),
        envoy.drain_time.as_secs().max(1).to_string(),
        // With the first answer after the start of a drain, an HTTP connection is closed.
        "--drain-strategy".to_owned(),
        "immediate".to_owned(),
        "--disable-hot-restart".to_owned(),
        // Access logs appear at once; ten writes per second and log are nothing.
        "--file-flush-interval-msec".to_owned(),
        "100".to_owned(),
        "--log-level".to_owned(),
        envoy.log_level.clone(),
        "--log-format".to_owned(),
        "%Y-%m-%dT%T.%fZ\t%l\tenvoy %n %g:%#\t%v".to_owned(),
    ];
    if envoy.concurrency == 0 {
        arguments.drain(2..4);
    }
    if envoy.reject_unknown_dynamic_fields {
        arguments.push("--reject-unknown-dynamic-fields".to_owned());
    }
    arguments
}

/// Says early, and clearly, that there is no Envoy.
pub(crate) fn check(path: &Path) -> Result<(), EnvoyError> {
    let wrong = |source| EnvoyError::Binary {
        path: path.to_owned(),
        source,
    };
    let metadata = fs::metadata(path).map_err(wrong)?;
    if !metadata.is_file() || metadata.permissions().mode() & 0o111 == 0 {
        return Err(wrong(io::Error::new(
            io::ErrorKind::PermissionDenied,
            "not an executable file",
        )));
    }
    Ok(())
}

fn write_bootstrap(config: &Config) -> Result<(), EnvoyError> {
    let path = config.run_dir.bootstrap();
    let text = format!("{:#}\n", bootstrap(config));
    fs::write(&path, text).map_err(|source| EnvoyError::Bootstrap { path, source })
}
