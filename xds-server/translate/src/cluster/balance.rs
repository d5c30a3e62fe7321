//! Which endpoint is taken next, and which are set aside.

use sluice_plan::destination::{Destination, LoadBalancing, OutlierDetection};

use crate::envoy::{Cluster, cluster, duration, fraction, number, number64};

/// Sets the load balancing of `cluster` and its judgement of endpoints.
pub(super) fn balance(cluster: &mut Cluster, destination: &Destination) {
    use cluster::cluster::{LbConfig, LbPolicy, MaglevLbConfig, RingHashLbConfig};
    let policy = match &destination.load_balancing {
        LoadBalancing::LeastRequest => LbPolicy::LeastRequest,
        LoadBalancing::RoundRobin => LbPolicy::RoundRobin,
        LoadBalancing::Random => LbPolicy::Random,
        LoadBalancing::RingHash { minimum_size } => {
            cluster.lb_config = Some(LbConfig::RingHashLbConfig(RingHashLbConfig {
                // Envoy's bounds; beyond them it would refuse the cluster.
                minimum_ring_size: number64((*minimum_size).min(MOST_RING_POINTS)),
                ..Default::default()
            }));
            LbPolicy::RingHash
        }
        LoadBalancing::Maglev { table_size } => {
            cluster.lb_config = Some(LbConfig::MaglevLbConfig(MaglevLbConfig {
                table_size: number64(*table_size),
            }));
            LbPolicy::Maglev
        }
        LoadBalancing::ByResolution => LbPolicy::ClusterProvided,
    };
    cluster.lb_policy = policy.into();
    if let Some(outliers) = &destination.outlier_detection {
        cluster.outlier_detection = Some(outlier_detection(outliers));
        cluster.common_lb_config = Some(cluster::cluster::CommonLbConfig {
            healthy_panic_threshold: Some(fraction::Percent {
                value: outliers.min_health_percent.min(100).into(),
            }),
            ..Default::default()
        });
    }
}

const MOST_RING_POINTS: u64 = 8 << 20;

fn outlier_detection(outliers: &OutlierDetection) -> cluster::OutlierDetection {
    let enforced =
        |limit: Option<u32>| limit.and_then(|limit| number(if limit == 0 { 0 } else { 100 }));
    // Zero is no number of failures for Envoy, only "not enforced" says it.
    let failures = |limit: Option<u32>| limit.filter(|limit| *limit > 0).and_then(number);
    cluster::OutlierDetection {
        consecutive_5xx: failures(outliers.consecutive_5xx),
        enforcing_consecutive_5xx: enforced(outliers.consecutive_5xx),
        consecutive_gateway_failure: failures(outliers.consecutive_gateway_errors),
        enforcing_consecutive_gateway_failure: enforced(outliers.consecutive_gateway_errors),
        split_external_local_origin_errors: outliers.split_local_origin_errors,
        consecutive_local_origin_failure: failures(outliers.consecutive_local_origin_failures),
        enforcing_consecutive_local_origin_failure: enforced(
            outliers.consecutive_local_origin_failures,
        ),
        interval: outliers.interval.map(duration),
        base_ejection_time: outliers.base_ejection_time.map(duration),
        max_ejection_percent: outliers
            .max_ejection_percent
            .and_then(|percent| number(percent.min(100))),
        // As Istio: an endpoint is judged by its own failures, not by comparison.
        enforcing_success_rate: number(0),
        ..Default::default()
    }
}
