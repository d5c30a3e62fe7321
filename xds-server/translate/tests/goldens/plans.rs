//! Plans that together use all that a plan can say, and what they are made of.

pub(crate) mod authorization;
pub(crate) mod clusters;
pub(crate) mod roles;
pub(crate) mod routes;

use std::{net::IpAddr, sync::Arc, time::Duration};

use sluice_plan::{
    authorization::{Authorization, Condition, Operation, Rules, Source, Stage, TextMatch},
    destination::{
        Destination, Endpoint, EndpointAddress, Endpoints, Keepalive, Limits, LoadBalancing,
        OutlierDetection, Protocol, Resolution,
    },
    identity::ClassId,
    listener::{
        AccessLog, Chain, ChainMatch, Deny, Encoding, Filter, Http, Listener, Role, Tcp, Transport,
    },
    proxy::ProxyPlan,
    route::{
        AbortStatus, Action, Authorized, Fault, FaultAbort, FaultDelay, Forward, HashPolicy,
        HeaderMatch, HeaderOperations, Mirror, PathMatch, PathRewrite, QueryMatch, Redirect, Retry,
        Route, RouteMatch, RouteTable, ValueMatch, VirtualHost, WeightedDestination,
    },
    secret::{CertificateSource, PrivateBytes, Secret, SecretContent, TrustSource},
    tls::{ClientCertificates, ClientTrust, DownstreamTls, Sni, TlsVersion, UpstreamTls},
};

const CERTIFICATE: &str = include_str!("../../src/print/placeholder-certificate.pem");
const KEY: &str = include_str!("../../src/print/placeholder-key.pem");

fn routes_only(routes: Vec<Route>) -> ProxyPlan {
    let mut plan = ProxyPlan::default();
    plan.add_listener(Listener {
        chains: vec![chain(
            "http",
            ChainMatch::default(),
            http("http.8080", true),
        )],
        ..listener("0.0.0.0_8080", server(8080))
    });
    plan.add_routes(RouteTable {
        name: "http.8080".to_owned(),
        virtual_hosts: vec![VirtualHost {
            name: "api.example:8080".to_owned(),
            domains: vec!["api.example".to_owned(), "*.api.example".to_owned()],
            require_tls: false,
            routes,
        }],
    });
    plan
}

fn table(name: &str, actions: Vec<Action>) -> RouteTable {
    RouteTable {
        name: name.to_owned(),
        virtual_hosts: vec![VirtualHost {
            name: "*:80".to_owned(),
            domains: vec!["*".to_owned()],
            require_tls: false,
            routes: actions.into_iter().map(route).collect(),
        }],
    }
}

fn route(action: Action) -> Route {
    Route {
        name: "default".to_owned(),
        matches: RouteMatch::any(),
        action,
        request_headers: HeaderOperations::default(),
        response_headers: HeaderOperations::default(),
        fault: None,
        rule: "VirtualService/shop/partner".to_owned(),
        authorization: Authorized::Here,
    }
}

fn forward(to: &str) -> Forward {
    Forward {
        to: vec![WeightedDestination::all(to)],
        timeout: None,
        retry: None,
        rewrite_path: None,
        rewrite_host: None,
        mirrors: Vec::new(),
        hash: Vec::new(),
    }
}

fn forward_to(to: &str) -> Action {
    Action::Forward(forward(to))
}

fn operations() -> HeaderOperations {
    HeaderOperations {
        set: vec![("x-set".to_owned(), "100%".to_owned())],
        add: vec![("x-add".to_owned(), "%PROTOCOL%".to_owned())],
        remove: vec!["x-remove".to_owned()],
    }
}

fn header(name: &str, value: ValueMatch, invert: bool) -> HeaderMatch {
    HeaderMatch {
        name: name.to_owned(),
        value,
        invert,
    }
}

fn listener(name: &str, role: Role) -> Listener {
    Listener {
        name: name.to_owned(),
        role,
        chains: Vec::new(),
        otherwise: None,
        server_first_ports: Vec::new(),
        access_log: AccessLog::default(),
    }
}

fn server(port: u16) -> Role {
    Role::Server {
        bind: Vec::new(),
        port,
    }
}

fn chain(name: &str, matches: ChainMatch, filter: Filter) -> Chain {
    Chain {
        name: name.to_owned(),
        matches,
        tls: None,
        authorization: Authorization::default(),
        filter,
    }
}

fn port(port: u16) -> ChainMatch {
    ChainMatch {
        port: Some(port),
        ..ChainMatch::default()
    }
}

fn http(table: &str, is_gateway: bool) -> Filter {
    Filter::Http(Http {
        stat_prefix: table.to_owned(),
        route_table: table.to_owned(),
        is_gateway,
    })
}

fn tcp(to: &str, rule: &str) -> Filter {
    Filter::Tcp(Tcp {
        stat_prefix: to.to_owned(),
        to: vec![WeightedDestination::all(to)],
        idle_timeout: None,
        rule: rule.to_owned(),
    })
}

fn hop(name: &str, listener: &str, proxy_protocol: bool) -> Destination {
    Destination::new(
        name,
        Resolution::Hop {
            listener: listener.to_owned(),
            proxy_protocol,
        },
    )
}

fn dns(cluster: &str, host: &str, port: u16) -> Destination {
    Destination::new(cluster, Resolution::Dns(vec![name(host, port)]))
}

fn originate(sni: Sni) -> UpstreamTls {
    UpstreamTls {
        sni,
        certificate: None,
        trust: Some(TrustSource::System),
        subject_alt_names: Vec::new(),
        verify_sni: true,
        alpn: Vec::new(),
        only_tls13: false,
    }
}

fn name(host: &str, port: u16) -> Endpoint {
    Endpoint {
        address: EndpointAddress::Name(host.to_owned(), port),
        weight: 1,
        locality: None,
    }
}

fn ip(ip: &str, port: u16) -> Endpoint {
    Endpoint {
        address: EndpointAddress::Ip(address(ip), port),
        weight: 1,
        locality: None,
    }
}

fn address(ip: &str) -> IpAddr {
    ip.parse().unwrap()
}
