//! The way of a class with its policies on it: the same way, leaving from their address, and
//! closed where a Deny stands at its end.
//!
//! What other classes share is never changed, but copied under a name of its own: clusters and
//! listeners with `;203.0.113.10`, route tables also with `@CLASS`.

use std::sync::Arc;

use sluice_plan::{
    destination::{Destination, Endpoints, Resolution},
    listener::{Chain, Deny, Filter, Listener},
    route::{Action, Route, RouteTable, WeightedDestination},
};

use super::{Leave, Verdict};
use crate::{builder::Builder, client::Class, http::block_all};

/// A Deny on the way: the policy, and why.
pub(super) struct Closed {
    pub(super) rule: String,
    pub(super) reason: String,
}

impl Closed {
    pub(super) fn filter(self) -> Filter {
        Filter::Deny(Deny {
            rule: self.rule,
            reason: self.reason,
        })
    }

    /// A route that answers with the policy.
    pub(super) fn route(&self) -> Route {
        let reason = format!("egress denied: {}", self.reason);
        let mut refusing = block_all(403, &self.rule, &reason);
        let mut route = refusing.routes.swap_remove(0);
        route.name = "denied".to_owned();
        route
    }
}

impl Builder<'_, '_> {
    /// A filter of `class` that leaves as its policies say.
    pub(super) fn filter_leaving(
        &mut self,
        class: &Class,
        filter: &Filter,
        leave: &Leave,
    ) -> Filter {
        match filter {
            Filter::Http(http) => {
                let mut http = http.clone();
                http.route_table = self.table_leaving(class, &http.route_table, leave);
                Filter::Http(http)
            }
            Filter::Tcp(tcp) => {
                let mut tcp = tcp.clone();
                match self.shares_leaving(class, &mut tcp.to, leave) {
                    Ok(()) => Filter::Tcp(tcp),
                    Err(closed) => closed.filter(),
                }
            }
            Filter::Deny(_) => filter.clone(),
        }
    }

    /// Lets a route of `class` leave as its policies say.
    pub(super) fn route_leaving(&mut self, class: &Class, route: &mut Route, leave: &Leave) {
        let Action::Forward(forward) = &mut route.action else {
            return;
        };
        if let Err(closed) = self.shares_leaving(class, &mut forward.to, leave) {
            *route = Route {
                matches: route.matches.clone(),
                ..closed.route()
            };
            return;
        }
        let mirrors = std::mem::take(&mut forward.mirrors);
        for mut mirror in mirrors {
            // A copy to where a Deny stands is no reason to refuse the request.
            if let Ok(destination) = self.leaving(class, &mirror.destination, leave) {
                mirror.destination = destination;
                forward.mirrors.push(mirror);
            }
        }
    }

    fn shares_leaving(
        &mut self,
        class: &Class,
        to: &mut [WeightedDestination],
        leave: &Leave,
    ) -> Result<(), Closed> {
        for share in to {
            share.destination = self.leaving(class, &share.destination, leave)?;
        }
        Ok(())
    }

    /// The destination that is `name` with the address of `leave`.
    fn leaving(&mut self, class: &Class, name: &str, leave: &Leave) -> Result<String, Closed> {
        if let Some(target) = self.targets.get(name)
            && let Verdict::Denied { rule, reason } = self.egress.host(&target.host, target.port)
        {
            return Err(Closed { rule, reason });
        }
        let Some(found) = self.plan.destinations.get(name).cloned() else {
            return Ok(name.to_owned());
        };
        let suffix = leave.suffix();
        let new = format!("{name}{suffix}");
        match &found.resolution {
            Resolution::Nowhere => return Ok(name.to_owned()),
            Resolution::Hop { listener, .. } => self.hop_leaving(class, listener, leave),
            Resolution::Dns(_)
            | Resolution::LogicalDns(_)
            | Resolution::Discovered
            | Resolution::Original { .. } => {
                if suffix.is_empty() {
                    return Ok(new);
                }
            }
        }
        self.because_of(name, &new, leave);
        if suffix.is_empty() || self.plan.destinations.contains_key(&new) {
            return Ok(new);
        }
        let mut copy = Destination::clone(&found);
        copy.name.clone_from(&new);
        copy.stat_name.get_or_insert_with(|| name.to_owned());
        match &mut copy.resolution {
            Resolution::Hop { listener, .. } => listener.push_str(&suffix),
            _ => copy.source.clone_from(&leave.source),
        }
        if let Some(endpoints) = self.plan.endpoints.get(name).cloned() {
            self.plan.add_endpoints(Endpoints {
                name: new.clone(),
                ..Endpoints::clone(&endpoints)
            });
        }
        self.plan.add_destination(copy);
        Ok(new)
    }

    /// Adds the policy to the objects behind a destination.
    fn because_of(&mut self, name: &str, new: &str, leave: &Leave) {
        let before = self.plan.origins.get(name).cloned().unwrap_or_default();
        let origins = self.plan.origins.entry(new.to_owned()).or_insert(before);
        if !leave.rule.is_empty() && !origins.contains(&leave.rule) {
            origins.push(leave.rule.clone());
        }
    }

    /// Adds the copy of a class's own internal listener whose connections leave as said.
    fn hop_leaving(&mut self, class: &Class, name: &str, leave: &Leave) {
        let new = format!("{name}{}", leave.suffix());
        if !self.left.insert(new.clone()) {
            return;
        }
        let Some(found) = self.plan.listeners.get(name).cloned() else {
            return;
        };
        let chains = (found.chains.iter())
            .map(|chain| Chain {
                filter: self.filter_leaving(class, &chain.filter, leave),
                ..chain.clone()
            })
            .collect();
        self.plan.add_listener(Listener {
            name: new,
            chains,
            ..Listener::clone(&found)
        });
    }

    /// The name of the copy of a Gateway's route table whose requests leave as said.
    fn table_leaving(&mut self, class: &Class, name: &str, leave: &Leave) -> String {
        // The listener that is copied may itself lead to a table of the class.
        let own = format!("@{}", class.id);
        let name = name.strip_suffix(&own).unwrap_or(name);
        let Some(found) = self.plan.routes.get(name).cloned() else {
            return name.to_owned();
        };
        let mut table = RouteTable::clone(&found);
        table.name = format!("{name}@{}{}", class.id, leave.suffix());
        for route in table
            .virtual_hosts
            .iter_mut()
            .flat_map(|host| &mut host.routes)
        {
            self.route_leaving(class, route, leave);
        }
        if table.virtual_hosts == found.virtual_hosts {
            return name.to_owned();
        }
        let name = table.name.clone();
        self.plan.routes.insert(name.clone(), Arc::new(table));
        name
    }
}
