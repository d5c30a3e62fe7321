//! Rules of a `VirtualService`; those of its HTTP routes are in [`http_route`].

use super::destination_rule::subset_name;
use super::host::{Check, covers, fqdn, is_ip, is_label, overlap, wildcard_domain};
use super::{Findings, UNREACHABLE_RULE, http_route, scalar};
use crate::diagnostic::Severity;
use crate::istio::virtual_service::http::HttpMatchRequest;
use crate::istio::virtual_service::{
    Destination, L4MatchAttributes, RouteDestination, TlsMatchAttributes, VirtualService,
};
use crate::object::Resource;
use crate::tree::path::Path;

pub(super) fn check(resource: &Resource<VirtualService>, spec: &Path<'_>, findings: &mut Findings) {
    let service = &resource.spec;
    if service.hosts.is_empty() {
        delegate(service, spec, findings);
    }
    hosts(service, spec, findings);
    gateway_names(&service.gateways, &spec.key("gateways"), findings);
    if service.http.is_empty() && service.tls.is_empty() && service.tcp.is_empty() {
        findings.error(spec, "http, tls or tcp is required");
    }
    let at = spec.key("http");
    for (index, route) in service.http.iter().enumerate() {
        http_route::check(route, service.hosts.is_empty(), &at.index(index), findings);
    }
    let catch_all = service.http.iter().position(|route| {
        route.matches.is_empty()
            || route
                .matches
                .iter()
                .any(|entry| *entry == HttpMatchRequest::default())
    });
    unreachable(catch_all, service.http.len(), &at, findings);
    tls_routes(service, &spec.key("tls"), findings);
    tcp_routes(service, &spec.key("tcp"), findings);
    let at = spec.key("exportTo");
    scalar::export_to(
        &resource.meta.namespace,
        &service.export_to,
        false,
        &at,
        findings,
    );
}

fn delegate(service: &VirtualService, spec: &Path<'_>, findings: &mut Findings) {
    for (field, is_set) in [
        ("gateways", !service.gateways.is_empty()),
        ("tls", !service.tls.is_empty()),
        ("tcp", !service.tcp.is_empty()),
    ] {
        if is_set {
            let message = format!("without hosts this is a delegate, which has no {field}");
            findings.error(&spec.key(field), message);
        }
    }
}

fn hosts(service: &VirtualService, spec: &Path<'_>, findings: &mut Findings) {
    let at = spec.key("hosts");
    let mesh_only = service.gateways.iter().all(|gateway| gateway == "mesh");
    let mut all_valid = true;
    for (index, host) in service.hosts.iter().enumerate() {
        let result = match host.as_str() {
            "*" if mesh_only => Err("host `*` needs a gateway".to_owned()),
            host if is_ip(host) => Ok(()),
            host => wildcard_domain(host),
        };
        all_valid &= result.is_ok();
        findings.check(&at.index(index), result);
    }
    if !all_valid {
        return;
    }
    for (index, host) in service.hosts.iter().enumerate() {
        if let Some(other) = service.hosts[..index]
            .iter()
            .find(|other| overlap(other, host))
        {
            let message = format!("host `{host}` overlaps with `{other}`");
            findings.error(&at.index(index), message);
        }
    }
}

/// `mesh`, `name` or `namespace/name`.
pub(super) fn gateway_names(names: &[String], at: &Path<'_>, findings: &mut Findings) {
    for (index, name) in names.iter().enumerate() {
        let at = at.index(index);
        match name.split_once('/') {
            Some((namespace, name)) if !is_label(namespace) || !is_label(name) => {
                findings.error(&at, "a gateway is named `name` or `namespace/name`");
            }
            Some(_) => {}
            None => {
                findings.check(&at, fqdn(name));
                if name.contains('.') {
                    findings.warning(&at, "names with dots are deprecated, use `namespace/name`");
                }
            }
        }
    }
}

/// Istio's code IST0130: what follows a rule without conditions is never reached.
fn unreachable(catch_all: Option<usize>, count: usize, at: &Path<'_>, findings: &mut Findings) {
    let Some(catch_all) = catch_all else { return };
    for index in catch_all + 1..count {
        let message = format!("never reached, rule {catch_all} matches everything");
        findings.add(
            Severity::Warning,
            UNREACHABLE_RULE,
            &at.index(index),
            message,
        );
    }
}

fn tls_routes(service: &VirtualService, at: &Path<'_>, findings: &mut Findings) {
    for (index, route) in service.tls.iter().enumerate() {
        let at = at.index(index);
        let matches = at.key("match");
        if route.matches.is_empty() {
            findings.error(&matches, "at least one match with sniHosts is required");
        }
        for (index, entry) in route.matches.iter().enumerate() {
            tls_match(entry, service, &matches.index(index), findings);
        }
        route_destinations(&route.route, &at.key("route"), findings);
    }
}

fn tls_match(
    entry: &TlsMatchAttributes,
    service: &VirtualService,
    at: &Path<'_>,
    findings: &mut Findings,
) {
    let sni_hosts = at.key("sniHosts");
    if entry.sni_hosts.is_empty() {
        findings.error(&sni_hosts, "at least one SNI host is required");
    }
    for (index, host) in entry.sni_hosts.iter().enumerate() {
        let at = sni_hosts.index(index);
        if is_ip(host) {
            findings.warning(&at, "clients send no SNI for an address");
        } else if let Err(message) = wildcard_domain(host) {
            findings.error(&at, message);
        } else if !service.hosts.iter().any(|outer| covers(outer, host)) {
            let hosts = service.hosts.join(", ");
            findings.error(
                &at,
                format_args!("SNI host `{host}` is not within the hosts {hosts}"),
            );
        }
    }
    let subnets = at.key("destinationSubnets");
    for (index, subnet) in entry.destination_subnets.iter().enumerate() {
        findings.check(&subnets.index(index), scalar::subnet(subnet));
    }
    optional_port(entry.port, &at.key("port"), findings);
    scalar::labels(&entry.source_labels, &at.key("sourceLabels"), findings);
    source_namespace(
        &entry.source_namespace,
        &at.key("sourceNamespace"),
        findings,
    );
    gateway_names(&entry.gateways, &at.key("gateways"), findings);
}

fn tcp_routes(service: &VirtualService, at: &Path<'_>, findings: &mut Findings) {
    for (index, route) in service.tcp.iter().enumerate() {
        let at = at.index(index);
        let matches = at.key("match");
        for (index, entry) in route.matches.iter().enumerate() {
            tcp_match(entry, &matches.index(index), findings);
        }
        route_destinations(&route.route, &at.key("route"), findings);
    }
    let catch_all = service.tcp.iter().position(|route| {
        route.matches.is_empty()
            || route
                .matches
                .iter()
                .any(|entry| *entry == L4MatchAttributes::default())
    });
    unreachable(catch_all, service.tcp.len(), at, findings);
}

fn tcp_match(entry: &L4MatchAttributes, at: &Path<'_>, findings: &mut Findings) {
    let subnets = at.key("destinationSubnets");
    for (index, subnet) in entry.destination_subnets.iter().enumerate() {
        findings.check(&subnets.index(index), scalar::subnet(subnet));
    }
    optional_port(entry.port, &at.key("port"), findings);
    scalar::labels(&entry.source_labels, &at.key("sourceLabels"), findings);
    source_namespace(
        &entry.source_namespace,
        &at.key("sourceNamespace"),
        findings,
    );
    gateway_names(&entry.gateways, &at.key("gateways"), findings);
}

fn route_destinations(routes: &[RouteDestination], at: &Path<'_>, findings: &mut Findings) {
    if routes.is_empty() {
        findings.error(at, "at least one target is required");
    }
    for (index, route) in routes.iter().enumerate() {
        let at = at.index(index);
        destination(&route.destination, &at.key("destination"), findings);
        scalar::not_negative(route.weight, &at.key("weight"), findings);
    }
    total_weight(routes.iter().map(|route| route.weight), at, findings);
}

/// Several targets without weights would get nothing.
pub(super) fn total_weight(
    weights: impl Iterator<Item = i32>,
    at: &Path<'_>,
    findings: &mut Findings,
) {
    let (mut count, mut total) = (0, 0_i64);
    for weight in weights {
        count += 1;
        total += i64::from(weight);
    }
    if count > 1 && total == 0 {
        findings.error(at, "the weights of several targets sum to 0");
    }
    // Envoy counts weights in 32 bits.
    if total > i64::from(u32::MAX) {
        findings.error(
            at,
            format_args!("the weights sum to {total}, which is too large"),
        );
    }
}

pub(super) fn destination(destination: &Destination, at: &Path<'_>, findings: &mut Findings) {
    findings.check(&at.key("host"), destination_host(&destination.host));
    if !destination.subset.is_empty() {
        findings.check(&at.key("subset"), subset_name(&destination.subset));
    }
    if let Some(selector) = &destination.port {
        findings.check(&at.key("port").key("number"), scalar::port(selector.number));
    }
}

fn destination_host(host: &str) -> Check {
    match host {
        "" => Err("a destination host is required".to_owned()),
        "*" => Err("`*` is no destination".to_owned()),
        host => wildcard_domain(host),
    }
}

/// A port where 0 means any.
pub(super) fn optional_port(number: u32, at: &Path<'_>, findings: &mut Findings) {
    if number != 0 {
        findings.check(at, scalar::port(number));
    }
}

pub(super) fn source_namespace(namespace: &str, at: &Path<'_>, findings: &mut Findings) {
    if !namespace.is_empty() && !is_label(namespace) {
        findings.error(at, format_args!("`{namespace}` is no namespace"));
    }
}
