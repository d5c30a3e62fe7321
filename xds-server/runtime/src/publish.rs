//! From objects to what each connected proxy shall hold.
//!
//! [`Publisher`] owns the catalog. [`run`] applies updates one after another and recomputes the
//! plan of every group of connected proxies; a proxy whose plan is the same is not woken. A proxy
//! that connects is admitted by its certificate ([`admission`]) and joins its group, or makes it.
//!
//! Locks: the catalog is only written while no plan is being made, plans are made under its read
//! lock, and `hub` is held for lookups alone, never while a plan is made and never across an
//! `await`. Lock order: catalog, then hub.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard,
        atomic::{AtomicBool, Ordering},
    },
    time::Instant,
};

use sluice_ads::{Node, Peer, ResourceSet, Snapshots, Subscription};
use sluice_crd::{diagnostic::Diagnostic, istio::mesh_config::MeshConfig};
use sluice_plan::proxy::ProxyPlan;
use sluice_resolve::{Catalog, ProxyIdentity, analyze, proxy};
use sluice_translate::print::PrintError;
use tokio::{
    sync::{mpsc, watch},
    task::spawn_blocking,
};
use tokio_util::sync::CancellationToken;
use tonic::Status;
use tracing::{debug, error, info, warn};

use crate::{metrics::Metrics, watch::Update};

pub(crate) mod admission;
mod dump;
mod group;
mod report;

use admission::admit;
use group::{Group, Key};

/// The world as it is, and who follows it.
pub struct Publisher {
    catalog: RwLock<Catalog>,
    hub: Mutex<Hub>,
    is_ready: AtomicBool,
    metrics: Arc<Metrics>,
    reported: Mutex<report::Reported>,
}

#[derive(Default)]
struct Hub {
    groups: BTreeMap<Key, Group>,
    connections: Vec<Connection>,
}

/// A proxy that is connected. When `sender` goes, its stream ends.
struct Connection {
    peer: Peer,
    node: Node,
    key: Key,
    sender: watch::Sender<Arc<ResourceSet>>,
}

/// What an update came to.
#[derive(Debug, Default)]
struct Published {
    groups: usize,
    proxies: usize,
    woken: usize,
    closed: usize,
}

impl Publisher {
    /// An empty world. Proxies are refused until the first update.
    pub fn new(metrics: Arc<Metrics>) -> Self {
        Self {
            catalog: RwLock::new(Catalog::new(MeshConfig::default())),
            hub: Mutex::default(),
            is_ready: AtomicBool::new(false),
            metrics,
            reported: Mutex::default(),
        }
    }

    /// Whether all objects were read and a first set is published.
    pub fn is_ready(&self) -> bool {
        self.is_ready.load(Ordering::Acquire)
    }

    /// Applies `update` and brings every connected proxy to the new world. Takes as long as the
    /// plans take: call it where blocking is allowed.
    pub fn apply(&self, update: Update) {
        let start = Instant::now();
        let facts = self.change(update.mesh, update.changes);
        let catalog = self.catalog();
        let published = self.publish(&catalog);
        self.is_ready.store(true, Ordering::Release);
        let elapsed = start.elapsed();
        self.metrics.published(elapsed, update.objects);
        info!(
            objects = update.objects,
            facts,
            groups = published.groups,
            proxies = published.proxies,
            woken = published.woken,
            closed = published.closed,
            elapsed_ms = elapsed.as_millis(),
            "published resources"
        );
        // Proxies do not wait for what people read.
        self.metrics.load_errors(&update.diagnostics);
        let mut diagnostics = update.diagnostics;
        diagnostics.extend(analyze(&catalog));
        drop(catalog);
        self.report(diagnostics);
    }

    /// Ends all streams, and admits no more.
    fn close(&self) {
        self.is_ready.store(false, Ordering::Release);
        self.hub().connections.clear();
    }

    /// The node ids of the connected proxies, sorted.
    pub fn connected(&self) -> Vec<String> {
        let mut hub = self.hub();
        hub.forget_the_gone();
        let mut ids: Vec<String> = hub.connections.iter().map(|c| c.node.id.clone()).collect();
        ids.sort();
        ids
    }

    /// What the proxy in this pod gets, without key material; `None` if there is no such pod.
    ///
    /// # Errors
    /// When a resource cannot be printed, which would be a defect.
    pub fn config_dump(
        &self,
        namespace: &str,
        pod: &str,
    ) -> Option<Result<serde_json::Value, PrintError>> {
        let catalog = self.catalog();
        let identity = ProxyIdentity::of(catalog.pod(namespace, pod)?);
        let resolved = proxy(&catalog, &identity);
        drop(catalog);
        Some(dump::dump(&resolved.plan))
    }

    /// The catalog, for reading.
    pub(crate) fn catalog(&self) -> RwLockReadGuard<'_, Catalog> {
        self.catalog.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// The objects behind resources of the proxy `id`, for a rejection's log line.
    pub(crate) fn objects_behind(&self, node_id: &str, names: &[Arc<str>]) -> Vec<String> {
        let plan: Option<Arc<ProxyPlan>> = {
            let hub = self.hub();
            let connection = hub.connections.iter().find(|c| c.node.id == node_id);
            connection
                .and_then(|connection| hub.groups.get(&connection.key))
                .map(|group| group.plan.clone())
        };
        plan.map(|plan| report::objects_behind(&plan, names))
            .unwrap_or_default()
    }

    fn change(&self, mesh: Option<MeshConfig>, changes: Vec<sluice_resolve::Change>) -> usize {
        let mut catalog = self.catalog.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(mesh) = mesh {
            catalog.set_mesh(mesh);
        }
        catalog.apply(changes).len()
    }

    fn publish(&self, catalog: &Catalog) -> Published {
        let groups: Vec<(Key, Group)> = {
            let mut hub = self.hub();
            hub.forget_the_gone();
            hub.groups
                .iter()
                .map(|(key, group)| (key.clone(), group.clone()))
                .collect()
        };
        let mut renewed: BTreeMap<Key, Group> = BTreeMap::new();
        for (key, old) in groups {
            if let Some(group) = self.group(catalog, &key, Some(&old), renewed.values()) {
                renewed.insert(key, group);
            }
        }

        let mut hub = self.hub();
        hub.groups.extend(renewed);
        let closed = hub.close_the_refused(catalog);
        let woken = hub.wake();
        Published {
            groups: hub.groups.len(),
            proxies: hub.connections.len(),
            woken,
            closed,
        }
    }

    /// What the proxies of `key` get now; `None`, after saying so, if that would hang an Envoy.
    fn group<'a>(
        &self,
        catalog: &Catalog,
        key: &Key,
        previous: Option<&'a Group>,
        others: impl IntoIterator<Item = &'a Group>,
    ) -> Option<Group> {
        let resolved = proxy(catalog, &key.proxy());
        match Group::new(resolved.plan, previous, others) {
            Ok(group) => Some(group),
            Err(dangling) => {
                error!(error = %dangling, ?key, "inconsistent resources, keeping those of before");
                self.metrics.publish_failed();
                None
            }
        }
    }

    fn report(&self, diagnostics: Vec<Diagnostic>) {
        self.metrics.diagnostics(&diagnostics);
        let mut reported = self.reported.lock().unwrap_or_else(PoisonError::into_inner);
        for news in reported.news(diagnostics) {
            report::log(&news);
        }
    }

    fn hub(&self) -> MutexGuard<'_, Hub> {
        self.hub.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Snapshots for Publisher {
    fn subscribe(&self, peer: &Peer, node: &Node) -> Result<Subscription, Status> {
        if !self.is_ready() {
            return Err(Status::unavailable("the configuration is not read yet"));
        }
        // Held until the proxy is registered: no update can slip in between.
        let catalog = self.catalog();
        let identity: ProxyIdentity = admit(&catalog, peer, node)?;
        let key = Key::of(&catalog, &identity);
        let known = self.hub().groups.get(&key).cloned();
        let group = match known {
            Some(group) => group,
            None => {
                let others: Vec<Group> = self.hub().groups.values().cloned().collect();
                self.group(&catalog, &key, None, &others)
                    .ok_or_else(|| Status::internal("the resources are inconsistent"))?
            }
        };
        debug!(node.id, "admitted proxy");

        let mut hub = self.hub();
        let group = hub.groups.entry(key.clone()).or_insert(group);
        let (sender, updates) = watch::channel(group.resources.clone());
        hub.connections.push(Connection {
            peer: peer.clone(),
            node: node.clone(),
            key,
            sender,
        });
        Ok(Subscription::new(node.id.as_str(), updates))
    }
}

impl Hub {
    fn forget_the_gone(&mut self) {
        self.connections.retain(|c| !c.sender.is_closed());
        let used: BTreeSet<&Key> = self.connections.iter().map(|c| &c.key).collect();
        self.groups.retain(|key, _| used.contains(key));
    }

    /// Ends the streams of proxies that would not be admitted any more, or that belong to another
    /// group by now: they come again at once, and get what they may have.
    fn close_the_refused(&mut self, catalog: &Catalog) -> usize {
        let before = self.connections.len();
        self.connections.retain(|connection| {
            match admit(catalog, &connection.peer, &connection.node) {
                Ok(identity) => Key::of(catalog, &identity) == connection.key,
                Err(refused) => {
                    warn!(node.id = connection.node.id, error = %refused, "closing stream");
                    false
                }
            }
        });
        before - self.connections.len()
    }

    /// Hands each proxy its group's set, if that is another than it has.
    fn wake(&self) -> usize {
        let mut woken = 0;
        for connection in &self.connections {
            let Some(group) = self.groups.get(&connection.key) else {
                continue;
            };
            let is_new = connection.sender.send_if_modified(|set| {
                let is_new = !Arc::ptr_eq(set, &group.resources);
                set.clone_from(&group.resources);
                is_new
            });
            woken += usize::from(is_new);
        }
        woken
    }
}

/// Applies updates as they come, until `stop` or the source is gone.
pub async fn run(
    publisher: Arc<Publisher>,
    mut updates: mpsc::Receiver<Update>,
    stop: CancellationToken,
) {
    loop {
        let update = tokio::select! {
            () = stop.cancelled() => break,
            update = updates.recv() => match update {
                Some(update) => update,
                None => break,
            },
        };
        let applying = publisher.clone();
        let applied = spawn_blocking(move || applying.apply(update)).await;
        if let Err(error) = applied {
            // A defect that some object brings out. The next change may take it away; until then
            // proxies are better off with what they have than without a control plane.
            error!(%error, "cannot make resources, proxies keep those of before");
            publisher.metrics.publish_failed();
        }
    }
    // Streams never end by themselves: without this a server that shuts down waits for them.
    publisher.close();
}

#[cfg(test)]
mod tests;
