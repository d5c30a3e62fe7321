//! Injected faults.

use sluice_plan::route::{AbortStatus, Fault};

use crate::envoy::{duration, fault, fault_delay, share};

/// The filter's name, also the key of its configuration on a route.
pub(super) const FILTER: &str = "envoy.filters.http.fault";

pub(super) fn fault(plan: &Fault) -> fault::HttpFault {
    fault::HttpFault {
        delay: plan.delay.as_ref().map(|delay| fault_delay::FaultDelay {
            percentage: Some(share(delay.basis_points)),
            fault_delay_secifier: Some(fault_delay::fault_delay::FaultDelaySecifier::FixedDelay(
                duration(delay.duration),
            )),
        }),
        abort: plan.abort.as_ref().map(|abort| fault::FaultAbort {
            percentage: Some(share(abort.basis_points)),
            error_type: Some(match abort.status {
                AbortStatus::Http(status) => {
                    fault::fault_abort::ErrorType::HttpStatus(status.into())
                }
                AbortStatus::Grpc(status) => fault::fault_abort::ErrorType::GrpcStatus(status),
            }),
            ..Default::default()
        }),
        ..Default::default()
    }
}
