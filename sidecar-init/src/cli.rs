//! The command line of `sluice-init`.

use std::io::Write as _;
use std::path::PathBuf;

use anyhow::{Context as _, bail};
use clap::{Args, Parser, Subcommand, ValueEnum};
use serde::Serialize;
use sluice_init::cidr::Cidr;
use sluice_init::ebpf::{self, Pins, Rules, Status};
use sluice_init::nftables::{self, CAPTURE_PORT, Capture};
use sluice_init::{cgroup, doctor};

/// Installs the redirect and guard of a pod, then exits.
#[derive(Parser)]
#[command(version)]
pub(crate) struct Cli {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Attach the redirect and guard to the pod, in its network namespace; again is to replace
    Install {
        #[command(flatten)]
        pod: Pod,
        #[command(flatten)]
        rules: RuleArgs,
        /// Refuse IPv6 as unreachable, because no gateway has it
        #[arg(long)]
        refuse_ipv6: bool,
    },
    /// Say whether the redirect and guard stand; exits with 1 if not
    Check {
        #[command(flatten)]
        pod: Pod,
        /// Add what was kept in since the last look, which takes it from the buffer
        #[arg(long)]
        events: bool,
    },
    /// Take the redirect and guard off
    Remove {
        #[command(flatten)]
        pod: Pod,
    },
    /// Say whether this node and container can have them; exits with 1 if not
    Doctor {
        #[command(flatten)]
        pins: PinArgs,
        #[command(flatten)]
        output: OutputArgs,
    },
    /// Print rules for `nft -f -` that redirect without eBPF: a fallback that has no guard
    Nftables {
        #[command(flatten)]
        rules: RuleArgs,
    },
}

#[derive(Args)]
struct Pod {
    #[command(flatten)]
    cgroup: CgroupArgs,
    /// An interface of the pod, repeatable; by default all but the loopback
    #[arg(long = "interface", value_name = "NAME")]
    interfaces: Vec<String>,
    #[command(flatten)]
    pins: PinArgs,
    #[command(flatten)]
    output: OutputArgs,
}

#[derive(Args)]
#[group(required = true, multiple = false)]
struct CgroupArgs {
    /// The pod's cgroup, as a folder of a cgroup2 mount
    #[arg(long, value_name = "DIR")]
    cgroup: Option<PathBuf>,
    /// The pod's uid, by which its cgroup is found
    #[arg(long, value_name = "UID", env = "POD_UID")]
    pod_uid: Option<String>,
}

#[derive(Args)]
struct PinArgs {
    /// Where pods' links and maps are pinned; a folder of a bpf file system
    #[arg(long, value_name = "DIR", default_value = "/sys/fs/bpf/sluice")]
    pin_dir: PathBuf,
}

#[derive(Args)]
struct RuleArgs {
    /// A range that the pod reaches without its sidecar, repeatable: pods, Services, control plane
    #[arg(long = "allow-cidr", value_name = "CIDR")]
    allow: Vec<Cidr>,
    /// The sidecar's capture port
    #[arg(long, value_name = "PORT", default_value_t = CAPTURE_PORT)]
    proxy_port: u16,
}

#[derive(Args)]
struct OutputArgs {
    /// How to print
    #[arg(short = 'o', long, value_enum, default_value_t = Format::Text)]
    output: Format,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    Text,
    Json,
}

/// What `check` prints.
#[derive(Serialize)]
struct Report {
    #[serde(flatten)]
    status: Status,
    #[serde(skip_serializing_if = "Option::is_none")]
    events: Option<Vec<ebpf::Event>>,
}

/// Runs the command; whether all is as it should be.
pub(crate) fn run(cli: Cli) -> anyhow::Result<bool> {
    match cli.verb {
        Verb::Install {
            pod,
            rules,
            refuse_ipv6,
        } => {
            let (cgroup, pins) = pod.find()?;
            let interfaces = ebpf::interfaces(&pod.interfaces)?;
            let rules = Rules {
                proxy_port: rules.proxy_port,
                allow: rules.allow.into_iter().collect(),
                refuse_ipv6,
            };
            ebpf::install(&cgroup, &interfaces, &rules, &pins)?;
            let status = ebpf::status(&cgroup, &interfaces, &pins)?;
            let installed = status.installed;
            report(&status, None, pod.output.output)?;
            if !installed {
                bail!("the kernel does not have what was just attached");
            }
            Ok(true)
        }
        Verb::Check { pod, events } => {
            let (cgroup, pins) = pod.find()?;
            let interfaces = ebpf::interfaces(&pod.interfaces)?;
            let status = ebpf::status(&cgroup, &interfaces, &pins)?;
            let events = events.then(|| ebpf::events(&pins)).transpose()?;
            let installed = status.installed;
            report(&status, events, pod.output.output)?;
            Ok(installed)
        }
        Verb::Remove { pod } => {
            let (_, pins) = pod.find()?;
            ebpf::remove(&pins)?;
            Ok(true)
        }
        Verb::Doctor { pins, output } => {
            let findings = doctor::examine(&pins.pin_dir);
            match output.output {
                Format::Json => print_json(&findings)?,
                Format::Text => {
                    let lines = findings.iter().map(|finding| {
                        let verdict = if finding.ok { "ok" } else { "no" };
                        format!("{verdict}  {}: {}\n", finding.check, finding.detail)
                    });
                    print(&lines.collect::<String>())?;
                }
            }
            Ok(findings.iter().all(|finding| finding.ok))
        }
        Verb::Nftables { rules } => {
            print(&nftables::ruleset(&Capture {
                proxy_port: rules.proxy_port,
                cluster_cidrs: rules.allow.into_iter().collect(),
                ..Capture::default()
            }))?;
            Ok(true)
        }
    }
}

impl Pod {
    /// The pod's cgroup and pins. Pins have the pod's uid, or else the cgroup's id, for a name.
    fn find(&self) -> anyhow::Result<(PathBuf, Pins)> {
        use std::os::unix::fs::MetadataExt as _;

        let (cgroup, name) = match (&self.cgroup.cgroup, &self.cgroup.pod_uid) {
            (Some(path), _) => {
                let path = cgroup::by_path(path)?;
                let metadata = path
                    .metadata()
                    .with_context(|| path.display().to_string())?;
                (path, format!("cgroup-{}", metadata.ino()))
            }
            (None, Some(uid)) => (cgroup::by_pod_uid(uid)?, uid.clone()),
            (None, None) => bail!("give --cgroup or --pod-uid"),
        };
        Ok((cgroup, Pins::new(&self.pins.pin_dir, &name)))
    }
}

fn report(status: &Status, events: Option<Vec<ebpf::Event>>, format: Format) -> anyhow::Result<()> {
    if format == Format::Json {
        return print_json(&Report {
            status: status.clone(),
            events,
        });
    }
    let mut text = String::new();
    for hook in &status.hooks {
        let place = hook
            .interface
            .as_ref()
            .map_or_else(String::new, |name| format!(" on {name}"));
        text += &format!("{}{place}: {:?}\n", hook.hook, hook.state).to_lowercase();
    }
    for (name, count) in &status.counters {
        text += &format!("{name} {count}\n");
    }
    for event in events.iter().flatten() {
        text += &format!("{}\n", serde_json::to_string(event)?);
    }
    print(&text)
}

fn print_json(value: &impl Serialize) -> anyhow::Result<()> {
    print(&format!("{}\n", serde_json::to_string_pretty(value)?))
}

fn print(text: &str) -> anyhow::Result<()> {
    std::io::stdout()
        .write_all(text.as_bytes())
        .context("cannot write to stdout")
}
