//! `sluice explain`: where a call would go, and which objects say so.

use std::{collections::BTreeMap, net::IpAddr, process::ExitCode, str::FromStr};

use anyhow::{Context, anyhow, bail};
use clap::Args;
use http::Uri;
use sluice_crd::object::Object;
use sluice_plan::simulate::{Call, FirstBytes, Request};
use sluice_resolve::{Catalog, Client, ProxyIdentity, ProxyRole, explain, role};

use super::{Format, input::Input, print, print_value, translate::label};

/// `explain` says no.
const DENIED: u8 = 2;

/// Tell where a call of a workload would go: each hop, the verdict, and the objects responsible
///
/// Reads the configuration that the gateway would get as Envoy reads it. Exits with 0 if the call
/// leaves, with 2 if it does not.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  sluice explain -f config/ --from shop/checkout --to https://api.partner.example
  sluice explain -f config/ --from pod/shop/web-0 --to 'http://api.partner.example/orders?id=7' --method POST
  sluice explain -f config/ --from shop/checkout --labels tier=web --to tcp://198.51.100.7:5432")]
pub(super) struct Explain {
    /// Who calls: NAMESPACE/SERVICE_ACCOUNT, or pod/NAMESPACE/NAME of a Pod among the objects
    #[arg(long, value_name = "NS/SA|pod/NS/NAME")]
    from: Caller,

    /// Labels of the caller's Pod, if it is not named
    #[arg(long, value_name = "K=V,…", value_delimiter = ',', value_parser = label)]
    labels: Vec<(String, String)>,

    /// What it calls: https://HOST[:PORT]/PATH, http://…, tls://HOST:PORT or tcp://IP:PORT
    #[arg(long, value_name = "URL")]
    to: Target,

    /// Method of an HTTP request
    #[arg(long, value_name = "METHOD", default_value = "GET")]
    method: String,

    /// Header of an HTTP request; repeatable
    #[arg(short = 'H', long = "header", value_name = "NAME=VALUE", value_parser = label)]
    headers: Vec<(String, String)>,

    /// The gateway that decides, NAMESPACE/POD [default: the first among the objects]
    #[arg(long, value_name = "NS/POD")]
    gateway: Option<String>,

    /// Labels of the gateway, if there is none among the objects
    #[arg(long, value_name = "K=V,…", value_delimiter = ',', value_parser = label, default_value = "istio=egressgateway")]
    gateway_labels: Vec<(String, String)>,

    /// Write JSON or YAML instead of lines for people
    #[arg(short, long, value_name = "FORMAT")]
    output: Option<Format>,

    #[command(flatten)]
    input: Input,
}

#[derive(Clone, Debug)]
enum Caller {
    Account(String, String),
    Pod(String, String),
}

impl FromStr for Caller {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parts: Vec<&str> = text.split('/').collect();
        match parts.as_slice() {
            ["pod", namespace, name] => Ok(Self::Pod((*namespace).into(), (*name).into())),
            [namespace, account] => Ok(Self::Account((*namespace).into(), (*account).into())),
            _ => Err("expected NAMESPACE/SERVICE_ACCOUNT or pod/NAMESPACE/NAME".to_owned()),
        }
    }
}

/// A URL, taken apart.
#[derive(Clone, Debug)]
struct Target {
    scheme: Scheme,
    host: String,
    port: u16,
    path: String,
}

#[derive(Clone, Copy, Debug)]
enum Scheme {
    Http,
    Tls,
    Tcp,
}

impl FromStr for Target {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let uri: Uri = text.parse().map_err(|error| format!("no URL: {error}"))?;
        let host = uri.host().filter(|host| !host.is_empty());
        let host = host.ok_or("the URL has no host")?;
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let (scheme, default_port) = match uri.scheme_str() {
            Some("http") => (Scheme::Http, Some(80)),
            Some("https") => (Scheme::Tls, Some(443)),
            Some("tls") => (Scheme::Tls, None),
            Some("tcp") => (Scheme::Tcp, None),
            Some(_) | None => return Err("the scheme is none of http, https, tls, tcp".to_owned()),
        };
        let port = uri.port_u16().or(default_port);
        let port = port.ok_or("the URL has no port")?;
        if matches!(scheme, Scheme::Tcp) && host.parse::<IpAddr>().is_err() {
            return Err("a TCP call goes to an address: tcp://IP:PORT".to_owned());
        }
        Ok(Self {
            scheme,
            host: host.to_ascii_lowercase(),
            port,
            path: uri
                .path_and_query()
                .map_or_else(|| "/".to_owned(), ToString::to_string),
        })
    }
}

impl Explain {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        let world = self.input.read()?;
        super::warn_of(&world.diagnostics);
        let client = self.client(&world.catalog)?;
        let gateway = self.gateway(&world.catalog)?;
        let explanation = explain(&world.catalog, &gateway, &client, &self.call())?;
        match self.output {
            Some(format) => print_value(&explanation, format)?,
            None => print(&explanation.to_string())?,
        }
        Ok(match explanation.allowed {
            true => ExitCode::SUCCESS,
            false => ExitCode::from(DENIED),
        })
    }

    fn client(&self, catalog: &Catalog) -> anyhow::Result<Client> {
        match &self.from {
            Caller::Account(namespace, service_account) => Ok(Client {
                namespace: namespace.clone(),
                service_account: service_account.clone(),
                labels: self.labels.iter().cloned().collect(),
            }),
            Caller::Pod(..) if !self.labels.is_empty() => {
                bail!("--labels are those of a pod that is not among the objects")
            }
            Caller::Pod(namespace, name) => {
                let proxy = pod(catalog, namespace, name)?;
                Ok(Client {
                    namespace: proxy.namespace,
                    service_account: proxy.service_account,
                    labels: proxy.labels,
                })
            }
        }
    }

    fn gateway(&self, catalog: &Catalog) -> anyhow::Result<ProxyIdentity> {
        let is_gateway = |proxy: &ProxyIdentity| {
            role(catalog, &proxy.namespace, &proxy.service_account) == ProxyRole::Gateway
        };
        if let Some(name) = &self.gateway {
            let (namespace, pod_name) = name
                .split_once('/')
                .context("--gateway: expected NAMESPACE/POD")?;
            let gateway = pod(catalog, namespace, pod_name)?;
            if !is_gateway(&gateway) {
                bail!("pod {name} is no gateway by its service account");
            }
            return Ok(gateway);
        }
        let mut pods = catalog.objects().filter_map(|object| match object {
            Object::Pod(pod) => Some(ProxyIdentity::of(pod)),
            _ => None,
        });
        if let Some(gateway) = pods.find(is_gateway) {
            return Ok(gateway);
        }
        let fleets = catalog.mesh().gateways();
        let fleet = fleets.into_iter().next();
        let fleet = fleet.context("the mesh config names no gateways")?;
        Ok(ProxyIdentity {
            name: fleet.service_account.clone(),
            namespace: fleet.namespace,
            service_account: fleet.service_account,
            labels: self.gateway_labels.iter().cloned().collect(),
        })
    }

    fn call(&self) -> Call {
        let Target {
            scheme,
            host,
            port,
            path,
        } = &self.to;
        let address: Option<IpAddr> = host.parse().ok();
        let first = match scheme {
            Scheme::Tcp => FirstBytes::Other,
            // Clients send no server name for an address (RFC 6066).
            Scheme::Tls => FirstBytes::Tls(address.is_none().then(|| host.clone())),
            Scheme::Http => FirstBytes::Http(Request {
                method: self.method.to_ascii_uppercase(),
                host: host.clone(),
                path: path.clone(),
                headers: self
                    .headers
                    .iter()
                    .map(|(name, value)| (name.to_ascii_lowercase(), value.clone()))
                    .collect::<BTreeMap<_, _>>(),
            }),
        };
        Call {
            address,
            port: *port,
            first,
        }
    }
}

fn pod(catalog: &Catalog, namespace: &str, name: &str) -> anyhow::Result<ProxyIdentity> {
    let pod = catalog.pod(namespace, name);
    pod.map(|pod| ProxyIdentity::of(pod))
        .ok_or_else(|| anyhow!("pod {namespace}/{name} is not among the objects"))
}
