//! What HTTP routes do, with Istio's defaults.

use std::sync::Arc;

use sluice_crd::{
    common::grpc_status,
    diagnostic::Severity,
    istio::{
        mesh_config::MeshConfig,
        virtual_service::{
            Destination, VirtualService,
            fault::HttpFaultInjection,
            http::{
                HeaderOperations as Declared, HttpDirectResponse, HttpRedirect, HttpRetry,
                HttpRoute, RedirectPortSelection,
            },
        },
    },
    object::Resource,
};
use sluice_plan::{
    proxy::BLACK_HOLE,
    route::{
        AbortStatus, Action, Fault, FaultAbort, FaultDelay, Forward, HashPolicy, HeaderOperations,
        Mirror, PathRewrite, Redirect, Retry, Route, WeightedDestination,
    },
};

use super::Entrance;
use crate::{builder::Builder, destination::Target, index::full_name};

/// Istio's default `retryOn`.
const RETRY_ON: &str =
    "connect-failure,refused-stream,unavailable,cancelled,retriable-status-codes";
/// Istio's default number of retries.
const RETRY_ATTEMPTS: u32 = 2;

/// What Envoy is told to take at most.
const LARGEST_BODY_BYTES: usize = 1 << 20;

impl Builder<'_, '_> {
    pub(super) fn forward(
        &mut self,
        entrance: &Entrance<'_>,
        service: &Arc<Resource<VirtualService>>,
        index: usize,
        http: &HttpRoute,
    ) -> Forward {
        let mut hash = Vec::new();
        let mut to = Vec::new();
        for (number, route) in http.route.iter().enumerate() {
            if route.weight == 0 && http.route.len() > 1 {
                continue;
            }
            let field = format_args!("spec.http[{index}].route[{number}].destination").to_string();
            let (destination, policies) =
                self.routed(entrance, service, &field, &route.destination);
            hash.extend(policies);
            to.push(WeightedDestination {
                destination,
                rewrite_host: None,
                weight: u32::try_from(route.weight)
                    .ok()
                    .filter(|weight| *weight > 0)
                    .unwrap_or(100),
                request_headers: operations(
                    route
                        .headers
                        .as_ref()
                        .and_then(|headers| headers.request.as_ref()),
                ),
                response_headers: operations(
                    route
                        .headers
                        .as_ref()
                        .and_then(|headers| headers.response.as_ref()),
                ),
            });
        }
        if to.is_empty() {
            to.push(WeightedDestination::all(BLACK_HOLE));
        }
        let rewrite = http.rewrite.as_ref();
        Forward {
            to,
            timeout: http
                .timeout
                .map(|timeout| timeout.0)
                .filter(|timeout| !timeout.is_zero()),
            retry: retry(http.retries.as_ref(), self.view.mesh(), hash.is_empty()),
            rewrite_path: rewrite.and_then(|rewrite| match &rewrite.uri_regex_rewrite {
                Some(regex) => Some(PathRewrite::Regex {
                    pattern: regex.matches.clone(),
                    substitution: regex.rewrite.clone(),
                }),
                None if rewrite.uri.is_empty() => None,
                None => Some(PathRewrite::Matched(rewrite.uri.clone())),
            }),
            rewrite_host: rewrite
                .map(|rewrite| rewrite.authority.clone())
                .filter(|host| !host.is_empty()),
            mirrors: self.mirrors(entrance, service, index, http),
            hash,
        }
    }

    fn mirrors(
        &mut self,
        entrance: &Entrance<'_>,
        service: &Arc<Resource<VirtualService>>,
        index: usize,
        http: &HttpRoute,
    ) -> Vec<Mirror> {
        let whole = 10_000;
        let single = http.mirror.as_ref().map(|destination| {
            let share = http.mirror_percentage.map(|share| share.basis_points());
            let share = share.or_else(|| http.mirror_percent.map(|percent| percent * 100));
            (
                format!("spec.http[{index}].mirror"),
                destination,
                share.unwrap_or(whole),
            )
        });
        let several = http.mirrors.iter().enumerate().map(|(number, mirror)| {
            let share = mirror
                .percentage
                .map_or(whole, |share| share.basis_points());
            (
                format!("spec.http[{index}].mirrors[{number}].destination"),
                &mirror.destination,
                share,
            )
        });
        let mut mirrors = Vec::new();
        for (field, declared, basis_points) in single.into_iter().chain(several) {
            let (destination, _) = self.routed(entrance, service, &field, declared);
            if destination != BLACK_HOLE && basis_points > 0 {
                mirrors.push(Mirror {
                    destination,
                    basis_points,
                });
            }
        }
        mirrors
    }

    /// The plan's destination for what a route names. Where that is nothing, the mistake is
    /// reported and the route leads nowhere: it answers 503, as Istio does.
    pub(crate) fn routed(
        &mut self,
        entrance: &Entrance<'_>,
        service: &Arc<Resource<VirtualService>>,
        field: &str,
        declared: &Destination,
    ) -> (String, Vec<HashPolicy>) {
        let host = full_name(&declared.host, &service.meta.namespace);
        let port = match &declared.port {
            Some(port) => u16::try_from(port.number).unwrap_or_default(),
            None => match self
                .service_for(&entrance.half, &host)
                .as_deref()
                .map(|found| &found.ports[..])
            {
                Some([only]) => only.number,
                _ => entrance.port,
            },
        };
        let target = Target {
            host,
            subset: declared.subset.clone(),
            port,
        };
        match self.destination(&entrance.half, &target) {
            Ok(found) => found,
            Err(why) => {
                self.report(
                    Severity::Error,
                    "IST0101",
                    service,
                    format_args!("{field}.host"),
                    why,
                );
                (BLACK_HOLE.to_owned(), Vec::new())
            }
        }
    }
}

/// Header operations as the plan has them: names in lower case, sorted.
pub(super) fn operations(declared: Option<&Declared>) -> HeaderOperations {
    let Some(declared) = declared else {
        return HeaderOperations::default();
    };
    let pairs = |map: &std::collections::BTreeMap<String, String>| {
        map.iter()
            .map(|(name, value)| (name.to_ascii_lowercase(), value.clone()))
            .collect()
    };
    HeaderOperations {
        set: pairs(&declared.set),
        add: pairs(&declared.add),
        remove: declared
            .remove
            .iter()
            .map(|name| name.to_ascii_lowercase())
            .collect(),
    }
}

/// Two rules of Istio: a `host` or `:authority` that is set, or added, rewrites the host, and the
/// header operations of a single destination belong to the route. Envoy would refuse a table in
/// which such a header is left.
pub(super) fn lift_host_and_single_destination(route: &mut Route) {
    let Action::Forward(forward) = &mut route.action else {
        take_host(&mut route.request_headers);
        return;
    };
    if let [only] = forward.to.as_mut_slice() {
        let request = std::mem::take(&mut only.request_headers);
        let response = std::mem::take(&mut only.response_headers);
        for (into, from) in [
            (&mut route.request_headers, request),
            (&mut route.response_headers, response),
        ] {
            into.set.extend(from.set);
            into.add.extend(from.add);
            into.remove.extend(from.remove);
        }
    }
    if let Some(host) = take_host(&mut route.request_headers) {
        forward.rewrite_host.get_or_insert(host);
    }
    for to in &mut forward.to {
        to.rewrite_host = take_host(&mut to.request_headers);
    }
}

/// Takes the host out of header operations: the one that is set, else the one that is added.
fn take_host(operations: &mut HeaderOperations) -> Option<String> {
    let mut hosts = Vec::new();
    for headers in [&mut operations.set, &mut operations.add] {
        headers.retain(|(name, value)| {
            let is_host = name == "host" || name == ":authority";
            if is_host {
                hosts.push(value.clone());
            }
            !is_host
        });
    }
    hosts.into_iter().next()
}

/// The retries of routes that say nothing.
pub(crate) fn default_retry(mesh: &MeshConfig) -> Option<Retry> {
    retry(None, mesh, true)
}

fn retry(
    declared: Option<&HttpRetry>,
    mesh: &MeshConfig,
    avoid_previous_hosts: bool,
) -> Option<Retry> {
    let declared = declared.or(mesh.default_http_retry_policy.as_ref());
    let Some(declared) = declared else {
        return Some(Retry {
            attempts: RETRY_ATTEMPTS,
            per_try_timeout: None,
            on: RETRY_ON.to_owned(),
            status_codes: Vec::new(),
            avoid_previous_hosts,
        });
    };
    let attempts = u32::try_from(declared.attempts)
        .ok()
        .filter(|attempts| *attempts > 0)?;
    let (codes, words): (Vec<&str>, Vec<&str>) = (declared.retry_on.split(','))
        .map(str::trim)
        .filter(|word| !word.is_empty())
        .partition(|word| word.bytes().all(|byte| byte.is_ascii_digit()));
    let status_codes: Vec<u32> = codes.iter().filter_map(|code| code.parse().ok()).collect();
    let mut on = words.join(",");
    if on.is_empty() && status_codes.is_empty() {
        RETRY_ON.clone_into(&mut on);
    } else if !status_codes.is_empty() && !words.contains(&"retriable-status-codes") {
        on = [on.as_str(), "retriable-status-codes"]
            .into_iter()
            .filter(|part| !part.is_empty())
            .collect::<Vec<_>>()
            .join(",");
    }
    Some(Retry {
        attempts,
        per_try_timeout: declared
            .per_try_timeout
            .map(|timeout| timeout.0)
            .filter(|timeout| !timeout.is_zero()),
        on,
        status_codes,
        avoid_previous_hosts: avoid_previous_hosts
            && declared.retry_ignore_previous_hosts != Some(false),
    })
}

pub(super) fn redirect(declared: &HttpRedirect, port: u16) -> Redirect {
    let text = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
    Redirect {
        scheme: text(&declared.scheme),
        host: text(&declared.authority),
        port: match declared.derive_port {
            Some(RedirectPortSelection::FromRequestPort) => Some(port),
            // Envoy drops a default port by itself when the scheme changes.
            Some(RedirectPortSelection::FromProtocolDefault) => None,
            None => declared
                .port
                .and_then(|port| u16::try_from(port).ok())
                .filter(|port| *port > 0),
        },
        path: text(&declared.uri),
        status: u16::try_from(declared.redirect_code)
            .ok()
            .filter(|code| *code > 0)
            .unwrap_or(301),
    }
}

pub(super) fn respond(declared: &HttpDirectResponse) -> Action {
    let body = declared.body.as_ref();
    let text = body.and_then(|body| body.string.clone());
    let bytes = body
        .and_then(|body| body.bytes.as_ref())
        .map(|bytes| String::from_utf8_lossy(&bytes.0).into_owned());
    let mut body = text.or(bytes).unwrap_or_default();
    // Bytes that are no text have become longer; beyond this Envoy would refuse the table.
    body.truncate(body.floor_char_boundary(LARGEST_BODY_BYTES));
    Action::Respond {
        status: u16::try_from(declared.status).unwrap_or(200),
        body,
    }
}

/// Faults; without a percentage none is injected, as in Istio.
pub(super) fn fault(declared: &HttpFaultInjection) -> Fault {
    let delay = declared.delay.as_ref().and_then(|delay| {
        let share = delay.percentage.map(|share| share.basis_points());
        let basis_points = share.unwrap_or_else(|| u32::try_from(delay.percent).unwrap_or(0) * 100);
        Some(FaultDelay {
            duration: delay.fixed_delay?.0,
            basis_points,
        })
    });
    let abort = declared.abort.as_ref().and_then(|abort| {
        let basis_points = abort.percentage.map_or(0, |share| share.basis_points());
        let http = abort
            .http_status
            .and_then(|status| u16::try_from(status).ok())
            .map(AbortStatus::Http);
        let grpc = || {
            abort
                .grpc_status
                .as_deref()
                .and_then(grpc_status::number)
                .map(AbortStatus::Grpc)
        };
        Some(FaultAbort {
            status: http.or_else(grpc)?,
            basis_points,
        })
    });
    Fault {
        delay: delay.filter(|delay| delay.basis_points > 0),
        abort: abort.filter(|abort| abort.basis_points > 0),
    }
}
