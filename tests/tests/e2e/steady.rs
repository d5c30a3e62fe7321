//! A client that calls all the time, for what must go on while something else happens.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use sluice_tests::clients::http::Call;
use sluice_tests::net::Machine;
use tokio::task::JoinHandle;

/// A client at work. Dropped, it stops.
pub(super) struct Steady {
    machine: Machine,
    stop: Arc<AtomicBool>,
    made: Arc<AtomicUsize>,
    task: Option<JoinHandle<Vec<Result<u16, String>>>>,
}

impl Steady {
    /// Makes `call` from `machine` again and again, each on a connection of its own.
    pub(super) fn start(machine: &Machine, call: Call) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let made = Arc::new(AtomicUsize::new(0));
        let (stopped, counted, caller) = (stop.clone(), made.clone(), machine.clone());
        let task = machine.spawn_task(async move {
            let mut answers = Vec::new();
            while !stopped.load(Ordering::Relaxed) {
                let answer = call.future(&caller).await;
                answers.push(match answer {
                    Ok(response) => Ok(response.status),
                    Err(error) => Err(error.to_string()),
                });
                counted.store(answers.len(), Ordering::Relaxed);
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            answers
        });
        Self {
            machine: machine.clone(),
            stop,
            made,
            task: Some(task),
        }
    }

    /// Goes on to so many calls in all, stops, and asserts that each gave 200.
    #[track_caller]
    pub(super) fn assert_all_ok(mut self, at_least: usize) {
        let deadline = Instant::now() + Duration::from_secs(60);
        while self.made.load(Ordering::Relaxed) < at_least && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(10));
        }
        self.stop.store(true, Ordering::Relaxed);
        let task = self.task.take().unwrap();
        let answers = self.machine.block_on(task).unwrap();
        assert!(answers.len() >= at_least, "only {} calls", answers.len());
        let failed: Vec<_> = answers
            .iter()
            .filter(|answer| **answer != Ok(200))
            .collect();
        assert!(failed.is_empty(), "of {} calls: {failed:?}", answers.len());
    }
}

impl Drop for Steady {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}
