//! Why a call of a client is allowed or not, and where it leaves: each hop, with the objects
//! that decide. The plan that a gateway gets is made and read; nothing is decided twice.

use std::fmt;

use serde::Serialize;
use sluice_plan::{
    destination::{Destination, EndpointAddress, Resolution},
    identity::SpiffeId,
    proxy::ProxyPlan,
    simulate::{Call, Outcome, Step, simulate},
};

use crate::{
    catalog::Catalog,
    client::{Class, ProxyIdentity, ProxyRole, role_in},
    proxy::proxy_with,
};

/// A client: an account, with the labels of its pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Client {
    /// Namespace.
    pub namespace: String,
    /// Service account.
    pub service_account: String,
    /// Labels; those that are no identity labels do not count.
    pub labels: std::collections::BTreeMap<String, String>,
}

/// Where a call of a client goes, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Explanation {
    /// SPIFFE id of the client.
    pub from: String,
    /// The client's class.
    pub class: String,
    /// The gateway that decides, `NAMESPACE/POD`.
    pub gateway: String,
    /// Whether anything of the call leaves.
    pub allowed: bool,
    /// Listeners on the way.
    pub steps: Vec<Step>,
    /// The end.
    pub outcome: Outcome,
    /// The destination, if it leaves.
    pub destination: Option<Exit>,
}

/// How a call leaves.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Exit {
    /// The cluster.
    pub cluster: String,
    /// Where its endpoints are.
    pub endpoints: Vec<String>,
    /// TLS that the gateway begins, if any.
    pub tls: Option<String>,
    /// The source address, or how it is chosen.
    pub source_address: String,
    /// The objects behind the cluster.
    pub objects: Vec<String>,
}

/// Why a call cannot be explained.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ExplainError {
    /// The client is itself a gateway.
    #[error("{0} is the account of a gateway fleet, not a client")]
    IsGateway(String),
    /// The names make no SPIFFE id.
    #[error("{0} is no namespace and service account")]
    NoIdentity(String),
}

/// What `gateway` would do with `call` of `client`.
pub fn explain(
    catalog: &Catalog,
    gateway: &ProxyIdentity,
    client: &Client,
    call: &Call,
) -> Result<Explanation, ExplainError> {
    let mesh = catalog.mesh();
    let account = format!("{}/{}", client.namespace, client.service_account);
    if role_in(mesh, &client.namespace, &client.service_account) == ProxyRole::Gateway {
        return Err(ExplainError::IsGateway(account));
    }
    let from = SpiffeId::new(
        &mesh.trust_domain,
        &client.namespace,
        &client.service_account,
    )
    .map_err(|_| ExplainError::NoIdentity(account))?;
    let class = Class::new(
        mesh,
        &client.namespace,
        &client.service_account,
        &client.labels,
    );
    let plan = proxy_with(catalog, gateway, Some(&class)).plan;
    let trace = simulate(&plan, &class.id.dns_name(), call);
    let destination = match &trace.outcome {
        Outcome::Reaches(cluster) => plan
            .destinations
            .get(cluster)
            .map(|found| exit(&plan, found)),
        Outcome::Answers { .. } | Outcome::Closes(_) => None,
    };
    Ok(Explanation {
        from: from.to_string(),
        class: class.id.to_string(),
        gateway: format!("{}/{}", gateway.namespace, gateway.name),
        allowed: destination.is_some(),
        steps: trace.steps,
        outcome: trace.outcome,
        destination,
    })
}

fn exit(plan: &ProxyPlan, destination: &Destination) -> Exit {
    let address = |address: &EndpointAddress| match address {
        EndpointAddress::Ip(ip, port) => std::net::SocketAddr::new(*ip, *port).to_string(),
        EndpointAddress::Name(name, port) => format!("{name}:{port}"),
        EndpointAddress::Unix(path) => format!("unix://{path}"),
    };
    let endpoints = match &destination.resolution {
        Resolution::Dns(endpoints) => endpoints
            .iter()
            .map(|endpoint| address(&endpoint.address))
            .collect(),
        Resolution::LogicalDns(endpoint) => vec![address(&endpoint.address)],
        Resolution::Discovered => (plan.endpoints.get(&destination.name).into_iter())
            .flat_map(|found| {
                found
                    .endpoints
                    .iter()
                    .map(|endpoint| address(&endpoint.address))
            })
            .collect(),
        Resolution::Original { port: None } => {
            vec!["the address and port that the client dials".to_owned()]
        }
        Resolution::Original { port: Some(port) } => {
            vec![format!("the address that the client dials, port {port}")]
        }
        Resolution::Hop { .. } | Resolution::Nowhere => Vec::new(),
    };
    Exit {
        cluster: destination.name.clone(),
        endpoints,
        tls: destination.tls.as_ref().map(|tls| {
            let name = match &tls.sni {
                sluice_plan::tls::Sni::Absent => "no server name".to_owned(),
                sluice_plan::tls::Sni::Fixed(name) => format!("server name {name}"),
                sluice_plan::tls::Sni::FromHost => "the request's host as server name".to_owned(),
            };
            let certificate = tls
                .certificate
                .as_ref()
                .map(|source| format!(", certificate {}", source.sds_name()));
            let trust = tls
                .trust
                .as_ref()
                .map(|source| format!(", trusts {}", source.sds_name()));
            format!(
                "{name}{}{}",
                certificate.unwrap_or_default(),
                trust.unwrap_or_else(|| ", trusts anyone".to_owned())
            )
        }),
        source_address: match destination.source.as_slice() {
            [] => "the gateway's own".to_owned(),
            addresses => addresses
                .iter()
                .map(ToString::to_string)
                .collect::<Vec<_>>()
                .join(", "),
        },
        objects: plan
            .origins
            .get(&destination.name)
            .cloned()
            .unwrap_or_default(),
    }
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verdict = if self.allowed { "ALLOWED" } else { "DENIED" };
        writeln!(f, "{verdict}  {}", Ending(&self.outcome))?;
        writeln!(f, "  client    {}  (class {})", self.from, self.class)?;
        writeln!(f, "  gateway   {}", self.gateway)?;
        for (number, step) in self.steps.iter().enumerate() {
            writeln!(f, "  hop {}     listener {}", number + 1, step.listener)?;
            let chain = step.chain.as_deref().unwrap_or("none matches");
            writeln!(f, "              chain {chain}")?;
            if let Some(route) = &step.route {
                let name = if route.name.is_empty() {
                    "-"
                } else {
                    &route.name
                };
                writeln!(
                    f,
                    "              route {name} in {} of table {}",
                    route.virtual_host, route.table
                )?;
            }
            if !step.rule.is_empty() {
                writeln!(f, "              decided by {}", step.rule)?;
            }
            for (destination, weight) in &step.destinations {
                writeln!(f, "              to {destination} (weight {weight})")?;
            }
        }
        if let Some(exit) = &self.destination {
            writeln!(f, "  leaves    cluster {}", exit.cluster)?;
            writeln!(f, "              endpoints {}", exit.endpoints.join(", "))?;
            writeln!(f, "              source address {}", exit.source_address)?;
            if let Some(tls) = &exit.tls {
                writeln!(f, "              TLS with {tls}")?;
            }
            writeln!(f, "              because of {}", exit.objects.join(", "))?;
        }
        Ok(())
    }
}

struct Ending<'a>(&'a Outcome);

impl fmt::Display for Ending<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Outcome::Reaches(cluster) => write!(f, "leaves through {cluster}"),
            Outcome::Answers { status, detail } => {
                write!(f, "the gateway answers {status}: {detail}")
            }
            Outcome::Closes(why) => write!(f, "the connection is closed: {why}"),
        }
    }
}
