//! The whole data path on one host: control plane, egress gateway, pods with sidecars, DNS.
//!
//! Enter at [`Mesh::start`]. The machines are those of `tests/examples/world.yaml`; a pod's
//! machine is captured, by eBPF or nftables, and its sidecar runs as user 1337, as in a pod.
//! Nothing is scripted in between: the programs are ours and the real Envoy.

mod config;
mod proxy;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use crate::dns::DnsServer;
use crate::net::{Lab, Machine, Process, ranges};
use crate::pki::Authority;
use crate::programs::Program;
use crate::servers::Transport;
use crate::servers::http::{HttpServer, Reply};
use crate::tls::ClientCertificates;

pub use config::{Config, example, world};
pub use proxy::{Proxy, Role};

/// The address from which the gateway sends traffic out.
pub const GATEWAY_SOURCE: &str = "203.0.113.10";
/// The pod address of the gateway, as in `world.yaml`.
pub const GATEWAY_POD: &str = "10.244.0.20";
/// Where pods' names are resolved.
const DNS: &str = "10.96.0.10";
/// Where the control plane is.
pub const CONTROL_PLANE: &str = "10.96.0.2";

/// How long a program may take to be ready, on a busy machine.
const READY: Duration = Duration::from_secs(60);

/// How the connections of a pod come to its sidecar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Capture {
    /// As a pod has it by default: by eBPF, with the guard, before its sidecar starts.
    Ebpf,
    /// As the fallback: by nftables, without a guard.
    Nftables,
}

/// A running data path. Dropped, it stops and cleans up.
pub struct Mesh {
    // Fields drop in this order: proxies before what they talk to, files last.
    proxies: Vec<Proxy>,
    control: Process,
    /// The DNS that everybody asks.
    pub dns: DnsServer,
    control_machine: Machine,
    _dns_machine: Machine,
    /// How pods that are started from now on are captured. Default nftables.
    pub capture: Capture,
    /// The LAN, for more machines.
    pub lab: Lab,
    /// The control plane's directory of YAML.
    pub config: Config,
}

impl Mesh {
    /// Starts the control plane with these files (name, text) beside the world's, what `outside`
    /// adds to the internet, the gateway, and the pod `shop/checkout-0`.
    pub fn start<T>(
        files: &[(&str, impl AsRef<str>)],
        outside: impl FnOnce(&Self) -> T,
    ) -> (Self, T) {
        let mut mesh = Self::control_plane(files);
        // Before the gateway, so that names are known when it first asks.
        let outside = outside(&mesh);
        mesh.start_gateway();
        mesh.start_pod("shop", "checkout", "checkout-0", "10.244.1.10");
        (mesh, outside)
    }

    /// Starts the control plane and DNS alone.
    pub fn control_plane(files: &[(&str, impl AsRef<str>)]) -> Self {
        let lab = Lab::new();
        let config = Config::new(files);
        let dns_machine = lab.machine("dns").address(&format!("{DNS}/12")).start();
        let dns = DnsServer::start(&dns_machine, dns_machine.v4().into());
        let control_machine = lab
            .machine("control")
            .address(&format!("{CONTROL_PLANE}/12"))
            .start();
        let control = start_control_plane(&control_machine, &config);
        Self {
            proxies: Vec::new(),
            control,
            dns,
            control_machine,
            _dns_machine: dns_machine,
            capture: Capture::Nftables,
            lab,
            config,
        }
    }

    /// Starts the gateway of the world and waits until it is ready.
    pub fn start_gateway(&mut self) {
        let machine = (self.lab.machine("gateway"))
            .address(&format!("{GATEWAY_POD}/16"))
            .address(&format!("{GATEWAY_SOURCE}/24"))
            .dns(DNS)
            .start();
        // What goes out leaves from the fixed address, what stays in the cluster from the pod's.
        for route in [
            ["replace", "10.96.0.0/12", "dev", "eth0", "src", GATEWAY_POD],
            ["replace", "default", "dev", "eth0", "src", GATEWAY_SOURCE],
        ] {
            let mut ip = Command::new("ip");
            ip.arg("route").args(route);
            machine.check(ip);
        }
        let proxy = Proxy::start(
            Role::Gateway,
            machine,
            &self.config,
            [
                "istio-system",
                "istio-egressgateway-service-account",
                "istio-egressgateway-0",
            ],
            GATEWAY_POD,
            CONTROL_PLANE,
        );
        proxy.wait_until_ready(READY);
        self.proxies.push(proxy);
    }

    /// Starts a pod's machine with its sidecar and capture, and waits until it is ready.
    pub fn start_pod(&mut self, namespace: &str, account: &str, name: &str, ip: &str) {
        let described = self.lab.machine(name).address(&format!("{ip}/16")).dns(DNS);
        let machine = match self.capture {
            Capture::Ebpf => described.pod().start(),
            Capture::Nftables => described.start(),
        };
        if self.capture == Capture::Ebpf {
            machine.guard(&ranges::CLUSTER);
        }
        let proxy = Proxy::start(
            Role::Sidecar,
            machine.clone(),
            &self.config,
            [namespace, account, name],
            ip,
            CONTROL_PLANE,
        );
        proxy.wait_until_ready(READY);
        if self.capture == Capture::Nftables {
            machine.capture(&ranges::capture());
        }
        self.proxies.push(proxy);
    }

    /// The proxy in the pod of this name.
    #[track_caller]
    pub fn proxy(&self, pod: &str) -> &Proxy {
        let found = self.proxies.iter().find(|proxy| proxy.pod() == pod);
        found.unwrap_or_else(|| panic!("no pod {pod} runs here"))
    }

    /// The gateway.
    #[track_caller]
    pub fn gateway(&self) -> &Proxy {
        self.proxy("istio-egressgateway-0")
    }

    /// The machine of the pod `checkout-0`: what runs here is an app of `shop/checkout`.
    #[track_caller]
    pub fn app(&self) -> &Machine {
        self.proxy("checkout-0").machine()
    }

    /// An external machine, with names in DNS.
    pub fn external(&self, name: &str, ip: &str, hosts: &[&str]) -> Machine {
        for host in hosts {
            self.dns.zone().set(host, &[ip]);
        }
        self.lab.machine(name).address(&format!("{ip}/24")).start()
    }

    /// An external HTTP server on port 80 that describes each request in its answer.
    pub fn external_http(&self, name: &str, ip: &str, hosts: &[&str]) -> HttpServer {
        let machine = self.external(name, ip, hosts);
        let address = (machine.v4(), 80).into();
        HttpServer::start(&machine, address, Transport::Plain, Reply::describing)
    }

    /// An external HTTPS server on port 443, with a certificate of `authority` for its hosts;
    /// `clients` says what it asks of its clients.
    pub fn external_https(
        &self,
        name: &str,
        ip: &str,
        hosts: &[&str],
        authority: &Authority,
        clients: ClientCertificates<'_>,
    ) -> HttpServer {
        let machine = self.external(name, ip, hosts);
        let tls = crate::tls::server(&authority.server(hosts), clients, &["h2", "http/1.1"]);
        let address = (machine.v4(), 443).into();
        HttpServer::start(&machine, address, Transport::Tls(tls), Reply::describing)
    }

    /// The control plane's process.
    pub fn control(&self) -> &Process {
        &self.control
    }

    /// Kills the control plane, as a crash would.
    #[track_caller]
    pub fn crash_control_plane(&self) {
        self.control.kill_group();
        let ended = self.control.wait(Duration::from_secs(5));
        assert!(ended.is_some(), "the control plane survived SIGKILL");
    }

    /// Starts it again on the same files and state.
    pub fn restart_control_plane(&mut self) {
        self.control = start_control_plane(&self.control_machine, &self.config);
    }

    /// The text that a path of the control plane's admin port gives.
    pub fn admin(&self, path: &str) -> String {
        let mut curl = Command::new("curl");
        curl.args([
            "-sS",
            "--max-time",
            "10",
            &format!("http://127.0.0.1:15014{path}"),
        ]);
        self.control_machine.check(curl)
    }

    /// A counter of the control plane, summed over its labels.
    pub fn metric(&self, name: &str) -> u64 {
        let text = self.admin("/metrics");
        let lines = text.lines().filter(|line| {
            line.strip_prefix(name)
                .is_some_and(|rest| rest.starts_with(['{', ' ']))
        });
        lines
            .filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok())
            .map(|value| value as u64)
            .sum()
    }

    /// Asserts that no Envoy refused anything: the control plane counted no NACK.
    #[track_caller]
    pub fn assert_no_nack(&self) {
        let nacks = self.metric("sluice_xds_nacks_total");
        assert_eq!(
            nacks,
            0,
            "an Envoy refused what we sent\n{}",
            self.control.tail()
        );
    }

    /// Waits until `done` holds, at most `timeout`; how long it took.
    #[track_caller]
    pub fn eventually(
        &self,
        what: &str,
        timeout: Duration,
        mut done: impl FnMut() -> bool,
    ) -> Duration {
        let start = Instant::now();
        while !done() {
            assert!(
                start.elapsed() < timeout,
                "{what}: not within {timeout:?}\ncontrol plane:\n{}\ngateway:\n{}",
                self.control.tail(),
                self.gateway().process().tail()
            );
            std::thread::sleep(Duration::from_millis(10));
        }
        start.elapsed()
    }
}

fn start_control_plane(machine: &Machine, config: &Config) -> Process {
    let mut command = Program::Sluice.command();
    command
        .arg("serve")
        .arg("--config-dir")
        .arg(config.yaml())
        .arg("--token-file")
        .arg(config.tokens())
        .arg("--state-dir")
        .arg(config.state());
    let process = machine.spawn(command);
    let deadline = Instant::now() + READY;
    while !root_cert(&config.state()).exists() {
        assert!(
            process.exit_status().is_none() && Instant::now() < deadline,
            "the control plane does not start\n{}",
            process.tail()
        );
        std::thread::sleep(Duration::from_millis(10));
    }
    process
}

/// Where the control plane puts the root that proxies trust.
pub(crate) fn root_cert(state: &Path) -> PathBuf {
    state.join("root-cert.pem")
}
