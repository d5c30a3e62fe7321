//! The present secrets, as one set that Envoy's stream follows.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use bytes::Bytes;
use envoy_types::pb::envoy::{
    config::core::v3::{DataSource, data_source::Specifier},
    extensions::transport_sockets::tls::v3::{
        CertificateValidationContext, Secret as Message, TlsCertificate, secret::Type,
    },
};
use prost::Message as _;
use sluice_ads::{Node, Peer, Resource, ResourceSet, Snapshots, Subscription, TypeUrl, Version};
use tokio::sync::{Notify, watch};
use tracing::{debug, warn};

use super::Secret;

/// Secrets by name; a change reaches Envoy at once.
#[derive(Debug)]
pub(crate) struct Store {
    state: Mutex<State>,
    published: watch::Sender<Arc<ResourceSet>>,
    /// Told when Envoy has asked for a new name.
    pub(super) asked: Notify,
}

#[derive(Debug, Default)]
struct State {
    secrets: BTreeMap<Arc<str>, (Secret, Arc<Resource>)>,
    wanted: BTreeSet<Arc<str>>,
    /// Counts changes. Envoy never outlives this process, so a fingerprint, which would say
    /// something about a key, is not needed.
    version: u128,
}

impl Store {
    pub(crate) fn new() -> Self {
        Self {
            state: Mutex::default(),
            published: watch::Sender::default(),
            asked: Notify::new(),
        }
    }

    /// Puts a secret in place of the one of this name. Equal secrets change nothing.
    pub(crate) fn set(&self, name: &str, secret: Secret) {
        let mut state = self.lock();
        if state
            .secrets
            .get(name)
            .is_some_and(|(present, _)| *present == secret)
        {
            return;
        }
        state.version += 1;
        let name: Arc<str> = name.into();
        let resource = Resource {
            name: name.clone(),
            version: Version(state.version),
            body: encode(&name, &secret),
            requires: Arc::default(),
        };
        state.secrets.insert(name, (secret, Arc::new(resource)));
        let resources = state
            .secrets
            .values()
            .map(|(_, resource)| (TypeUrl::Secret, resource.clone()));
        let set = ResourceSet::new(resources).expect("secrets require nothing");
        // Published under the lock, so that an older set never follows a newer one.
        self.published.send_replace(Arc::new(set));
    }

    /// The names that Envoy has asked for.
    pub(crate) fn wanted(&self) -> Vec<Arc<str>> {
        self.lock().wanted.iter().cloned().collect()
    }

    #[cfg(test)]
    pub(super) fn get(&self, name: &str) -> Option<Secret> {
        self.lock()
            .secrets
            .get(name)
            .map(|(secret, _)| secret.clone())
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Every change is one insert: a panic elsewhere leaves a whole state.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whoever can open the socket is our Envoy: its mode is 0600.
impl Snapshots for Store {
    fn subscribe(&self, _peer: &Peer, node: &Node) -> Result<Subscription, tonic::Status> {
        Ok(Subscription::new(&*node.id, self.published.subscribe()))
    }

    fn subscribed(&self, _id: &str, kind: TypeUrl, names: &[String]) {
        if kind != TypeUrl::Secret {
            return;
        }
        let mut state = self.lock();
        for name in names {
            if state.wanted.len() >= MAX_WANTED {
                warn!(
                    secret = name,
                    limit = MAX_WANTED,
                    "envoy asks for too many secrets, this one is not served"
                );
                break;
            }
            debug!(secret = name, "envoy asks for a secret");
            state.wanted.insert(name.as_str().into());
        }
        drop(state);
        self.asked.notify_one();
    }
}

fn encode(name: &str, secret: &Secret) -> Bytes {
    let inline = |text: &str| {
        Some(DataSource {
            specifier: Some(Specifier::InlineBytes(text.as_bytes().to_vec())),
            ..Default::default()
        })
    };
    let kind = match secret {
        Secret::Certificate { chain_pem, key_pem } => Type::TlsCertificate(TlsCertificate {
            certificate_chain: inline(chain_pem),
            private_key: inline(key_pem.reveal()),
            ..Default::default()
        }),
        Secret::Roots(pem) => Type::ValidationContext(CertificateValidationContext {
            trusted_ca: inline(pem),
            ..Default::default()
        }),
    };
    Message {
        name: name.to_owned(),
        r#type: Some(kind),
    }
    .encode_to_vec()
    .into()
}

/// Each is a file or two, read every second. A gateway with more credentials than that uses
/// `credentialName`, which comes over ADS.
const MAX_WANTED: usize = 4096;

#[cfg(test)]
mod tests {
    use super::*;

    fn version(store: &Store, name: &str) -> Option<Version> {
        store
            .published
            .borrow()
            .get(TypeUrl::Secret, name)
            .map(|resource| resource.version)
    }

    #[test]
    fn equal_secret_keeps_its_version_and_a_new_one_gets_a_new_one() {
        let store = Store::new();
        store.set("a", Secret::Roots("1".to_owned()));
        store.set("b", Secret::Roots("1".to_owned()));
        let before = version(&store, "a");
        store.set("a", Secret::Roots("1".to_owned()));
        assert_eq!(version(&store, "a"), before);
        store.set("a", Secret::Roots("2".to_owned()));
        assert_ne!(version(&store, "a"), before);
    }

    #[test]
    fn names_asked_for_are_remembered_up_to_a_limit() {
        let store = Store::new();
        let names: Vec<_> = (0..MAX_WANTED + 5)
            .map(|index| format!("file-root:/{index}"))
            .collect();
        store.subscribed("node", TypeUrl::Secret, &names);
        store.subscribed("node", TypeUrl::Cluster, &["x".to_owned()]);
        assert_eq!(store.wanted().len(), MAX_WANTED);
    }
}
