//! A world made of YAML, and calls in it.

use std::{collections::BTreeMap, fs, path::Path};

use sluice_crd::{diagnostic::Severity, parse::parse};
use sluice_plan::simulate::{Call, FirstBytes, Outcome, Request};
use sluice_resolve::{Catalog, Change, Client, Explanation, ProxyIdentity, explain};

/// The examples' cluster with more objects.
pub(crate) struct World {
    pub(crate) catalog: Catalog,
}

/// The examples' cluster, with the objects of some examples.
pub(crate) fn examples(names: &[&str]) -> World {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/examples");
    let mut texts = vec![fs::read_to_string(root.join("world.yaml")).unwrap()];
    for name in names {
        let mut files: Vec<_> = fs::read_dir(root.join(name))
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .collect();
        files.sort();
        texts.extend(files.iter().map(|file| fs::read_to_string(file).unwrap()));
    }
    let mut world = World {
        catalog: Catalog::new(sluice_crd::istio::mesh_config::MeshConfig::default()),
    };
    for text in texts {
        world.add(&text);
    }
    world
}

impl World {
    /// The same world with these objects too.
    pub(crate) fn with(mut self, yaml: &str) -> Self {
        self.add(yaml);
        self
    }

    fn add(&mut self, yaml: &str) {
        let parsed = parse("test.yaml", yaml, "default");
        let errors: Vec<_> = parsed
            .diagnostics
            .iter()
            .filter(|found| found.severity == Severity::Error)
            .collect();
        assert!(errors.is_empty(), "{errors:#?}");
        self.catalog
            .apply(parsed.objects.into_iter().map(Change::Upsert));
    }

    /// The egress gateway of the examples.
    pub(crate) fn gateway(&self) -> ProxyIdentity {
        ProxyIdentity::of(
            self.catalog
                .pod("istio-system", "istio-egressgateway-0")
                .unwrap(),
        )
    }

    pub(crate) fn explain(&self, from: &str, call: &Call) -> Explanation {
        let (namespace, service_account) = from.split_once('/').unwrap();
        let client = Client {
            namespace: namespace.to_owned(),
            service_account: service_account.to_owned(),
            labels: BTreeMap::new(),
        };
        explain(&self.catalog, &self.gateway(), &client, call).unwrap()
    }

    /// The end of a call of `shop/checkout`.
    pub(crate) fn call(&self, call: &Call) -> Outcome {
        self.explain("shop/checkout", call).outcome
    }
}

pub(crate) fn tls(sni: &str, port: u16) -> Call {
    Call {
        address: None,
        port,
        first: FirstBytes::Tls(Some(sni.to_owned())),
    }
}

pub(crate) fn tcp(address: &str, port: u16) -> Call {
    Call {
        address: Some(address.parse().unwrap()),
        port,
        first: FirstBytes::Other,
    }
}

pub(crate) fn http(method: &str, host: &str, path: &str, headers: &[(&str, &str)]) -> Call {
    let headers = headers
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect();
    let request = Request {
        method: method.to_owned(),
        host: host.to_owned(),
        path: path.to_owned(),
        headers,
    };
    Call {
        address: None,
        port: 80,
        first: FirstBytes::Http(request),
    }
}

pub(crate) fn get(host: &str) -> Call {
    http("GET", host, "/", &[])
}

pub(crate) fn reaches(cluster: &str) -> Outcome {
    Outcome::Reaches(cluster.to_owned())
}

/// The status that the gateway answers by itself.
pub(crate) fn status(outcome: &Outcome) -> Option<u16> {
    match outcome {
        Outcome::Answers { status, .. } => Some(*status),
        Outcome::Reaches(_) | Outcome::Closes(_) => None,
    }
}

pub(crate) fn is_closed(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::Closes(_))
}
