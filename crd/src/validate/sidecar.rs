//! Rules of a `Sidecar`.

use std::collections::BTreeSet;

use super::host::{fqdn, is_label, scoped};
use super::{Findings, scalar, tls, traffic_policy};
use crate::istio::gateway::ServerTlsMode;
use crate::istio::sidecar::{
    CaptureMode, IstioEgressListener, IstioIngressListener, OutboundTrafficPolicyMode, Sidecar,
    SidecarPort,
};
use crate::object::Resource;
use crate::tree::path::Path;

pub(super) fn check(resource: &Resource<Sidecar>, spec: &Path<'_>, findings: &mut Findings) {
    let sidecar = &resource.spec;
    if *sidecar
        == (Sidecar {
            workload_selector: sidecar.workload_selector.clone(),
            ..Sidecar::default()
        })
    {
        findings.error(spec, "an empty Sidecar is not allowed");
    }
    if let Some(selector) = &sidecar.workload_selector {
        let at = spec.key("workloadSelector");
        scalar::selector(&selector.labels, &at.key("labels"), findings);
    }
    let at = spec.key("ingress");
    let mut numbers = BTreeSet::new();
    for (index, listener) in sidecar.ingress.iter().enumerate() {
        ingress(listener, &mut numbers, &at.index(index), findings);
    }
    if let Some(settings) = &sidecar.inbound_connection_pool {
        traffic_policy::connection_pool(settings, &spec.key("inboundConnectionPool"), findings);
    }
    let at = spec.key("egress");
    let mut seen = BTreeSet::new();
    for (index, listener) in sidecar.egress.iter().enumerate() {
        let is_last = index + 1 == sidecar.egress.len();
        egress(listener, is_last, &mut seen, &at.index(index), findings);
    }
    outbound_traffic_policy(sidecar, spec, findings);
}

fn ingress(
    listener: &IstioIngressListener,
    numbers: &mut BTreeSet<u32>,
    at: &Path<'_>,
    findings: &mut Findings,
) {
    let port_at = at.key("port");
    let Some(port) = &listener.port else {
        findings.error(&port_at, "a port is required");
        return;
    };
    common_port(port, &port_at, findings);
    findings.check(&port_at.key("number"), scalar::port(port.number));
    if !numbers.insert(port.number) {
        findings.error(
            &port_at.key("number"),
            format_args!("port {} is there twice", port.number),
        );
    }
    if !listener.bind.is_empty() {
        findings.check(&at.key("bind"), scalar::ip(&listener.bind));
    }
    if let Some(settings) = &listener.tls {
        let at = at.key("tls");
        tls::server(settings, &at, findings);
        if !scalar::is_tls(&port.protocol) {
            findings.error(
                &at,
                format_args!("protocol {} allows no tls", port.protocol),
            );
        }
        if matches!(
            settings.mode,
            ServerTlsMode::IstioMutual | ServerTlsMode::AutoPassthrough
        ) {
            findings.error(&at.key("mode"), "this mode is not allowed in a Sidecar");
        }
    }
    if let Some(settings) = &listener.connection_pool {
        traffic_policy::connection_pool(settings, &at.key("connectionPool"), findings);
    }
}

fn common_port(port: &SidecarPort, at: &Path<'_>, findings: &mut Findings) {
    if !port.name.is_empty() {
        findings.check(&at.key("name"), scalar::port_name(&port.name));
    }
    findings.check(&at.key("protocol"), scalar::protocol(&port.protocol));
    if port.target_port != 0 {
        findings.error(
            &at.key("targetPort"),
            "targetPort has no meaning in a Sidecar",
        );
    }
}

fn egress<'a>(
    listener: &'a IstioEgressListener,
    is_last: bool,
    seen: &mut BTreeSet<(u32, &'a str)>,
    at: &Path<'_>,
    findings: &mut Findings,
) {
    let port_at = at.key("port");
    match &listener.port {
        None if is_last => {}
        None => findings.error(at, "the listener without a port must be the last one"),
        Some(port) => {
            common_port(port, &port_at, findings);
            let socket = listener.bind.strip_prefix("unix://");
            match (port.number, socket) {
                (0, None) => {
                    findings.error(&port_at.key("number"), "port 0 needs a bind of unix://")
                }
                (0, Some(path)) => {
                    findings.check(&at.key("bind"), scalar::unix_path(path));
                    if listener.capture_mode == CaptureMode::Iptables {
                        findings.error(&at.key("captureMode"), "a Unix socket cannot be captured");
                    }
                }
                (number, _) => {
                    findings.check(&port_at.key("number"), scalar::port(number));
                    if !listener.bind.is_empty() {
                        findings.check(&at.key("bind"), scalar::ip(&listener.bind));
                    }
                }
            }
            let key = (
                port.number,
                if port.number == 0 {
                    listener.bind.as_str()
                } else {
                    ""
                },
            );
            if !seen.insert(key) {
                findings.error(&port_at, "two listeners have the same port or socket");
            }
        }
    }
    hosts(&listener.hosts, &at.key("hosts"), findings);
}

fn hosts(hosts: &[String], at: &Path<'_>, findings: &mut Findings) {
    if hosts.is_empty() {
        findings.error(at, "at least one host is required");
    }
    let mut seen = BTreeSet::new();
    for (index, entry) in hosts.iter().enumerate() {
        let at = at.index(index);
        let Some((namespace, host)) = entry.split_once('/') else {
            findings.error(
                &at,
                format_args!("`{entry}` is not of the form namespace/host"),
            );
            continue;
        };
        let plain = namespace.strip_prefix('~').unwrap_or(namespace);
        // `~/*` is Istio's way to see nothing at all.
        let is_namespace = matches!(plain, "*" | ".") || is_label(plain) || namespace == "~";
        if !is_namespace {
            findings.error(
                &at,
                format_args!("`{namespace}` is no namespace, `.`, `*` or `~`"),
            );
        }
        findings.check(&at, scoped(host, false));
        if !seen.insert(entry) {
            findings.warning(&at, format_args!("`{entry}` is there twice"));
        }
    }
}

fn outbound_traffic_policy(sidecar: &Sidecar, spec: &Path<'_>, findings: &mut Findings) {
    let Some(policy) = &sidecar.outbound_traffic_policy else {
        return;
    };
    let Some(proxy) = &policy.egress_proxy else {
        return;
    };
    let policy_at = spec.key("outboundTrafficPolicy");
    let at = policy_at.key("egressProxy");
    if policy.mode != OutboundTrafficPolicyMode::AllowAny {
        findings.error(&at, "egressProxy needs mode ALLOW_ANY");
    }
    findings.check(&at.key("host"), fqdn(&proxy.host));
    let port = at.key("port");
    match &proxy.port {
        None => findings.error(&port, "a port is required"),
        Some(selector) => findings.check(&port.key("number"), scalar::port(selector.number)),
    }
}
