//! The network filters that carry out a decision.

use std::time::Duration;

use sluice_plan::{
    authorization::Authorization,
    listener::{AccessLog, Deny, Filter, Http, Tcp},
    proxy::BLACK_HOLE,
};

use crate::{
    access_log::{Only, Place, Subject, access_log},
    envoy::{self, duration, hcm, listener, number, tcp_proxy as tcp_filter, truth},
    rbac, route, tls,
};

/// As much of what a client says first is kept while it is judged; a first flight of TLS fits.
const EARLY_DATA_BYTES: u32 = 64 << 10;

/// The filters for `decision`, for those whom `authorization` lets pass, taken by a listener that
/// logs to `log`.
pub(super) fn filters(
    decision: &Filter,
    authorization: &Authorization,
    log: &AccessLog,
    place: Place,
) -> Vec<listener::Filter> {
    match decision {
        Filter::Http(http) => vec![envoy::filter(
            "envoy.filters.network.http_connection_manager",
            &connection_manager(http, authorization, log, place),
        )],
        Filter::Tcp(carried) => {
            let mut filters = rbac::network_filters(authorization);
            filters.push(tcp(&carry(carried, authorization, log, place)));
            filters
        }
        Filter::Deny(deny) => vec![tcp(&refuse(deny, log, place))],
    }
}

/// The filter of a TCP proxy.
pub(super) fn tcp(config: &tcp_filter::TcpProxy) -> listener::Filter {
    envoy::filter("envoy.filters.network.tcp_proxy", config)
}

/// A TCP proxy to one cluster.
pub(super) fn tcp_proxy(stat_prefix: &str, cluster: &str) -> tcp_filter::TcpProxy {
    tcp_filter::TcpProxy {
        stat_prefix: stat_prefix.to_owned(),
        cluster_specifier: Some(tcp_filter::tcp_proxy::ClusterSpecifier::Cluster(
            cluster.to_owned(),
        )),
        ..Default::default()
    }
}

fn carry(
    carried: &Tcp,
    authorization: &Authorization,
    log: &AccessLog,
    place: Place,
) -> tcp_filter::TcpProxy {
    use tcp_filter::tcp_proxy::{ClusterSpecifier, WeightedCluster, weighted_cluster};
    let clusters: Vec<_> = carried
        .to
        .iter()
        // Unlike in routes, Envoy takes no zero here.
        .filter(|to| to.weight > 0)
        .map(|to| weighted_cluster::ClusterWeight {
            name: to.destination.clone(),
            weight: to.weight,
            ..Default::default()
        })
        .collect();
    let specifier = match (clusters.as_slice(), carried.to.first()) {
        ([], first) => ClusterSpecifier::Cluster(
            first.map_or_else(|| BLACK_HOLE.to_owned(), |to| to.destination.clone()),
        ),
        ([only], _) => ClusterSpecifier::Cluster(only.name.clone()),
        _ => ClusterSpecifier::WeightedClusters(WeightedCluster { clusters }),
    };
    let subject = Subject::Connections {
        rule: &carried.rule,
        authorization,
    };
    // RBAC judges the client's first data; dialled at once, the server would see the refused too.
    let (mode, early_data) = match authorization.may_deny() {
        true => (
            tcp_filter::UpstreamConnectMode::OnDownstreamData,
            number(EARLY_DATA_BYTES),
        ),
        false => (tcp_filter::UpstreamConnectMode::Immediate, None),
    };
    tcp_filter::TcpProxy {
        upstream_connect_mode: mode.into(),
        max_early_data_bytes: early_data,
        stat_prefix: carried.stat_prefix.clone(),
        cluster_specifier: Some(specifier),
        idle_timeout: carried.idle_timeout.map(duration),
        access_log: access_log(log, place, subject, Only::Final),
        ..Default::default()
    }
}

/// A cluster without endpoints: the connection is closed as soon as it is there.
fn refuse(deny: &Deny, log: &AccessLog, place: Place) -> tcp_filter::TcpProxy {
    let Deny { rule, reason } = deny;
    tcp_filter::TcpProxy {
        access_log: access_log(log, place, Subject::Refusals { rule, reason }, Only::All),
        ..tcp_proxy(BLACK_HOLE, BLACK_HOLE)
    }
}

fn connection_manager(
    http: &Http,
    authorization: &Authorization,
    log: &AccessLog,
    place: Place,
) -> hcm::HttpConnectionManager {
    use hcm::http_connection_manager::{
        ForwardClientCertDetails, RouteSpecifier, ServerHeaderTransformation, UpgradeConfig,
    };
    hcm::HttpConnectionManager {
        stat_prefix: http.stat_prefix.clone(),
        http_filters: route::http_filters(authorization),
        route_specifier: Some(RouteSpecifier::Rds(hcm::Rds {
            route_config_name: http.route_table.clone(),
            config_source: Some(tls::ads()),
        })),
        access_log: access_log(log, place, Subject::Requests { authorization }, Only::Final),
        use_remote_address: truth(http.is_gateway),
        // Pods' addresses concern nobody outside; Istio's clients get what Istio does.
        skip_xff_append: matches!(place, Place::Internal(_)),
        // Who the client is concerns nobody outside.
        forward_client_cert_details: ForwardClientCertDetails::Sanitize.into(),
        server_header_transformation: ServerHeaderTransformation::PassThrough.into(),
        normalize_path: truth(true),
        stream_idle_timeout: Some(duration(Duration::ZERO)),
        upgrade_configs: vec![UpgradeConfig {
            upgrade_type: "websocket".to_owned(),
            ..Default::default()
        }],
        ..Default::default()
    }
}
