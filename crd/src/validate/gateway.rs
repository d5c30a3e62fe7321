//! Rules of a `Gateway`.

use std::collections::BTreeSet;

use super::host::{is_label, scoped};
use super::{Findings, scalar, tls};
use crate::istio::gateway::{Gateway, Server, ServerTlsMode, ServerTlsSettings};
use crate::object::Resource;
use crate::tree::path::Path;

pub(super) fn check(resource: &Resource<Gateway>, spec: &Path<'_>, findings: &mut Findings) {
    if !is_label(&resource.meta.name) {
        let metadata = Path::Key(&Path::Root, "metadata");
        let message = format!("gateway name `{}` is no DNS label", resource.meta.name);
        findings.error(&metadata.key("name"), message);
    }
    let at = spec.key("servers");
    let servers = &resource.spec.servers;
    if servers.is_empty() {
        findings.error(&at, "at least one server is required");
    }
    let mut names = BTreeSet::new();
    for (index, item) in servers.iter().enumerate() {
        let at = at.index(index);
        server(item, &at, findings);
        let name = &item.port.name;
        if !name.is_empty() && !names.insert(name) {
            let port = at.key("port");
            findings.error(
                &port.key("name"),
                format_args!("port name `{name}` is there twice"),
            );
        }
    }
}

fn server(server: &Server, at: &Path<'_>, findings: &mut Findings) {
    let hosts = at.key("hosts");
    if server.hosts.is_empty() {
        findings.error(&hosts, "at least one host is required");
    }
    for (index, host) in server.hosts.iter().enumerate() {
        let at = hosts.index(index);
        let (namespace, host) = host.split_once('/').unwrap_or(("*", host));
        if namespace != "*" && namespace != "." && !is_label(namespace) {
            findings.error(
                &at,
                format_args!("`{namespace}` is no namespace, `.` or `*`"),
            );
        }
        findings.check(&at, scoped(host, true));
    }
    port_and_bind(server, at, findings);
    if let Some(settings) = &server.tls {
        tls::server(settings, &at.key("tls"), findings);
    }
    tls_fits_protocol(server, at, findings);
}

fn port_and_bind(server: &Server, at: &Path<'_>, findings: &mut Findings) {
    let (port, port_at) = (&server.port, at.key("port"));
    let socket = server.bind.strip_prefix("unix://");
    if port.protocol.is_empty() {
        findings.error(&port_at.key("protocol"), "a protocol is required");
    } else {
        findings.check(&port_at.key("protocol"), scalar::protocol(&port.protocol));
    }
    if port.name.is_empty() {
        findings.error(&port_at.key("name"), "a port name is required");
    }
    if port.target_port != 0 {
        findings.error(
            &port_at.key("targetPort"),
            "targetPort has no meaning in a Gateway",
        );
    }
    if port.number != 0 || socket.is_none() {
        findings.check(&port_at.key("number"), scalar::port(port.number));
    }
    match socket {
        Some(path) => {
            findings.check(&at.key("bind"), scalar::unix_path(path));
            if port.number != 0 {
                findings.error(
                    &port_at.key("number"),
                    "the port of a Unix socket must be 0",
                );
            }
        }
        None if server.bind.is_empty() => {}
        None => findings.check(&at.key("bind"), scalar::ip(&server.bind)),
    }
}

fn tls_fits_protocol(server: &Server, at: &Path<'_>, findings: &mut Findings) {
    let protocol = server.port.protocol.as_str();
    let at = at.key("tls");
    match &server.tls {
        None if scalar::is_tls(protocol) => {
            findings.error(&at, format_args!("tls is required for protocol {protocol}"));
        }
        Some(settings) if scalar::is_http(protocol) && !is_redirect_only(settings) => {
            findings.error(
                &at,
                format_args!("protocol {protocol} allows no tls but httpsRedirect"),
            );
        }
        Some(settings) => {
            if !scalar::is_tls(protocol) && !scalar::is_http(protocol) {
                findings.error(&at, format_args!("protocol {protocol} allows no tls"));
            }
            if settings.https_redirect && !scalar::is_http(protocol) {
                findings.warning(
                    &at.key("httpsRedirect"),
                    "httpsRedirect works only with protocol HTTP",
                );
            }
        }
        None => {}
    }
}

fn is_redirect_only(settings: &ServerTlsSettings) -> bool {
    matches!(
        settings.mode,
        ServerTlsMode::Passthrough | ServerTlsMode::AutoPassthrough
    ) && settings.ca_certificates.is_empty()
        && settings.private_key.is_empty()
        && settings.server_certificate.is_empty()
}
