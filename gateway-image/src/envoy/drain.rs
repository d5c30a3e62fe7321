//! Finishing what is open before Envoy ends.
//!
//! Listeners stay open through the drain: those who have not heard yet that we leave must not be
//! refused. HTTP connections are told to close with their next answer.

use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};
use tracing::{debug, warn};

use super::admin::{Admin, AdminError};
use crate::bootstrap::METRICS_STAT_PREFIX;

/// How long a drain lasts.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    /// Even without connections: until the news of our leaving has spread.
    pub(super) least: Duration,
    /// Even with connections.
    pub(super) most: Duration,
}

/// Drains; returns how many connections are left open.
pub(super) async fn drain(admin: &Admin, bounds: Bounds) -> u64 {
    let started = Instant::now();
    for order in ["/healthcheck/fail", "/drain_listeners?graceful&skip_exit"] {
        if let Err(error) = admin.post(order).await {
            warn!(%error, order, "envoy did not take the order to drain");
        }
    }
    sleep(bounds.least.min(bounds.most)).await;
    let finished = async {
        loop {
            match connections(admin).await {
                Ok(0) => break,
                Ok(open) => debug!(connections = open, "waiting for connections to end"),
                Err(error) => warn!(%error, "cannot count envoy's connections"),
            }
            sleep(POLL).await;
        }
    };
    match timeout(bounds.most.saturating_sub(started.elapsed()), finished).await {
        Ok(()) => 0,
        Err(_) => connections(admin).await.unwrap_or(0),
    }
}

/// Open downstream connections, without the scrapes of our own metrics.
pub(super) async fn connections(admin: &Admin) -> Result<u64, AdminError> {
    let gauges = admin.stats("downstream_cx_active").await?;
    Ok(gauges
        .iter()
        .filter(|(name, _)| is_traffic(name))
        .map(|(_, value)| value)
        .sum())
}

/// `listener.ADDRESS.downstream_cx_active`, and neither per worker nor per HTTP connection
/// manager, which count the same connections again.
fn is_traffic(name: &str) -> bool {
    let Some(listener) = name
        .strip_prefix("listener.")
        .and_then(|rest| rest.strip_suffix(".downstream_cx_active"))
    else {
        return false;
    };
    let own =
        listener == METRICS_STAT_PREFIX || listener == "admin" || listener.starts_with("admin.");
    !own && !listener.contains(".worker_")
}

/// Each poll looks through all statistics, tens of milliseconds on a large gateway.
const POLL: Duration = Duration::from_millis(500);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_connections_of_traffic_hold_up_the_end() {
        assert!(is_traffic("listener.0.0.0.0_15001.downstream_cx_active"));
        assert!(is_traffic(
            "listener.envoy_internal_tunnel.downstream_cx_active"
        ));
        for other in [
            "listener.admin.downstream_cx_active",
            "listener.admin.main_thread.downstream_cx_active",
            "listener.prometheus_stats.downstream_cx_active",
            "listener.0.0.0.0_15001.worker_0.downstream_cx_active",
            "http.outbound.downstream_cx_active",
            "listener.0.0.0.0_15001.downstream_cx_total",
        ] {
            assert!(!is_traffic(other), "{other}");
        }
    }
}
