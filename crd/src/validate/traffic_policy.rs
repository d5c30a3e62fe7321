//! Rules of a traffic policy: load balancing, limits, ejection, tunnels.

use std::collections::BTreeSet;

use super::host::{fqdn, is_ip};
use super::{Findings, scalar, tls};
use crate::istio::destination_rule::connection_pool::{
    ConnectionPoolSettings, H2UpgradePolicy, HttpSettings, OutlierDetection, TcpKeepalive,
    TcpSettings,
};
use crate::istio::destination_rule::load_balancer::{
    ConsistentHashLb, LoadBalancerSettings, WarmupConfiguration,
};
use crate::istio::destination_rule::{PortTrafficPolicy, TrafficPolicy, TunnelSettings};
use crate::tree::path::Path;

pub(super) fn check(policy: &TrafficPolicy, at: &Path<'_>, findings: &mut Findings) {
    if *policy == TrafficPolicy::default() {
        findings.error(at, "an empty traffic policy is not allowed");
    }
    if policy.tunnel.is_some() && policy.proxy_protocol.is_some() {
        findings.error(at, "only one of tunnel and proxyProtocol may be set");
    }
    if let Some(settings) = &policy.load_balancer {
        load_balancer(settings, &at.key("loadBalancer"), findings);
    }
    if let Some(settings) = &policy.connection_pool {
        connection_pool(settings, &at.key("connectionPool"), findings);
    }
    if let Some(settings) = &policy.outlier_detection {
        outlier_detection(settings, &at.key("outlierDetection"), findings);
    }
    if let Some(settings) = &policy.tls {
        tls::client(settings, &at.key("tls"), findings);
    }
    if let Some(settings) = &policy.tunnel {
        tunnel(settings, &at.key("tunnel"), findings);
    }
    let ports = at.key("portLevelSettings");
    let mut numbers = BTreeSet::new();
    for (index, policy) in policy.port_level_settings.iter().enumerate() {
        let at = ports.index(index);
        port_policy(policy, &at, findings);
        let number = policy.port.as_ref().map(|port| port.number);
        if let Some(number) = number.filter(|number| !numbers.insert(*number)) {
            findings.warning(
                &at.key("port"),
                format_args!("port {number} is there twice, the first counts"),
            );
        }
    }
}

fn port_policy(policy: &PortTrafficPolicy, at: &Path<'_>, findings: &mut Findings) {
    let port = at.key("port");
    match &policy.port {
        None => findings.error(&port, "a port is required"),
        Some(selector) => findings.check(&port.key("number"), scalar::port(selector.number)),
    }
    if *policy
        == (PortTrafficPolicy {
            port: policy.port.clone(),
            ..PortTrafficPolicy::default()
        })
    {
        findings.error(at, "an empty traffic policy is not allowed");
    }
    if let Some(settings) = &policy.load_balancer {
        load_balancer(settings, &at.key("loadBalancer"), findings);
    }
    if let Some(settings) = &policy.connection_pool {
        connection_pool(settings, &at.key("connectionPool"), findings);
    }
    if let Some(settings) = &policy.outlier_detection {
        outlier_detection(settings, &at.key("outlierDetection"), findings);
    }
    if let Some(settings) = &policy.tls {
        tls::client(settings, &at.key("tls"), findings);
    }
}

fn tunnel(settings: &TunnelSettings, at: &Path<'_>, findings: &mut Findings) {
    if !matches!(settings.protocol.as_str(), "" | "CONNECT" | "POST") {
        findings.error(&at.key("protocol"), "the protocol must be CONNECT or POST");
    }
    if !is_ip(&settings.target_host) {
        findings.check(&at.key("targetHost"), fqdn(&settings.target_host));
    }
    findings.check(&at.key("targetPort"), scalar::port(settings.target_port));
}

pub(super) fn outlier_detection(
    settings: &OutlierDetection,
    at: &Path<'_>,
    findings: &mut Findings,
) {
    if settings.consecutive_errors != 0 {
        let message =
            "consecutiveErrors is deprecated, use consecutive5xxErrors or consecutiveGatewayErrors";
        findings.warning(&at.key("consecutiveErrors"), message);
    }
    let counts_local = settings
        .consecutive_local_origin_failures
        .is_some_and(|failures| failures > 0);
    if counts_local && !settings.split_external_local_origin_errors {
        let message = "splitExternalLocalOriginErrors is required to count local failures";
        findings.error(&at.key("consecutiveLocalOriginFailures"), message);
    }
    scalar::optional_duration(settings.interval, &at.key("interval"), findings);
    scalar::optional_duration(
        settings.base_ejection_time,
        &at.key("baseEjectionTime"),
        findings,
    );
    scalar::percentage(
        settings.max_ejection_percent,
        &at.key("maxEjectionPercent"),
        findings,
    );
    scalar::percentage(
        settings.min_health_percent,
        &at.key("minHealthPercent"),
        findings,
    );
}

pub(super) fn connection_pool(
    settings: &ConnectionPoolSettings,
    at: &Path<'_>,
    findings: &mut Findings,
) {
    if settings.tcp.is_none() && settings.http.is_none() {
        findings.error(at, "tcp or http is required");
    }
    if let Some(settings) = &settings.tcp {
        tcp(settings, &at.key("tcp"), findings);
    }
    if let Some(settings) = &settings.http {
        http(settings, &at.key("http"), findings);
    }
}

fn tcp(settings: &TcpSettings, at: &Path<'_>, findings: &mut Findings) {
    scalar::not_negative(
        settings.max_connections,
        &at.key("maxConnections"),
        findings,
    );
    scalar::optional_duration(
        settings.connect_timeout,
        &at.key("connectTimeout"),
        findings,
    );
    let longest = settings.max_connection_duration;
    scalar::optional_duration(longest, &at.key("maxConnectionDuration"), findings);
    // Zero turns this one off.
    let idle = settings.idle_timeout.filter(|timeout| !timeout.0.is_zero());
    scalar::optional_duration(idle, &at.key("idleTimeout"), findings);
    if let Some(settings) = &settings.tcp_keepalive {
        keepalive(settings, &at.key("tcpKeepalive"), findings);
    }
}

pub(super) fn keepalive(settings: &TcpKeepalive, at: &Path<'_>, findings: &mut Findings) {
    scalar::optional_duration(settings.time, &at.key("time"), findings);
    scalar::optional_duration(settings.interval, &at.key("interval"), findings);
}

fn http(settings: &HttpSettings, at: &Path<'_>, findings: &mut Findings) {
    for (field, number) in [
        (
            "http1MaxPendingRequests",
            settings.http1_max_pending_requests,
        ),
        ("http2MaxRequests", settings.http2_max_requests),
        (
            "maxRequestsPerConnection",
            settings.max_requests_per_connection,
        ),
        ("maxRetries", settings.max_retries),
        ("maxConcurrentStreams", settings.max_concurrent_streams),
    ] {
        scalar::not_negative(number, &at.key(field), findings);
    }
    scalar::optional_duration(settings.idle_timeout, &at.key("idleTimeout"), findings);
    if settings.h2_upgrade_policy == H2UpgradePolicy::Upgrade && settings.use_client_protocol {
        let message = "useClientProtocol and h2UpgradePolicy UPGRADE exclude each other";
        findings.error(&at.key("useClientProtocol"), message);
    }
    if let Some(keepalive) = &settings.http2_keep_alive {
        let at = at.key("http2KeepAlive");
        for (field, value) in [
            ("interval", keepalive.interval),
            ("timeout", keepalive.timeout),
        ] {
            match value {
                None => findings.error(&at.key(field), format_args!("{field} is required")),
                Some(value) => findings.check(&at.key(field), scalar::duration(value)),
            }
        }
    }
}

fn load_balancer(settings: &LoadBalancerSettings, at: &Path<'_>, findings: &mut Findings) {
    let algorithms = [
        settings.simple.is_some(),
        settings.consistent_hash.is_some(),
        settings.backend_utilization.is_some(),
    ];
    if algorithms.into_iter().filter(|is_set| *is_set).count() > 1 {
        findings.error(
            at,
            "only one of simple, consistentHash and backendUtilization may be set",
        );
    }
    if settings.locality_lb_setting.is_some() && settings.zone_aware_lb_setting.is_some() {
        findings.error(
            at,
            "only one of localityLbSetting and zoneAwareLbSetting may be set",
        );
    }
    if let Some(hash) = &settings.consistent_hash {
        consistent_hash(hash, &at.key("consistentHash"), findings);
    }
    if let Some(settings) = &settings.locality_lb_setting {
        let lists = [
            !settings.distribute.is_empty(),
            !settings.failover.is_empty(),
        ];
        if lists == [true, true] {
            let at = at.key("localityLbSetting");
            findings.error(&at, "only one of distribute and failover may be set");
        }
    }
    let warmup_duration = settings.warmup_duration_secs;
    scalar::optional_duration(warmup_duration, &at.key("warmupDurationSecs"), findings);
    if let Some(settings) = &settings.warmup {
        warmup(settings, &at.key("warmup"), findings);
    }
}

fn warmup(settings: &WarmupConfiguration, at: &Path<'_>, findings: &mut Findings) {
    match settings.duration {
        None => findings.error(&at.key("duration"), "a duration is required"),
        Some(duration) => findings.check(&at.key("duration"), scalar::duration(duration)),
    }
    if settings
        .aggression
        .is_some_and(|aggression| aggression.millionths() <= 0)
    {
        findings.error(
            &at.key("aggression"),
            "the aggression must be greater than 0",
        );
    }
}

/// Envoy's largest Maglev table.
const LARGEST_TABLE: u64 = 5_000_011;

fn consistent_hash(hash: &ConsistentHashLb, at: &Path<'_>, findings: &mut Findings) {
    let keys = [
        hash.http_header_name.is_some(),
        hash.http_cookie.is_some(),
        hash.use_source_ip.is_some(),
        hash.http_query_parameter_name.is_some(),
    ];
    if keys.into_iter().filter(|is_set| *is_set).count() != 1 {
        let message = "exactly one of httpHeaderName, httpCookie, useSourceIp and \
                       httpQueryParameterName is required";
        findings.error(at, message);
    }
    if hash.ring_hash.is_some() && hash.maglev.is_some() {
        findings.error(at, "only one of ringHash and maglev may be set");
    }
    if hash.minimum_ring_size != 0 {
        let at = at.key("minimumRingSize");
        findings.warning(
            &at,
            "minimumRingSize is deprecated, use ringHash.minimumRingSize",
        );
        if hash.ring_hash.is_some() || hash.maglev.is_some() {
            findings.error(
                &at,
                "only one of minimumRingSize, ringHash and maglev may be set",
            );
        }
    }
    if let Some(maglev) = &hash.maglev {
        let at = at.key("maglev");
        let size = maglev.table_size;
        if size >= LARGEST_TABLE || !is_prime(size) {
            let message = format!("table size {size} is no prime number below {LARGEST_TABLE}");
            findings.error(&at.key("tableSize"), message);
        }
    }
    for (field, name) in [
        ("httpHeaderName", &hash.http_header_name),
        ("httpQueryParameterName", &hash.http_query_parameter_name),
    ] {
        if let Some(name) = name {
            let at = at.key(field);
            if name.is_empty() {
                findings.error(&at, "a name is required");
            }
            findings.check(&at, scalar::one_line(name));
        }
    }
    if let Some(cookie) = &hash.http_cookie {
        findings.check(
            &at.key("httpCookie").key("name"),
            scalar::one_line(&cookie.name),
        );
        findings.check(
            &at.key("httpCookie").key("path"),
            scalar::one_line(&cookie.path),
        );
        let at = at.key("httpCookie");
        if cookie.name.is_empty() {
            findings.error(&at.key("name"), "a name is required");
        }
        let attributes = at.key("attributes");
        let mut names = BTreeSet::new();
        for (index, attribute) in cookie.attributes.iter().enumerate() {
            let at = attributes.index(index);
            if attribute.name.is_empty() {
                findings.error(&at.key("name"), "a name is required");
            } else if !names.insert(&attribute.name) {
                findings.error(
                    &at.key("name"),
                    format_args!("attribute `{}` is there twice", attribute.name),
                );
            }
        }
    }
}

/// Called with numbers below [`LARGEST_TABLE`], so at most about 1,100 divisions.
fn is_prime(number: u64) -> bool {
    number > 1
        && (2..)
            .take_while(|factor| factor * factor <= number)
            .all(|factor| !number.is_multiple_of(factor))
}
