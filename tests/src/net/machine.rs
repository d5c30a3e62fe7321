//! A machine of the lab: addresses, programs, and code of ours that runs as if on it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::Path;
use std::process::{Command, Output};
use std::sync::Arc;

use sluice_init::nftables::{self, Capture};

use super::cgroup::Cgroup;
use super::ip;
use super::lab::Lan;
use super::process::Process;
use super::sweep::{self, NETNS};
use super::worker::Worker;
use crate::programs::Program;

/// A machine that is being described.
#[must_use = "a machine exists once started"]
pub struct MachineBuilder {
    lan: Arc<Lan>,
    name: String,
    addresses: Vec<(IpAddr, u8)>,
    dns: Vec<IpAddr>,
    routers: Vec<IpAddr>,
    is_pod: bool,
}

impl MachineBuilder {
    pub(super) fn new(lan: Arc<Lan>, name: &str) -> Self {
        assert!(
            (1..=13).contains(&name.len()),
            "machine `{name}`: a name has 1 to 13 characters"
        );
        Self {
            lan,
            name: name.to_owned(),
            addresses: Vec::new(),
            dns: Vec::new(),
            routers: Vec::new(),
            is_pod: false,
        }
    }

    /// Adds an address, as `10.244.1.10/24`, `10.244.1.10` or `fd00:10:244:1::10/64`. The first
    /// of a family is the source of connections that do not ask for another.
    pub fn address(mut self, address: &str) -> Self {
        self.addresses.push(parse(address));
        self
    }

    /// Adds a server to the machine's `/etc/resolv.conf`. Default none.
    pub fn dns(mut self, server: &str) -> Self {
        self.dns.push(parse(server).0);
        self
    }

    /// Sends what is not on a subnet of its own through `router`. Default: every address is
    /// taken to be on the LAN, which is true in the lab.
    pub fn router(mut self, router: &str) -> Self {
        self.routers.push(parse(router).0);
        self
    }

    /// Makes it a pod: what runs on it, and every socket made there, is in a cgroup of its own.
    pub fn pod(mut self) -> Self {
        self.is_pod = true;
        self
    }

    /// Plugs the machine in.
    #[track_caller]
    pub fn start(self) -> Machine {
        let namespace = self.lan.namespace(&self.name);
        ip::ip(["netns", "add", &namespace]);
        let namespace = Namespace {
            name: namespace,
            lan: self.lan,
        };
        namespace.lan.plug(&self.name);

        let mut batch = String::from("link set lo up\nlink set eth0 up\n");
        for (address, prefix) in &self.addresses {
            batch += &format!("addr add {address}/{prefix} dev eth0{}\n", nodad(*address));
        }
        // Each family has its default route; without an address of the family it is of no use.
        for (everywhere, is_v4) in [("0.0.0.0/0", true), ("::/0", false)] {
            let router = self.routers.iter().find(|ip| ip.is_ipv4() == is_v4);
            let has_address = self.addresses.iter().any(|(ip, _)| ip.is_ipv4() == is_v4);
            if has_address {
                let via = router.map_or_else(String::new, |router| format!(" via {router}"));
                batch += &format!("route add {everywhere}{via} dev eth0\n");
            }
        }
        namespace.ip_batch(&batch);

        let resolv_conf: String = self
            .dns
            .iter()
            .map(|server| format!("nameserver {server}\n"))
            .collect();
        let cgroup = self.is_pod.then(|| Cgroup::new(&namespace.name));
        let worker = Worker::start(
            format!("{NETNS}/{}", namespace.name).into(),
            resolv_conf,
            cgroup.as_ref().map(|cgroup| cgroup.path().to_owned()),
        )
        .unwrap_or_else(|error| panic!("machine `{}`: {error:#}", self.name));
        Machine {
            inner: Arc::new(Inner {
                name: self.name,
                addresses: self.addresses.into_iter().map(|(ip, _)| ip).collect(),
                dns: self.dns,
                worker,
                namespace,
                cgroup,
            }),
        }
    }
}

/// A machine of the lab. Clones are the same machine; the last one dropped switches it off.
#[derive(Clone)]
pub struct Machine {
    inner: Arc<Inner>,
}

// Fields drop in this order: first the thread with its sockets, then the namespace with what
// runs in it, then the cgroup.
struct Inner {
    name: String,
    addresses: Vec<IpAddr>,
    dns: Vec<IpAddr>,
    worker: Worker,
    namespace: Namespace,
    cgroup: Option<Cgroup>,
}

struct Namespace {
    name: String,
    lan: Arc<Lan>,
}

impl Machine {
    /// The name that it was started with.
    pub fn name(&self) -> &str {
        &self.inner.name
    }

    /// The name of its network namespace, as `ip netns` knows it.
    pub fn namespace(&self) -> &str {
        &self.inner.namespace.name
    }

    /// Its cgroup's folder, if it is a pod.
    #[track_caller]
    pub fn cgroup(&self) -> &Path {
        let cgroup = self.inner.cgroup.as_ref();
        cgroup
            .unwrap_or_else(|| panic!("machine `{}` is no pod", self.name()))
            .path()
    }

    /// The addresses that it was started with.
    pub fn addresses(&self) -> &[IpAddr] {
        &self.inner.addresses
    }

    /// The servers in its `/etc/resolv.conf`.
    pub fn dns(&self) -> &[IpAddr] {
        &self.inner.dns
    }

    /// Its first IPv4 address.
    #[track_caller]
    pub fn v4(&self) -> Ipv4Addr {
        let found = self.inner.addresses.iter().find_map(|ip| match ip {
            IpAddr::V4(v4) => Some(*v4),
            IpAddr::V6(_) => None,
        });
        found.unwrap_or_else(|| panic!("machine `{}` has no IPv4 address", self.name()))
    }

    /// Its first IPv6 address.
    #[track_caller]
    pub fn v6(&self) -> Ipv6Addr {
        let found = self.inner.addresses.iter().find_map(|ip| match ip {
            IpAddr::V6(v6) => Some(*v6),
            IpAddr::V4(_) => None,
        });
        found.unwrap_or_else(|| panic!("machine `{}` has no IPv6 address", self.name()))
    }

    /// Adds an address to the running machine.
    #[track_caller]
    pub fn add_address(&self, address: &str) {
        let (ip, prefix) = parse(address);
        let nodad = nodad(ip);
        self.inner
            .namespace
            .ip_batch(&format!("addr add {ip}/{prefix} dev eth0{nodad}\n"));
    }

    /// Takes an address from the running machine.
    #[track_caller]
    pub fn remove_address(&self, address: &str) {
        let (ip, prefix) = parse(address);
        self.inner
            .namespace
            .ip_batch(&format!("addr del {ip}/{prefix} dev eth0\n"));
    }

    /// Pulls the machine's cable.
    #[track_caller]
    pub fn unplug(&self) {
        self.inner.namespace.ip_batch("link set eth0 down\n");
    }

    /// Sends the machine's outbound connections to its sidecar, as `sluice-init` would.
    #[track_caller]
    pub fn capture(&self, capture: &Capture) {
        let mut nft = Command::new("nft");
        nft.args(["-f", "-"]);
        self.check_with_input(nft, &nftables::ruleset(capture));
    }

    /// Runs `sluice-init` in the pod with this verb and these arguments beside its cgroup.
    #[track_caller]
    pub fn sluice_init(&self, verb: &str, arguments: &[&str]) -> Output {
        let mut command = Program::Init.command();
        command
            .arg(verb)
            .arg("--cgroup")
            .arg(self.cgroup())
            .args(arguments);
        self.run(command)
    }

    /// Installs the redirect and guard in the pod: what is not in these ranges goes to the
    /// sidecar, or nowhere.
    #[track_caller]
    pub fn guard(&self, allowed: &[&str]) {
        let mut arguments = Vec::new();
        for range in allowed {
            arguments.extend(["--allow-cidr", range]);
        }
        let output = self.sluice_init("install", &arguments);
        assert!(
            output.status.success(),
            "sluice-init install on `{}` failed\n{}",
            self.name(),
            String::from_utf8_lossy(&output.stderr)
        );
    }

    /// Starts a program on the machine, with its output captured.
    #[track_caller]
    pub fn spawn(&self, command: Command) -> Process {
        let program = command.get_program().to_string_lossy().into_owned();
        let program = program.rsplit('/').next().unwrap_or_default();
        let machine = self.clone();
        Process::start(
            &format!("{program}@{}", self.name()),
            command,
            move |mut command: Command| {
                machine
                    .inner
                    .worker
                    .block_on(async move { command.spawn() })
            },
        )
        .on(self.clone())
    }

    /// Runs a program on the machine to its end.
    #[track_caller]
    pub fn run(&self, command: Command) -> Output {
        self.run_with_input(command, "")
    }

    /// Runs a program on the machine to its end; panics when it fails, else returns its stdout.
    #[track_caller]
    pub fn check(&self, command: Command) -> String {
        self.check_with_input(command, "")
    }

    /// As [`Self::check`], with this standard input.
    #[track_caller]
    pub fn check_with_input(&self, command: Command, input: &str) -> String {
        let described = format!("{command:?}");
        let output = self.run_with_input(command, input);
        assert!(
            output.status.success(),
            "{described} on `{}` failed with {}\n{}",
            self.name(),
            output.status,
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    fn run_with_input(&self, mut command: Command, input: &str) -> Output {
        let described = format!("{command:?}");
        let input = input.to_owned();
        // A blocking thread of the machine's runtime, started by its thread and so in its
        // namespaces: the runtime goes on serving meanwhile.
        let output = self.block_on(async move {
            tokio::task::spawn_blocking(move || ip::run(&mut command, &input)).await
        });
        output
            .expect("running a command does not panic")
            .unwrap_or_else(|error| panic!("cannot run {described}: {error}"))
    }

    /// Runs `future` on the machine and waits for it; a panic in it is raised here.
    ///
    /// Sockets that it makes belong to the machine. Not to be called from a task of the same
    /// machine, which would wait for itself.
    pub fn block_on<F>(&self, future: F) -> F::Output
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        self.inner.worker.block_on(future)
    }

    /// Starts `future` on the machine; the handle may be awaited anywhere, or dropped.
    pub fn spawn_task<F>(&self, future: F) -> tokio::task::JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        self.inner.worker.spawn(future)
    }

    /// Ends a task of the machine; when this returns its sockets are closed. A task that ends
    /// another of its own machine cannot wait for that, and does not.
    pub(crate) fn end_task<T: Send + 'static>(&self, task: tokio::task::JoinHandle<T>) {
        task.abort();
        if !self.inner.worker.is_current() {
            self.block_on(async move {
                let _ = task.await;
            });
        }
    }

    /// What a person types before a command to run it on the machine, while this process lives.
    pub fn enter_command(&self) -> String {
        let thread = self.inner.worker.thread_id();
        match &self.inner.cgroup {
            None => format!("nsenter -t {thread} -n -m"),
            Some(cgroup) => format!(
                "sh -c 'echo $$ >{}/cgroup.procs && exec nsenter -t {thread} -n -m \"$@\"' pod",
                cgroup.path().display()
            ),
        }
    }
}

impl Namespace {
    #[track_caller]
    fn ip_batch(&self, lines: &str) {
        ip::checked(
            Command::new("ip").args(["-n", &self.name, "-batch", "-"]),
            lines,
        );
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        sweep::remove(&self.name);
    }
}

/// An address and its prefix length; without one, that of a single address.
#[track_caller]
fn parse(text: &str) -> (IpAddr, u8) {
    let (address, prefix) = text.split_once('/').unwrap_or((text, ""));
    let address: IpAddr = address
        .parse()
        .unwrap_or_else(|_| panic!("`{text}` is no IP address"));
    let prefix = match (prefix, address) {
        ("", IpAddr::V4(_)) => 32,
        ("", IpAddr::V6(_)) => 128,
        (digits, _) => digits
            .parse()
            .unwrap_or_else(|_| panic!("`{text}` has no valid prefix length")),
    };
    (address, prefix)
}

/// Duplicate address detection would make a new IPv6 address wait a second.
fn nodad(address: IpAddr) -> &'static str {
    if address.is_ipv6() { " nodad" } else { "" }
}
