//! Route tables: what happens to HTTP requests.

mod action;
mod fault;
mod headers;
mod matches;

use std::collections::HashMap;

use sluice_plan::{authorization::Authorization, route as plan};

use crate::{
    envoy::{RouteConfiguration, any, core, fields, route, text, truth},
    names, rbac,
};

/// The route configuration that RDS serves under the table's name.
pub fn route_configuration(table: &plan::RouteTable) -> RouteConfiguration {
    RouteConfiguration {
        name: table.name.clone(),
        virtual_hosts: table.virtual_hosts.iter().map(virtual_host).collect(),
        // As Istio: the port that a client writes in `Host` chooses nothing, and is sent on.
        ignore_port_in_host_matching: true,
        // A cluster that comes later, or never, must not keep back the whole table.
        validate_clusters: truth(false),
        // Envoy's default of 4096 bytes would refuse the whole table.
        max_direct_response_body_size_bytes: crate::envoy::number(1 << 20),
        ..Default::default()
    }
}

fn virtual_host(host: &plan::VirtualHost) -> route::VirtualHost {
    use route::virtual_host::TlsRequirementType;
    let require_tls = match host.require_tls {
        true => TlsRequirementType::All,
        false => TlsRequirementType::None,
    };
    route::VirtualHost {
        name: host.name.clone(),
        domains: host.domains.clone(),
        routes: host.routes.iter().map(route).collect(),
        require_tls: require_tls.into(),
        include_request_attempt_count: true,
        ..Default::default()
    }
}

fn route(route: &plan::Route) -> route::Route {
    let request = headers::operations(&route.request_headers);
    let response = headers::operations(&route.response_headers);
    route::Route {
        name: route.name.clone(),
        r#match: Some(matches::route_match(&route.matches)),
        metadata: Some(rule(&route.rule)),
        typed_per_filter_config: per_filter(route),
        request_headers_to_add: request.add,
        request_headers_to_remove: request.remove,
        response_headers_to_add: response.add,
        response_headers_to_remove: response.remove,
        action: Some(action::action(&route.action)),
        ..Default::default()
    }
}

fn per_filter(route: &plan::Route) -> HashMap<String, crate::envoy::Any> {
    let fault = (route.fault.iter()).map(|fault| (fault::FILTER, any(&fault::fault(fault))));
    let no_rbac = match route.authorization {
        plan::Authorized::Here => None,
        plan::Authorized::Elsewhere => Some((rbac::HTTP_FILTER, any(&rbac::off()))),
    };
    fault
        .chain(no_rbac)
        .map(|(filter, config)| (filter.to_owned(), config))
        .collect()
}

/// What the access log shows as `rule`.
fn rule(rule: &str) -> core::Metadata {
    core::Metadata {
        filter_metadata: HashMap::from([(
            names::METADATA.to_owned(),
            fields([(names::RULE.to_owned(), text(rule))]),
        )]),
        ..Default::default()
    }
}

/// The HTTP filters of a chain; the same whatever the routes are, so that no edit of a route
/// touches them.
pub(crate) fn http_filters(authorization: &Authorization) -> Vec<crate::envoy::hcm::HttpFilter> {
    use crate::envoy::{fault as fault_filter, hcm, router};
    let filter = |name: &str, config| hcm::HttpFilter {
        name: name.to_owned(),
        config_type: Some(hcm::http_filter::ConfigType::TypedConfig(config)),
        ..Default::default()
    };
    let mut filters = rbac::http_filters(authorization);
    filters.extend([
        filter(fault::FILTER, any(&fault_filter::HttpFault::default())),
        filter("envoy.filters.http.router", any(&router::Router::default())),
    ]);
    filters
}
