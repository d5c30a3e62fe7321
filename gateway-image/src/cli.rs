//! The command line. Every option is also an environment variable; where Istio has one for the
//! same thing, it is Istio's.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    path::PathBuf,
    time::Duration,
};

use clap::{Parser, ValueEnum};

use crate::config::{Config, ConfigError, ControlPlane, Envoy, Pod, Role, RunDir};

/// Runs Envoy as one half of the egress hop: gets and renews the workload's certificate, serves
/// it to Envoy on a pod-local socket, starts Envoy, says when it is ready, drains it on SIGTERM.
///
/// Example:
///   sluice-proxy --role gateway --control-plane sluice.sluice-system.svc:15012 \
///     --pod-name egress-0 --pod-namespace istio-system --pod-ip 10.244.0.7 \
///     --service-account istio-egressgateway
///
/// Ports: 15021 /healthz/ready and /healthz/live, 15090 /stats/prometheus. Envoy's admin interface
/// is the Unix socket admin.sock in the run directory: curl --unix-socket DIR/admin.sock http://x/help
#[derive(Clone, Debug, Parser)]
#[command(name = "sluice-proxy", version, verbatim_doc_comment)]
pub struct Options {
    /// Which half of the hop this is
    #[arg(long, env = "SLUICE_ROLE", value_enum)]
    pub role: RoleOption,
    /// Control plane, HOST:PORT: xDS and certificates
    #[arg(long, env = "CA_ADDR", value_name = "HOST:PORT")]
    pub control_plane: String,
    /// DNS name that the control plane's certificate must carry
    #[arg(
        long,
        env = "SLUICE_CONTROL_PLANE_SAN",
        default_value = "sluice.sluice-system.svc",
        value_name = "NAME"
    )]
    pub control_plane_san: String,
    /// File with the bearer token that proves who this pod is; read afresh for every request
    #[arg(
        long,
        env = "SLUICE_TOKEN_FILE",
        default_value = "/var/run/secrets/tokens/istio-token",
        value_name = "FILE"
    )]
    pub token_file: PathBuf,
    /// PEM file with the root that the control plane's certificate chains to
    #[arg(
        long,
        env = "SLUICE_ROOT_CERT",
        default_value = "/var/run/secrets/istio/root-cert.pem",
        value_name = "FILE"
    )]
    pub root_cert: PathBuf,
    /// Name of this pod
    #[arg(long, env = "POD_NAME", value_name = "NAME")]
    pub pod_name: String,
    /// Namespace of this pod
    #[arg(long, env = "POD_NAMESPACE", value_name = "NAMESPACE")]
    pub pod_namespace: String,
    /// First address of this pod
    #[arg(long, env = "INSTANCE_IP", value_name = "IP")]
    pub pod_ip: IpAddr,
    /// Service account of this pod
    #[arg(long, env = "SERVICE_ACCOUNT", value_name = "NAME")]
    pub service_account: String,
    /// Trust domain of the mesh
    #[arg(
        long,
        env = "TRUST_DOMAIN",
        default_value = "cluster.local",
        value_name = "NAME"
    )]
    pub trust_domain: String,
    /// Directory for sockets and the bootstrap; made with mode 0700 when missing
    #[arg(
        long,
        env = "SLUICE_RUN_DIR",
        default_value = "/run/sluice",
        value_name = "DIR"
    )]
    pub run_dir: PathBuf,
    /// Directory that file secrets of Gateways and DestinationRules may come from; repeatable. None: any file
    #[arg(
        long = "secret-root",
        env = "SLUICE_SECRET_ROOTS",
        value_delimiter = ',',
        value_name = "DIR"
    )]
    pub secret_roots: Vec<PathBuf>,
    /// The Envoy binary
    #[arg(
        long,
        env = "SLUICE_ENVOY",
        default_value = "/usr/local/bin/envoy",
        value_name = "FILE"
    )]
    pub envoy: PathBuf,
    /// Envoy's worker threads; 0 is one per core
    #[arg(
        long,
        env = "SLUICE_CONCURRENCY",
        default_value_t = 2,
        value_name = "N"
    )]
    pub concurrency: u32,
    /// How long open connections may go on after SIGTERM, for example 45s or 2m
    #[arg(long, env = "SLUICE_DRAIN_TIME", default_value = "45s", value_parser = duration, value_name = "TIME")]
    pub drain_time: Duration,
    /// How long to go on after SIGTERM even without connections, until clients have heard of it;
    /// by default 5s for gateways, 0s for sidecars
    #[arg(long, env = "MINIMUM_DRAIN_DURATION", value_parser = duration, value_name = "TIME")]
    pub minimum_drain_time: Option<Duration>,
    /// Refuse connections beyond this many; by default what the limit on open files allows
    #[arg(long, env = "SLUICE_MAX_CONNECTIONS", value_parser = clap::value_parser!(u64).range(1..), value_name = "N")]
    pub max_connections: Option<u64>,
    /// Address that the two ports below are opened on; by default every address of the pod's IP family
    #[arg(long, env = "SLUICE_LISTEN_ADDRESS", value_name = "IP")]
    pub listen_address: Option<IpAddr>,
    /// Port of /healthz/ready and /healthz/live
    #[arg(
        long,
        env = "SLUICE_READY_PORT",
        default_value_t = 15021,
        value_name = "PORT"
    )]
    pub ready_port: u16,
    /// Port of /stats/prometheus
    #[arg(
        long,
        env = "SLUICE_METRICS_PORT",
        default_value_t = 15090,
        value_name = "PORT"
    )]
    pub metrics_port: u16,
    /// Log level of this process: error, warn, info, debug, or a filter such as info,sluice_proxy=debug
    #[arg(
        long,
        env = "SLUICE_LOG_LEVEL",
        default_value = "info",
        value_name = "LEVEL"
    )]
    pub log_level: String,
    /// Log level of Envoy
    #[arg(long, env = "SLUICE_ENVOY_LOG_LEVEL", default_value = "warning", value_name = "LEVEL",
          value_parser = ["trace", "debug", "info", "warning", "error", "critical", "off"])]
    pub envoy_log_level: String,
    /// Make Envoy refuse config with fields that it does not know (for tests; costs upgrades their freedom)
    #[arg(long)]
    pub reject_unknown_dynamic_fields: bool,
}

/// [`Role`] as clap spells it.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum RoleOption {
    /// Receives tunnels and decides
    Gateway,
    /// Captures a pod's connections and sends all of them to a gateway
    Sidecar,
}

impl Options {
    /// The checked config; `open_files` is the limit that Envoy will run under.
    ///
    /// # Errors
    /// When an option makes no sense.
    pub fn config(self, open_files: u64) -> Result<Config, ConfigError> {
        let listen = self.listen_address.unwrap_or_else(|| match self.pod_ip {
            IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
            IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
        });
        let (role, minimum_drain_time) = match self.role {
            RoleOption::Gateway => (Role::Gateway, Duration::from_secs(5)),
            RoleOption::Sidecar => (Role::Sidecar, Duration::ZERO),
        };
        Config {
            role,
            control_plane: ControlPlane::parse(&self.control_plane, &self.control_plane_san)?,
            pod: Pod {
                name: self.pod_name,
                namespace: self.pod_namespace,
                ip: self.pod_ip,
                service_account: self.service_account,
            },
            trust_domain: self.trust_domain,
            token_file: self.token_file,
            root_cert: self.root_cert,
            run_dir: RunDir::new(&self.run_dir)?,
            secret_roots: self.secret_roots,
            envoy: Envoy {
                binary: self.envoy,
                concurrency: self.concurrency,
                drain_time: self.drain_time,
                minimum_drain_time: self.minimum_drain_time.unwrap_or(minimum_drain_time),
                log_level: self.envoy_log_level,
                reject_unknown_dynamic_fields: self.reject_unknown_dynamic_fields,
                max_connections: self
                    .max_connections
                    .unwrap_or_else(|| connections(open_files)),
            },
            health: SocketAddr::new(listen, self.ready_port),
            metrics: SocketAddr::new(listen, self.metrics_port),
        }
        .checked()
    }
}

/// Each connection has two sockets, one for either side; 512 files are left for everything else.
/// More than 100,000 connections need more memory than a proxy's pod has.
fn connections(open_files: u64) -> u64 {
    (open_files.saturating_sub(512) / 2).clamp(128, 100_000)
}

/// `45s`, `500ms`, `2m`, `1h`; a bare number is seconds.
fn duration(text: &str) -> Result<Duration, String> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let factor_ms = match unit {
        "ms" => 1,
        "s" | "" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => return Err(format!("unknown unit {unit:?}: expected ms, s, m or h")),
    };
    let number: u64 = number
        .parse()
        .map_err(|_| "expected a number and a unit, for example 45s".to_owned())?;
    number
        .checked_mul(factor_ms)
        .map(Duration::from_millis)
        .ok_or_else(|| "too long".to_owned())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    const LEAST: [&str; 13] = [
        "sluice-proxy",
        "--role",
        "gateway",
        "--control-plane",
        "10.96.0.10:15012",
        "--pod-name",
        "egress-0",
        "--pod-namespace",
        "istio-system",
        "--pod-ip",
        "fd00::7",
        "--service-account",
        "istio-egressgateway",
    ];

    fn config(more: &[&str]) -> Config {
        Options::try_parse_from(LEAST.iter().chain(more))
            .unwrap()
            .config(1024)
            .unwrap()
    }

    #[test]
    fn command_line_is_consistent() {
        Options::command().debug_assert();
    }

    #[test]
    fn defaults_are_istios_ports_on_the_pods_family() {
        let config = config(&[]);
        assert_eq!(config.health, "[::]:15021".parse().unwrap());
        assert_eq!(config.metrics, "[::]:15090".parse().unwrap());
        assert_eq!(config.envoy.drain_time, Duration::from_secs(45));
        assert_eq!(
            config.node_id(),
            "router~fd00::7~egress-0.istio-system~istio-system.svc.cluster.local"
        );
        assert_eq!(
            config.spiffe_id(),
            "spiffe://cluster.local/ns/istio-system/sa/istio-egressgateway"
        );
    }

    #[test]
    fn connection_limit_follows_the_limit_on_open_files() {
        assert_eq!(config(&[]).envoy.max_connections, 256);
        assert_eq!(config(&["--max-connections", "7"]).envoy.max_connections, 7);
        assert_eq!(connections(1_048_576), 100_000);
        assert_eq!(connections(0), 128);
    }

    #[test]
    fn durations_carry_their_unit() {
        assert_eq!(duration("45s"), Ok(Duration::from_secs(45)));
        assert_eq!(duration("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(duration("2m"), Ok(Duration::from_secs(120)));
        assert_eq!(duration("3"), Ok(Duration::from_secs(3)));
        for bad in [
            "",
            "s",
            "1d",
            "-1s",
            "1.5s",
            "99999999999999999999s",
            "9999999999999999h",
        ] {
            assert!(duration(bad).is_err(), "{bad}");
        }
    }
}
