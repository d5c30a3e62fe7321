//! Connection pools, load balancing and outlier detection of a DestinationRule.

use sluice_crd::istio::destination_rule::{
    connection_pool::OutlierDetection as Declared,
    load_balancer::{LoadBalancerSettings, SimpleLb},
};
use sluice_plan::{
    destination::{Destination, Keepalive, LoadBalancing, OutlierDetection},
    route::HashPolicy,
};

use crate::policy::Policy;

/// Istio's default for `minimumRingSize`.
const MINIMUM_RING_SIZE: u64 = 1024;
/// Envoy's default for Maglev's table.
const MAGLEV_TABLE_SIZE: u64 = 65_537;

/// Puts what a DestinationRule says on a destination.
pub(super) fn apply(destination: &mut Destination, policy: &Policy) {
    if let Some(settings) = &policy.load_balancer {
        destination.load_balancing = load_balancing(settings);
    }
    let pool = policy.connection_pool.as_ref();
    if let Some(tcp) = pool.and_then(|pool| pool.tcp.as_ref()) {
        destination.limits.connections = positive(tcp.max_connections);
        destination.limits.connection_duration =
            tcp.max_connection_duration.map(|duration| duration.0);
        if let Some(timeout) = tcp.connect_timeout {
            destination.connect_timeout = timeout.0;
        }
        destination.keepalive = tcp.tcp_keepalive.as_ref().map(|keepalive| Keepalive {
            probes: Some(keepalive.probes).filter(|probes| *probes > 0),
            time: keepalive.time.map(|time| time.0),
            interval: keepalive.interval.map(|interval| interval.0),
        });
    }
    if let Some(http) = pool.and_then(|pool| pool.http.as_ref()) {
        let limits = &mut destination.limits;
        limits.pending_requests = positive(http.http1_max_pending_requests);
        limits.requests = positive(http.http2_max_requests);
        limits.retries = positive(http.max_retries);
        limits.requests_per_connection = positive(http.max_requests_per_connection);
        limits.concurrent_streams = positive(http.max_concurrent_streams);
        limits.http_idle_timeout = http.idle_timeout.map(|timeout| timeout.0);
    }
    destination.outlier_detection = policy.outlier_detection.as_ref().map(outlier_detection);
}

fn load_balancing(settings: &LoadBalancerSettings) -> LoadBalancing {
    if let Some(hash) = &settings.consistent_hash {
        if let Some(maglev) = &hash.maglev {
            // Envoy demands a prime; what is none falls to the next below.
            let table_size = match maglev.table_size {
                0 => MAGLEV_TABLE_SIZE,
                size => previous_prime(size),
            };
            return LoadBalancing::Maglev { table_size };
        }
        let declared = hash
            .ring_hash
            .as_ref()
            .map_or(hash.minimum_ring_size, |ring| ring.minimum_ring_size);
        let minimum_size = if declared == 0 {
            MINIMUM_RING_SIZE
        } else {
            declared
        };
        return LoadBalancing::RingHash { minimum_size };
    }
    match settings.simple {
        Some(SimpleLb::RoundRobin) => LoadBalancing::RoundRobin,
        Some(SimpleLb::Random) => LoadBalancing::Random,
        Some(
            SimpleLb::Unspecified
            | SimpleLb::LeastConn
            | SimpleLb::LeastRequest
            | SimpleLb::Passthrough,
        )
        | None => LoadBalancing::LeastRequest,
    }
}

/// The largest prime that is at most `size`, within Envoy's bound of 5,000,011.
fn previous_prime(size: u64) -> u64 {
    let is_prime = |n: u64| {
        n >= 2
            && (2..)
                .take_while(|d| d * d <= n)
                .all(|d| !n.is_multiple_of(d))
    };
    (2..=size.clamp(2, 5_000_011))
        .rev()
        .find(|n| is_prime(*n))
        .unwrap_or(MAGLEV_TABLE_SIZE)
}

/// What consistent hashing hashes.
pub(super) fn hash_policies(settings: &LoadBalancerSettings) -> Vec<HashPolicy> {
    let Some(hash) = &settings.consistent_hash else {
        return Vec::new();
    };
    let header = hash
        .http_header_name
        .clone()
        .map(|name| HashPolicy::Header(name.to_ascii_lowercase()));
    let cookie = hash.http_cookie.as_ref().map(|cookie| HashPolicy::Cookie {
        name: cookie.name.clone(),
        path: cookie.path.clone(),
        ttl: cookie.ttl.map(|ttl| ttl.0),
    });
    let source = hash
        .use_source_ip
        .filter(|used| *used)
        .map(|_| HashPolicy::SourceIp);
    let query = hash
        .http_query_parameter_name
        .clone()
        .map(HashPolicy::Query);
    header
        .into_iter()
        .chain(cookie)
        .chain(source)
        .chain(query)
        .collect()
}

fn outlier_detection(declared: &Declared) -> OutlierDetection {
    OutlierDetection {
        consecutive_5xx: declared.consecutive_5xx_errors,
        consecutive_gateway_errors: declared
            .consecutive_gateway_errors
            .or_else(|| positive(declared.consecutive_errors)),
        consecutive_local_origin_failures: declared.consecutive_local_origin_failures,
        split_local_origin_errors: declared.split_external_local_origin_errors,
        interval: declared.interval.map(|interval| interval.0),
        base_ejection_time: declared.base_ejection_time.map(|time| time.0),
        max_ejection_percent: positive(declared.max_ejection_percent)
            .map(|percent| percent.min(100)),
        min_health_percent: positive(declared.min_health_percent).unwrap_or(0).min(100),
    }
}

fn positive(number: i32) -> Option<u32> {
    u32::try_from(number).ok().filter(|number| *number > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_maglev_table_is_always_prime() {
        assert_eq!(previous_prime(65_537), 65_537);
        assert_eq!(previous_prime(1000), 997);
        assert_eq!(previous_prime(0), 2);
        assert_eq!(previous_prime(u64::MAX), 5_000_011);
    }
}
