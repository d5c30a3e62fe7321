//! Takes away what policies left without use: a cluster that nothing leads to would still have its
//! name resolved, and a denied name must cause no query.

use std::collections::BTreeSet;

use sluice_plan::{
    destination::Resolution,
    listener::{Filter, Listener, Role},
    proxy::{BLACK_HOLE, ProxyPlan},
    route::{Action, RouteTable},
};

/// Keeps what can be reached from the listeners that are entered from outside or by class.
pub(crate) fn prune(plan: &mut ProxyPlan) {
    let mut listeners: BTreeSet<String> = (plan.listeners.values())
        .filter(|listener| !matches!(listener.role, Role::Hop(_)))
        .map(|listener| listener.name.clone())
        .collect();
    let mut destinations: BTreeSet<String> = [BLACK_HOLE.to_owned()].into();
    let mut routes: BTreeSet<String> = BTreeSet::new();
    let mut left: Vec<String> = listeners.iter().cloned().collect();
    while let Some(name) = left.pop() {
        // The cluster that leads to a class's listener is named in the client's certificate.
        destinations.insert(name.clone());
        let Some(listener) = plan.listeners.get(&name) else {
            continue;
        };
        let tables = tables(listener);
        let used = (tables.iter())
            .filter_map(|table| plan.routes.get(*table))
            .flat_map(|table| of_table(table))
            .chain(of_listener(listener))
            .collect::<BTreeSet<&str>>();
        for destination in used {
            destinations.insert(destination.to_owned());
            if let Some(found) = plan.destinations.get(destination)
                && let Resolution::Hop { listener, .. } = &found.resolution
                && listeners.insert(listener.clone())
            {
                left.push(listener.clone());
            }
        }
        routes.extend(tables.into_iter().map(str::to_owned));
    }
    plan.listeners.retain(|name, _| listeners.contains(name));
    plan.destinations
        .retain(|name, _| destinations.contains(name));
    plan.endpoints.retain(|name, _| destinations.contains(name));
    plan.origins.retain(|name, _| destinations.contains(name));
    plan.routes.retain(|name, _| routes.contains(name));
}

fn filters(listener: &Listener) -> impl Iterator<Item = &Filter> {
    (listener.chains.iter().map(|chain| &chain.filter)).chain(&listener.otherwise)
}

fn tables(listener: &Listener) -> BTreeSet<&str> {
    filters(listener)
        .filter_map(|filter| match filter {
            Filter::Http(http) => Some(http.route_table.as_str()),
            Filter::Tcp(_) | Filter::Deny(_) => None,
        })
        .collect()
}

fn of_listener(listener: &Listener) -> Vec<&str> {
    filters(listener)
        .flat_map(|filter| match filter {
            Filter::Tcp(tcp) => tcp.to.as_slice(),
            Filter::Http(_) | Filter::Deny(_) => &[],
        })
        .map(|share| share.destination.as_str())
        .collect()
}

fn of_table(table: &RouteTable) -> Vec<&str> {
    let actions = (table.virtual_hosts.iter())
        .flat_map(|host| &host.routes)
        .map(|route| &route.action);
    actions
        .filter_map(|action| match action {
            Action::Forward(forward) => Some(forward),
            Action::Redirect(_) | Action::Respond { .. } => None,
        })
        .flat_map(|forward| {
            let shares = forward.to.iter().map(|share| share.destination.as_str());
            shares.chain(
                forward
                    .mirrors
                    .iter()
                    .map(|mirror| mirror.destination.as_str()),
            )
        })
        .collect()
}
