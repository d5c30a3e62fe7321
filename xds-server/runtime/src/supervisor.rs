//! Every task has an owner, and none may end unseen.
//!
//! A control plane that lost its source or its listener and lives on is worse than one that
//! restarts: so the first task that ends by itself, well or badly, stops all others and the process.

use std::{collections::HashMap, future::Future, time::Duration};

use tokio::{
    task::{Id, JoinError, JoinSet},
    time::{Instant, timeout_at},
};
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

/// How long tasks may take to end after they are told to.
const GRACE: Duration = Duration::from_secs(10);

/// Runs tasks until told to stop.
pub struct Supervisor {
    tasks: JoinSet<Result<(), Cause>>,
    names: HashMap<Id, &'static str>,
    stop: CancellationToken,
}

type Cause = Box<dyn std::error::Error + Send + Sync>;

/// Why the process must stop.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// It returned, though nobody told it to.
    #[error("{0} ended unexpectedly")]
    Ended(&'static str),
    /// It failed.
    #[error("{name} failed")]
    Failed {
        /// The task.
        name: &'static str,
        /// Why.
        #[source]
        cause: Cause,
    },
    /// It panicked.
    #[error("{name} panicked")]
    Panicked {
        /// The task.
        name: &'static str,
        /// The panic.
        #[source]
        cause: JoinError,
    },
}

impl Supervisor {
    /// Supervises until `stop`.
    pub fn new(stop: CancellationToken) -> Self {
        Self {
            tasks: JoinSet::new(),
            names: HashMap::new(),
            stop,
        }
    }

    /// Told to tasks when they shall end.
    pub fn stop(&self) -> CancellationToken {
        self.stop.clone()
    }

    /// Runs `task`, which ends when [`stop`](Self::stop) is cancelled and not before.
    pub fn spawn(&mut self, name: &'static str, task: impl Future<Output = ()> + Send + 'static) {
        self.spawn_fallible(name, async move {
            task.await;
            Ok::<(), std::convert::Infallible>(())
        });
    }

    /// As [`spawn`](Self::spawn), for a task that may fail.
    pub fn spawn_fallible<E: Into<Cause> + Send + 'static>(
        &mut self,
        name: &'static str,
        task: impl Future<Output = Result<(), E>> + Send + 'static,
    ) {
        let handle = self
            .tasks
            .spawn(async move { task.await.map_err(Into::into) });
        self.names.insert(handle.id(), name);
    }

    /// Waits for the end: of `stop`, or of a task that should not have ended.
    pub async fn run(mut self) -> Result<(), Failure> {
        let ended = tokio::select! {
            biased;
            () = self.stop.cancelled() => None,
            ended = self.tasks.join_next_with_id() => ended,
        };
        let result = match ended {
            // A task may see the end before we do.
            Some(_) if self.stop.is_cancelled() => Ok(()),
            Some(ended) => Err(self.failure(ended)),
            None => Ok(()),
        };
        self.stop.cancel();
        self.wind_down().await;
        result
    }

    async fn wind_down(&mut self) {
        let deadline = Instant::now() + GRACE;
        while let Ok(Some(ended)) = timeout_at(deadline, self.tasks.join_next_with_id()).await {
            let name = self.name(&ended);
            match ended {
                Ok((_, Ok(()))) => debug!(task = name, "task ended"),
                Ok((_, Err(error))) => warn!(task = name, error, "task failed at the end"),
                Err(error) => warn!(task = name, %error, "task panicked at the end"),
            }
        }
        if !self.tasks.is_empty() {
            warn!(tasks = self.tasks.len(), "tasks did not end in time");
            self.tasks.shutdown().await;
        }
    }

    fn failure(&self, ended: Ended) -> Failure {
        let name = self.name(&ended);
        match ended {
            Ok((_, Ok(()))) => Failure::Ended(name),
            Ok((_, Err(cause))) => Failure::Failed { name, cause },
            Err(cause) => Failure::Panicked { name, cause },
        }
    }

    fn name(&self, ended: &Ended) -> &'static str {
        let id = match ended {
            Ok((id, _)) => *id,
            Err(error) => error.id(),
        };
        self.names.get(&id).copied().unwrap_or("a task")
    }
}

type Ended = Result<(Id, Result<(), Cause>), JoinError>;

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_task_that_ends_by_itself_stops_the_others() {
        let stop = CancellationToken::new();
        let mut supervisor = Supervisor::new(stop.clone());
        let told = stop.clone();
        supervisor.spawn("the patient one", async move { told.cancelled().await });
        supervisor.spawn("the hasty one", async {});

        let failure = supervisor.run().await.unwrap_err();

        assert_eq!(failure.to_string(), "the hasty one ended unexpectedly");
        assert!(stop.is_cancelled());
    }

    #[tokio::test(start_paused = true)]
    async fn a_panic_and_an_error_name_their_task() {
        let mut supervisor = Supervisor::new(CancellationToken::new());
        supervisor.spawn("source", async { panic!("boom") });
        let failure = supervisor.run().await.unwrap_err();
        assert_eq!(failure.to_string(), "source panicked");

        let mut supervisor = Supervisor::new(CancellationToken::new());
        supervisor.spawn_fallible("admin", async { Err("address in use") });
        let failure = supervisor.run().await.unwrap_err();
        assert_eq!(failure.to_string(), "admin failed");
    }

    #[tokio::test(start_paused = true)]
    async fn a_task_that_ignores_the_end_is_aborted() {
        let stop = CancellationToken::new();
        let mut supervisor = Supervisor::new(stop.clone());
        supervisor.spawn("deaf", std::future::pending());
        stop.cancel();
        let start = Instant::now();

        supervisor.run().await.unwrap();

        assert_eq!(start.elapsed(), GRACE);
    }
}
