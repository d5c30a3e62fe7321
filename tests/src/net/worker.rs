//! A thread that lives in a network namespace, with an async runtime of its own.
//!
//! Sockets belong to the namespace of the thread that makes them, and programs start in the
//! namespace of the thread that starts them. So all that a machine does happens on its thread.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::thread::{self, JoinHandle};

use anyhow::Context as _;
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, setns, unshare};
use nix::unistd::{Pid, gettid};
use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;

use super::cgroup;

/// The thread; dropping it ends the thread and closes every socket made there.
pub(super) struct Worker {
    handle: Handle,
    thread_id: Pid,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Worker {
    /// Starts a thread in the namespace at `netns`, where `resolv_conf` is the resolver's config;
    /// if it is a pod's, in this cgroup and with a bpf file system of its own.
    pub(super) fn start(
        netns: PathBuf,
        resolv_conf: String,
        cgroup: Option<PathBuf>,
    ) -> anyhow::Result<Self> {
        let (entered_tx, entered_rx) = mpsc::channel();
        let (stop, stopped) = oneshot::channel::<()>();
        let thread = thread::Builder::new()
            .name(
                netns
                    .file_name()
                    .map_or_else(String::new, |name| name.to_string_lossy().into_owned()),
            )
            .spawn(move || {
                let entered = enter(&netns, &resolv_conf, cgroup.as_deref()).and_then(|()| {
                    Builder::new_current_thread()
                        .enable_all()
                        .build()
                        .context("cannot build a runtime")
                });
                match entered {
                    Ok(runtime) => {
                        let _ = entered_tx.send(Ok((runtime.handle().clone(), gettid())));
                        let _ = runtime.block_on(stopped);
                        runtime.shutdown_background();
                    }
                    Err(error) => {
                        let _ = entered_tx.send(Err(error));
                    }
                }
            })
            .context("cannot start a thread")?;
        let (handle, thread_id) = entered_rx.recv().context("the thread died")??;
        Ok(Self {
            handle,
            thread_id,
            stop: Some(stop),
            thread: Some(thread),
        })
    }

    /// Runs `future` on the thread.
    pub(super) fn spawn<F>(&self, future: F) -> tokio::task::JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        self.handle.spawn(future)
    }

    /// Runs `future` on the thread and waits for it; a panic in it is raised here.
    pub(super) fn block_on<F>(&self, future: F) -> F::Output
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        assert!(
            !self.is_current(),
            "a machine's own task must await, not block"
        );
        let (done_tx, done_rx) = mpsc::channel();
        let task = self.handle.spawn(future);
        // Awaiting the task elsewhere on the same thread turns its panic into a value.
        self.handle.spawn(async move {
            let _ = done_tx.send(task.await);
        });
        match done_rx.recv() {
            Ok(Ok(output)) => output,
            Ok(Err(error)) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
            Ok(Err(_)) | Err(_) => panic!("the machine was switched off"),
        }
    }

    /// Whether the caller runs on the thread.
    pub(super) fn is_current(&self) -> bool {
        gettid() == self.thread_id
    }

    /// The thread's id, by which `nsenter` finds the machine.
    pub(super) fn thread_id(&self) -> Pid {
        self.thread_id
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        drop(self.stop.take());
        // The last holder of a machine may be one of its own tasks, which cannot wait for itself.
        if !self.is_current()
            && let Some(thread) = self.thread.take()
        {
            let _ = thread.join();
        }
    }
}

fn enter(netns: &Path, resolv_conf: &str, cgroup: Option<&Path>) -> anyhow::Result<()> {
    if let Some(path) = cgroup {
        cgroup::enter(path).with_context(|| format!("cannot enter {}", path.display()))?;
    }
    let namespace =
        File::open(netns).with_context(|| format!("cannot open {}", netns.display()))?;
    setns(namespace, CloneFlags::CLONE_NEWNET).context("cannot enter the network namespace")?;

    // A mount namespace for this thread and what it starts, so that /etc/resolv.conf is its own.
    // A slave, not private: else the copy of /run/netns in it would keep removed namespaces alive.
    unshare(CloneFlags::CLONE_NEWNS).context("cannot make a mount namespace")?;
    let none = None::<&str>;
    mount(none, "/", none, MsFlags::MS_SLAVE | MsFlags::MS_REC, none)
        .context("cannot detach from the host's mounts")?;
    if cgroup.is_some() {
        // Seen by this machine alone; what is pinned there goes with it.
        mount(
            Some("bpf"),
            "/sys/fs/bpf",
            Some("bpf"),
            MsFlags::empty(),
            none,
        )
        .context("cannot mount a bpf file system")?;
    }
    let file = std::env::temp_dir().join(format!(
        "{}.resolv.conf",
        netns.file_name().unwrap_or_default().to_string_lossy()
    ));
    fs::write(&file, resolv_conf).with_context(|| format!("cannot write {}", file.display()))?;
    let target = "/etc/resolv.conf";
    let bound = mount(Some(&file), target, none, MsFlags::MS_BIND, none)
        .with_context(|| format!("cannot bind {} to {target}", file.display()));
    fs::remove_file(&file).with_context(|| format!("cannot remove {}", file.display()))?;
    bound
}
