//! The sidecar's plan: constant, however many objects exist.
//!
//! Every captured connection goes, as bytes, to a gateway of the fleets. No route, no rule; only
//! the gateways' addresses and identities come from the world.

use std::time::Duration;

use sluice_plan::{
    destination::{Destination, Endpoint, EndpointAddress, Endpoints, Keepalive, Resolution},
    identity::SpiffeId,
    listener::{Listener, Role},
    secret::{CertificateSource, TrustSource},
    tls::{Sni, TUNNEL_ALPN, UpstreamTls},
};

use crate::{builder::Builder, client::gateway_pods};

/// Port to which the redirect leads a pod's connections.
pub const CAPTURE_PORT: u16 = 15001;
/// Port on which gateways take tunnels.
pub const TUNNEL_PORT: u16 = 15008;

const CAPTURE: &str = "virtualOutbound";
const TUNNEL: &str = "tunnel";
const GATEWAYS: &str = "sluice-egress-gateways";

impl Builder<'_, '_> {
    /// Adds all that a sidecar gets.
    pub(crate) fn sidecar(&mut self) {
        let access_log = self.access_log();
        let fixed = |name: &str, role| Listener {
            name: name.to_owned(),
            role,
            chains: Vec::new(),
            otherwise: None,
            server_first_ports: Vec::new(),
            access_log: access_log.clone(),
        };
        self.plan.add_listener(fixed(
            CAPTURE,
            Role::Capture {
                port: CAPTURE_PORT,
                to: TUNNEL.to_owned(),
            },
        ));
        self.plan.add_listener(fixed(
            TUNNEL,
            Role::TunnelClient {
                to: GATEWAYS.to_owned(),
            },
        ));
        self.plan.add_destination(Destination::new(
            TUNNEL,
            Resolution::Hop {
                listener: TUNNEL.to_owned(),
                proxy_protocol: true,
            },
        ));
        self.plan.add_destination(self.gateways());
        self.plan.add_endpoints(self.gateway_endpoints());
    }

    fn gateways(&self) -> Destination {
        let mesh = self.view.mesh();
        let identities = mesh.gateways().into_iter().filter_map(|account| {
            SpiffeId::new(
                &mesh.trust_domain,
                &account.namespace,
                &account.service_account,
            )
            .ok()
        });
        let mut destination = Destination::new(GATEWAYS, Resolution::Discovered);
        destination.connect_timeout = Duration::from_secs(5);
        destination.keepalive = Some(Keepalive {
            probes: Some(3),
            time: Some(Duration::from_secs(60)),
            interval: Some(Duration::from_secs(10)),
        });
        destination.tls = Some(UpstreamTls {
            sni: Sni::Absent,
            certificate: Some(CertificateSource::Workload),
            trust: Some(TrustSource::Workload),
            subject_alt_names: identities.map(|identity| identity.to_string()).collect(),
            verify_sni: false,
            alpn: vec![TUNNEL_ALPN.to_owned()],
            only_tls13: true,
        });
        destination
    }

    fn gateway_endpoints(&self) -> Endpoints {
        let mut endpoints: Vec<Endpoint> = gateway_pods(self.view)
            .into_iter()
            .filter(|pod| pod.spec.ready)
            // One address a pod: two would count a dual-stack gateway twice.
            .filter_map(|pod| pod.spec.pod_ips.first())
            .map(|ip| Endpoint {
                address: EndpointAddress::Ip(*ip, TUNNEL_PORT),
                weight: 1,
                locality: None,
            })
            .collect();
        endpoints.sort();
        endpoints.dedup();
        Endpoints {
            name: GATEWAYS.to_owned(),
            endpoints,
        }
    }
}
