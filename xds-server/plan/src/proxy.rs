//! All that one proxy gets.

use std::{collections::BTreeMap, sync::Arc};

use serde::Serialize;

use crate::{
    destination::{Destination, Endpoints},
    listener::Listener,
    route::RouteTable,
    secret::Secret,
};

/// The name of the destination that refuses every connection (Istio's).
pub const BLACK_HOLE: &str = "BlackHoleCluster";

/// All that one proxy gets, by name. Nodes are shared with other proxies and earlier plans.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ProxyPlan {
    /// Listeners.
    pub listeners: BTreeMap<String, Arc<Listener>>,
    /// Route tables that the listeners name.
    pub routes: BTreeMap<String, Arc<RouteTable>>,
    /// Destinations that listeners and routes name.
    pub destinations: BTreeMap<String, Arc<Destination>>,
    /// Endpoints of the destinations that are discovered.
    pub endpoints: BTreeMap<String, Arc<Endpoints>>,
    /// Secrets that destinations and listeners name and the control plane holds.
    pub secrets: BTreeMap<String, Arc<Secret>>,
    /// The objects behind each destination, for `explain`; no part of any version.
    pub origins: BTreeMap<String, Vec<String>>,
}

impl ProxyPlan {
    /// Adds a listener.
    pub fn add_listener(&mut self, listener: Listener) {
        self.listeners
            .insert(listener.name.clone(), Arc::new(listener));
    }

    /// Adds a route table.
    pub fn add_routes(&mut self, table: RouteTable) {
        self.routes.insert(table.name.clone(), Arc::new(table));
    }

    /// Adds a destination.
    pub fn add_destination(&mut self, destination: Destination) {
        self.destinations
            .insert(destination.name.clone(), Arc::new(destination));
    }

    /// Adds the endpoints of a discovered destination.
    pub fn add_endpoints(&mut self, endpoints: Endpoints) {
        self.endpoints
            .insert(endpoints.name.clone(), Arc::new(endpoints));
    }

    /// Adds a secret.
    pub fn add_secret(&mut self, secret: Secret) {
        self.secrets.insert(secret.name.clone(), Arc::new(secret));
    }
}
