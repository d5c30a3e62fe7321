//! Rules of fault injection.

use super::answer::status;
use super::{Findings, Path, scalar};
use crate::common::grpc_status;
use crate::istio::virtual_service::fault::HttpFaultInjection;

pub(super) fn fault(settings: &HttpFaultInjection, at: &Path<'_>, findings: &mut Findings) {
    if settings.delay.is_none() && settings.abort.is_none() {
        findings.error(at, "delay or abort is required");
    }
    if let Some(delay) = &settings.delay {
        let at = at.key("delay");
        scalar::percentage(delay.percent, &at.key("percent"), findings);
        scalar::optional_duration(delay.fixed_delay, &at.key("fixedDelay"), findings);
        if delay.exponential_delay.is_some() {
            findings.error(
                &at.key("exponentialDelay"),
                "exponentialDelay is not supported",
            );
        }
    }
    if let Some(abort) = &settings.abort {
        let at = at.key("abort");
        if abort.http2_error.is_some() {
            findings.error(&at.key("http2Error"), "http2Error is not supported");
        }
        if let Some(number) = abort.http_status {
            findings.check(
                &at.key("httpStatus"),
                status(u32::try_from(number).unwrap_or(0)),
            );
        }
        if let Some(name) = &abort.grpc_status {
            findings.check(&at.key("grpcStatus"), grpc_status(name));
        }
        match (abort.http_status.is_some(), abort.grpc_status.is_some()) {
            (true, true) => findings.error(&at, "only one of httpStatus and grpcStatus may be set"),
            (false, false) => {
                findings.warning(&at, "without httpStatus or grpcStatus nothing is aborted")
            }
            (true, false) | (false, true) => {}
        }
    }
}

fn grpc_status(name: &str) -> Result<(), String> {
    match grpc_status::number(name) {
        Some(_) => Ok(()),
        None => Err(format!("`{name}` is no gRPC status")),
    }
}
