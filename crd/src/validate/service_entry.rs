//! Rules of a `ServiceEntry` and of a `WorkloadEntry`.

use std::collections::BTreeSet;

use super::host::{fqdn, is_ip, whole_label_wildcard, wildcard_domain};
use super::{Findings, scalar};
use crate::common::protocol::Protocol;
use crate::istio::service_entry::{Resolution, ServiceEntry};
use crate::istio::workload_entry::WorkloadEntry;
use crate::object::Resource;
use crate::tree::path::Path;

pub(super) fn check(resource: &Resource<ServiceEntry>, spec: &Path<'_>, findings: &mut Findings) {
    let entry = &resource.spec;
    hosts(entry, spec, findings);
    addresses(entry, spec, findings);
    ports(entry, spec, findings);
    if let Some(selector) = &entry.workload_selector {
        let at = spec.key("workloadSelector");
        scalar::selector(&selector.labels, &at.key("labels"), findings);
        if !entry.endpoints.is_empty() {
            findings.error(&at, "only one of workloadSelector and endpoints may be set");
        }
        if entry.resolution == Resolution::None {
            findings.warning(&at, "without effect with resolution NONE");
        }
    }
    match entry.resolution {
        Resolution::None => {
            if !entry.endpoints.is_empty() {
                findings.error(
                    &spec.key("endpoints"),
                    "resolution NONE allows no endpoints",
                );
            }
        }
        Resolution::Static => {
            let at = spec.key("endpoints");
            for (index, endpoint) in entry.endpoints.iter().enumerate() {
                static_endpoint(endpoint, entry, &at.index(index), findings);
            }
        }
        Resolution::Dns | Resolution::DnsRoundRobin => dns(entry, spec, findings),
        Resolution::DynamicDns => dynamic_dns(entry, spec, findings),
    }
    let at = spec.key("exportTo");
    scalar::export_to(
        &resource.meta.namespace,
        &entry.export_to,
        true,
        &at,
        findings,
    );
}

fn hosts(entry: &ServiceEntry, spec: &Path<'_>, findings: &mut Findings) {
    let at = spec.key("hosts");
    if entry.hosts.is_empty() {
        findings.error(&at, "at least one host is required");
    }
    for (index, host) in entry.hosts.iter().enumerate() {
        let at = at.index(index);
        if host == "*" {
            findings.error(&at, "host `*` is not allowed");
            continue;
        }
        findings.check(&at, wildcard_domain(host));
        if let (Err(message), false) = (
            whole_label_wildcard(host),
            entry.resolution == Resolution::DynamicDns,
        ) {
            findings.warning(&at, message);
        }
    }
    // TCP has nothing in it that tells the host; with NONE the hosts do not matter.
    let tells_host = |protocol: &str| scalar::is_http(protocol) || scalar::is_tls(protocol);
    let opaque = entry
        .ports
        .iter()
        .position(|port| !tells_host(&port.protocol));
    if let (Some(index), true, true) = (
        opaque,
        entry.hosts.len() > 1,
        entry.resolution != Resolution::None,
    ) {
        let message = "several hosts need protocols that tell the host: HTTP, HTTPS, TLS or GRPC";
        findings.error(&spec.key("ports").index(index).key("protocol"), message);
    }
}

fn addresses(entry: &ServiceEntry, spec: &Path<'_>, findings: &mut Findings) {
    let at = spec.key("addresses");
    for (index, address) in entry.addresses.iter().enumerate() {
        let at = at.index(index);
        findings.check(&at, scalar::subnet(address));
        let allows_range = matches!(entry.resolution, Resolution::None | Resolution::Static);
        if address.contains('/') && !allows_range {
            findings.error(&at, "an address range needs resolution NONE or STATIC");
        }
    }
}

fn ports(entry: &ServiceEntry, spec: &Path<'_>, findings: &mut Findings) {
    let at = spec.key("ports");
    let (mut names, mut numbers) = (BTreeSet::new(), BTreeSet::new());
    for (index, port) in entry.ports.iter().enumerate() {
        let at = at.index(index);
        findings.check(&at.key("name"), scalar::port_name(&port.name));
        findings.check(&at.key("number"), scalar::port(port.number));
        findings.check(&at.key("protocol"), scalar::protocol(&port.protocol));
        if port.target_port != 0 {
            findings.check(&at.key("targetPort"), scalar::port(port.target_port));
        }
        if !names.insert(&port.name) {
            findings.error(
                &at.key("name"),
                format_args!("port name `{}` is there twice", port.name),
            );
        }
        if !numbers.insert(port.number) {
            findings.error(
                &at.key("number"),
                format_args!("port {} is there twice", port.number),
            );
        }
    }
}

fn dns(entry: &ServiceEntry, spec: &Path<'_>, findings: &mut Findings) {
    if entry.endpoints.is_empty() {
        let at = spec.key("hosts");
        for (index, host) in entry.hosts.iter().enumerate() {
            if host.contains('*') && host != "*" {
                let message = format!(
                    "wildcard host `{host}` cannot be looked up, list endpoints or use another resolution"
                );
                findings.error(&at.index(index), message);
            }
        }
    }
    let at = spec.key("endpoints");
    if entry.resolution == Resolution::DnsRoundRobin && entry.endpoints.len() > 1 {
        findings.error(&at, "resolution DNS_ROUND_ROBIN allows one endpoint");
    }
    for (index, endpoint) in entry.endpoints.iter().enumerate() {
        let at = at.index(index);
        if !is_ip(&endpoint.address) {
            findings.check(&at.key("address"), fqdn(&endpoint.address));
        }
        endpoint_ports(endpoint, Some(entry), &at, findings);
        scalar::labels(&endpoint.labels, &at.key("labels"), findings);
    }
}

fn dynamic_dns(entry: &ServiceEntry, spec: &Path<'_>, findings: &mut Findings) {
    let hosts = spec.key("hosts");
    for (index, host) in entry.hosts.iter().enumerate() {
        if !host.starts_with('*') {
            findings.error(
                &hosts.index(index),
                "resolution DYNAMIC_DNS needs wildcard hosts",
            );
        }
    }
    if !entry.addresses.is_empty() {
        findings.error(
            &spec.key("addresses"),
            "resolution DYNAMIC_DNS allows no addresses",
        );
    }
    if !entry.endpoints.is_empty() {
        findings.error(
            &spec.key("endpoints"),
            "resolution DYNAMIC_DNS allows no endpoints",
        );
    }
    let ports = spec.key("ports");
    for (index, port) in entry.ports.iter().enumerate() {
        let tells_name = matches!(
            Protocol::parse(&port.protocol),
            Some(Protocol::Http | Protocol::Http2 | Protocol::Grpc | Protocol::Tls)
        );
        if !tells_name {
            let message = "resolution DYNAMIC_DNS needs protocol HTTP, HTTP2, GRPC or TLS";
            findings.error(&ports.index(index).key("protocol"), message);
        }
    }
}

fn static_endpoint(
    endpoint: &WorkloadEntry,
    entry: &ServiceEntry,
    at: &Path<'_>,
    findings: &mut Findings,
) {
    let address = at.key("address");
    if let Some(path) = endpoint.address.strip_prefix("unix://") {
        findings.check(&address, scalar::unix_path(path));
        if entry.ports.len() != 1 {
            findings.error(&address, "a Unix socket needs exactly one service port");
        }
    } else if endpoint.address.is_empty() {
        missing_address(endpoint, &address, findings);
    } else {
        findings.check(&address, scalar::ip(&endpoint.address));
    }
    endpoint_ports(endpoint, Some(entry), at, findings);
    scalar::labels(&endpoint.labels, &at.key("labels"), findings);
}

pub(super) fn workload_entry(endpoint: &WorkloadEntry, at: &Path<'_>, findings: &mut Findings) {
    let address = at.key("address");
    if let Some(path) = endpoint.address.strip_prefix("unix://") {
        findings.check(&address, scalar::unix_path(path));
    } else if endpoint.address.is_empty() {
        missing_address(endpoint, &address, findings);
    } else if !is_ip(&endpoint.address) {
        findings.check(&address, fqdn(&endpoint.address));
    }
    endpoint_ports(endpoint, None, at, findings);
    scalar::labels(&endpoint.labels, &at.key("labels"), findings);
}

fn missing_address(endpoint: &WorkloadEntry, at: &Path<'_>, findings: &mut Findings) {
    if endpoint.network.is_empty() {
        findings.error(at, "an address is required");
    } else {
        findings.warning(
            at,
            format_args!("no address, only network `{}`", endpoint.network),
        );
    }
}

fn endpoint_ports(
    endpoint: &WorkloadEntry,
    entry: Option<&ServiceEntry>,
    at: &Path<'_>,
    findings: &mut Findings,
) {
    let at = at.key("ports");
    if endpoint.address.starts_with("unix://") && !endpoint.ports.is_empty() {
        findings.error(&at, "a Unix socket has no ports");
    }
    for (name, number) in &endpoint.ports {
        let at = at.key(name);
        findings.check(&at, scalar::port_name(name));
        findings.check(&at, scalar::port(*number));
        if entry.is_some_and(|entry| entry.ports.iter().all(|port| port.name != *name)) {
            findings.error(
                &at,
                format_args!("the ServiceEntry has no port named `{name}`"),
            );
        }
    }
}
