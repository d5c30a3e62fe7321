//! Scans when something changed on disk.
//!
//! Editors write in steps (truncate then write; write beside then rename), so a scan waits until
//! the directory has been quiet. Events can be lost (network file systems, full queues), so a
//! slow poll looks anyway.

use std::{path::Path, sync::Arc, time::Duration};

use notify::{RecommendedWatcher, RecursiveMode, Watcher};
use tokio::{
    sync::{Notify, mpsc},
    task::spawn_blocking,
    time::{Instant, sleep_until, timeout_at},
};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::{Files, Scan};
use crate::watch::Update;

/// A scan starts when nothing happened for this long,
const QUIET: Duration = Duration::from_millis(100);

/// or this long after the first event, however busy the directory is.
const PATIENCE: Duration = Duration::from_secs(1);

/// How often to look without an event.
const POLL: Duration = Duration::from_secs(5);

/// How often to look when the kernel gives no events.
const POLL_WITHOUT_EVENTS: Duration = Duration::from_secs(1);

/// How often to look at a file that seems half written.
const POLL_UNSETTLED: Duration = Duration::from_millis(200);

/// Where updates go. One waits while another is published; what changes
/// meanwhile joins the next, so more would only be memory.
pub type Feed = mpsc::Sender<Update>;

/// Feeds what changes in `files` from their last scan on, until `stop`.
pub async fn watch(files: Files, feed: Feed, stop: CancellationToken) {
    let events = Arc::new(Notify::new());
    let watcher = listen(&files, events.clone());
    let idle = match &watcher {
        Some(_) => POLL,
        None => POLL_WITHOUT_EVENTS,
    };
    tokio::select! {
        () = stop.cancelled() => {}
        () = run(files, feed, &events, idle) => {}
    }
}

async fn run(mut files: Files, feed: Feed, events: &Notify, idle: Duration) {
    loop {
        // Otherwise the pool is shutting down, or a scan panicked: either way the task is over.
        let Ok((back, scan)) = spawn_blocking(move || look(files)).await else {
            return;
        };
        files = back;
        if let Some(update) = scan.update {
            info!(
                changed = scan.changed,
                objects = update.objects,
                "read configuration"
            );
            if feed.send(update).await.is_err() {
                return;
            }
        }
        let pause = if scan.unsettled { POLL_UNSETTLED } else { idle };
        settle(events, Instant::now() + pause).await;
    }
}

fn look(mut files: Files) -> (Files, Scan) {
    let scan = files.scan(std::time::SystemTime::now());
    (files, scan)
}

/// Waits for an event, then for quiet; for neither longer than it may.
async fn settle(events: &Notify, poll: Instant) {
    if timeout_at(poll, events.notified()).await.is_err() {
        return;
    }
    let at_last = Instant::now() + PATIENCE;
    loop {
        let quiet = (Instant::now() + QUIET).min(at_last);
        tokio::select! {
            biased;
            () = sleep_until(quiet) => return,
            () = events.notified() => {}
        }
    }
}

fn listen(files: &Files, events: Arc<Notify>) -> Option<RecommendedWatcher> {
    let tell = move |event: notify::Result<notify::Event>| {
        // A scan reads, and must not cause the next one by it.
        if !event.is_ok_and(|event| event.kind.is_access()) {
            events.notify_one();
        }
    };
    let mut watcher = match notify::recommended_watcher(tell) {
        Ok(watcher) => watcher,
        Err(error) => {
            warn!(%error, "no file events, looking every second instead");
            return None;
        }
    };
    let mesh = files.options.mesh_config.iter();
    for path in files.options.roots.iter().chain(mesh) {
        let (directory, mode) = match path.is_dir() {
            true => (path.as_path(), RecursiveMode::Recursive),
            // A single file is renamed over by editors: only its directory tells that.
            false => (parent(path), RecursiveMode::NonRecursive),
        };
        if let Err(error) = watcher.watch(directory, mode) {
            warn!(%error, path = %directory.display(), "no file events, looking every second instead");
            return None;
        }
    }
    Some(watcher)
}

fn parent(file: &Path) -> &Path {
    match file.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        Some(_) | None => Path::new("."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_scan_waits_for_quiet() {
        let events = Arc::new(Notify::new());
        let writer = tokio::spawn({
            let events = events.clone();
            async move {
                for _ in 0..5 {
                    events.notify_one();
                    tokio::time::sleep(Duration::from_millis(60)).await;
                }
            }
        });
        let start = Instant::now();

        settle(&events, start + POLL).await;

        assert_eq!(start.elapsed(), Duration::from_millis(4 * 60 + 100));
        writer.await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn a_busy_directory_is_scanned_every_second() {
        let events = Arc::new(Notify::new());
        let writer = tokio::spawn({
            let events = events.clone();
            async move {
                loop {
                    events.notify_one();
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
            }
        });
        let start = Instant::now();

        settle(&events, start + POLL).await;

        assert_eq!(start.elapsed(), PATIENCE);
        writer.abort();
    }

    #[tokio::test(start_paused = true)]
    async fn without_events_a_scan_comes_anyway() {
        let start = Instant::now();

        settle(&Notify::new(), start + POLL).await;

        assert_eq!(start.elapsed(), POLL);
    }
}
