//! AuthorizationPolicies: who may pass the chains of this gateway.
//!
//! As on Istio, the policies are those of the gateway's namespace and of the root namespace whose
//! selector takes the gateway's labels, and they are enforced at the Gateway's servers: on bare
//! ports, where the peer is the one of mTLS, and behind the tunnel, where it is the client's
//! class. What leaves from the mesh half, without meeting a server, is judged there too.
//!
//! What is known of a chain is worked out here, so a class that may not use a TCP chain finds it
//! closed, and nothing is dialled for it. A fact that cannot be judged fails closed: an ALLOW rule
//! with it never matches, a DENY rule matches whatever it is.

mod rule;
mod text;

use std::sync::Arc;

use sluice_crd::{
    diagnostic::{Severity, code},
    istio::{
        authorization_policy::{self as crd, AuthorizationPolicy},
        mesh_config::MeshConfig,
    },
    object::Resource,
};
use sluice_plan::{
    authorization::{Action, Authorization, Decision, Rules, Stage},
    destination::Resolution,
    identity::SpiffeId,
    listener::{Chain, Deny, Filter},
    proxy::BLACK_HOLE,
    route::{self, Authorized},
    secret::TrustSource,
    tls::ClientCertificates,
};

use crate::{builder::Builder, client::Class, policy::selects};

/// `"true"` puts a policy on trial.
const DRY_RUN: &str = "istio.io/dry-run";

/// The policies that hold for one gateway.
pub(crate) type Policies = Arc<[Arc<Resource<AuthorizationPolicy>>]>;

/// Who is at the other end of a connection.
#[derive(Clone, Copy)]
pub(crate) enum Peer<'a> {
    /// A client of one class, as the tunnel has proven.
    Class(&'a SpiffeId),
    /// Whoever mTLS with the mesh's certificates proves.
    Mutual,
    /// Nobody has proven who it is: only what is said without a source, or of addresses, holds.
    Unproven,
}

/// Where connections are judged.
pub(crate) struct Place<'a> {
    pub(crate) peer: Peer<'a>,
    pub(crate) mesh: &'a MeshConfig,
    /// The port that Istio's gateway would have received them on.
    pub(crate) port: u16,
    /// Whether requests are judged, or bytes.
    pub(crate) http: bool,
    pub(crate) server_names: ServerNames<'a>,
}

/// TLS server names that connections at a place have.
#[derive(Clone, Copy)]
pub(crate) enum ServerNames<'a> {
    /// This one; empty if none.
    Fixed(&'a str),
    /// One of these, exact or `*.suffix`.
    Among(&'a [String]),
    /// Any or none.
    Any,
}

impl Builder<'_, '_> {
    /// The chains of a Gateway's servers on their own port.
    pub(crate) fn authorize_servers(&mut self, port: u16, chains: Vec<Chain>) -> Vec<Chain> {
        self.authorize(chains, port, |chain| {
            let clients = chain.tls.as_ref().map(|tls| &tls.clients);
            let peer = match clients {
                // Only the mesh's CA vouches for SPIFFE ids; another's could write any.
                Some(ClientCertificates::Required(trust))
                    if trust.roots == TrustSource::Workload =>
                {
                    Peer::Mutual
                }
                Some(
                    ClientCertificates::Required(_)
                    | ClientCertificates::Optional(_)
                    | ClientCertificates::NotAsked,
                )
                | None => Peer::Unproven,
            };
            (peer, None)
        })
    }

    /// The chains of a Gateway's servers for clients of one class; `opened` is the server name of
    /// the TLS that is not there because both ends are here.
    pub(crate) fn authorize_hop(
        &mut self,
        class: &Class,
        port: u16,
        opened: Option<&str>,
        chains: Vec<Chain>,
    ) -> Vec<Chain> {
        let identity = self.identity(class);
        let peer = of_class(identity.as_ref());
        self.authorize(chains, port, |_| (peer, opened))
    }

    /// The chains of a class's mesh half, where they lead outside.
    pub(crate) fn authorize_mesh(&mut self, class: &Class, chains: Vec<Chain>) -> Vec<Chain> {
        let identity = self.identity(class);
        let peer = of_class(identity.as_ref());
        let mut authorized = Vec::new();
        for chain in chains {
            let judged_here = match &chain.filter {
                Filter::Tcp(tcp) => !self.lead_on(tcp.to.iter()),
                Filter::Http(http) => self.mark_routes(&http.route_table.clone()),
                Filter::Deny(_) => false,
            };
            let port = chain.matches.port.unwrap_or_default();
            authorized.extend(match judged_here {
                true => self.authorize(vec![chain], port, |_| (peer, None)),
                false => vec![chain],
            });
        }
        authorized
    }

    /// The SPIFFE id in the certificates of a class; `None` if its names make none, so that nobody
    /// can have one.
    fn identity(&self, class: &Class) -> Option<SpiffeId> {
        let domain = &self.view.mesh().trust_domain;
        SpiffeId::new(domain, &class.namespace, &class.service_account).ok()
    }

    /// Whether these destinations are all judged further on, or nowhere.
    fn lead_on<'r>(&self, to: impl Iterator<Item = &'r route::WeightedDestination>) -> bool {
        let mut to = to.map(|share| share.destination.as_str());
        to.all(|name| {
            name == BLACK_HOLE
                || (self.plan.destinations.get(name)).is_some_and(|destination| {
                    matches!(destination.resolution, Resolution::Hop { .. })
                })
        })
    }

    /// Tells the routes of a table that are judged further on; whether any is not.
    fn mark_routes(&mut self, table: &str) -> bool {
        if self.policies().is_empty() {
            return false;
        }
        let Some(routes) = self.plan.routes.remove(table) else {
            return false;
        };
        let mut routes = Arc::unwrap_or_clone(routes);
        let mut any_here = false;
        for route in routes
            .virtual_hosts
            .iter_mut()
            .flat_map(|host| &mut host.routes)
        {
            let elsewhere = match &route.action {
                route::Action::Forward(forward) => self.lead_on(forward.to.iter()),
                // Whoever meets it gets the reason, which says more than 403.
                route::Action::Respond { .. } => route.rule == "default-deny",
                route::Action::Redirect(_) => false,
            };
            if elsewhere {
                route.authorization = Authorized::Elsewhere;
            }
            any_here |= !elsewhere;
        }
        if !any_here {
            for route in routes
                .virtual_hosts
                .iter_mut()
                .flat_map(|host| &mut host.routes)
            {
                route.authorization = Authorized::Here;
            }
        }
        self.plan.add_routes(routes);
        any_here
    }

    fn authorize<'p>(
        &mut self,
        chains: Vec<Chain>,
        port: u16,
        who: impl Fn(&Chain) -> (Peer<'p>, Option<&'p str>),
    ) -> Vec<Chain> {
        let policies = self.policies();
        let mesh = self.view.mesh();
        let mut chains = chains;
        if policies.is_empty() {
            return chains;
        }
        for chain in &mut chains {
            let (peer, opened) = who(chain);
            let http = match &chain.filter {
                Filter::Http(_) => true,
                Filter::Tcp(_) => false,
                Filter::Deny(_) => continue,
            };
            let place = Place {
                peer,
                mesh,
                port,
                http,
                server_names: match opened {
                    Some(name) => ServerNames::Fixed(name),
                    None if http && chain.tls.is_none() => ServerNames::Fixed(""),
                    None if chain.matches.server_names.is_empty() => ServerNames::Any,
                    None => ServerNames::Among(&chain.matches.server_names),
                },
            };
            let authorization = authorization(&policies, &place);
            match authorization.decide(|_| None, |_| None) {
                Decision::Denied { policy, reason } if !http => {
                    chain.filter = Filter::Deny(Deny {
                        rule: policy.to_owned(),
                        reason: reason.to_owned(),
                    });
                }
                Decision::Denied { .. } | Decision::Depends { .. } => {
                    chain.authorization = authorization;
                }
                Decision::Allowed => chain.authorization = without_force(authorization),
            }
        }
        chains
    }

    /// The policies that hold for this gateway, and once a report of what they say in vain.
    fn policies(&mut self) -> Policies {
        if let Some(policies) = &self.policies {
            return policies.clone();
        }
        let mesh = self.view.mesh();
        let proxy = self.proxy;
        let own = proxy.namespace.as_str();
        let mut found: Vec<_> = self
            .view
            .authorization_policies(&mesh.root_namespace)
            .to_vec();
        if own != mesh.root_namespace {
            found.extend(self.view.authorization_policies(own).iter().cloned());
        }
        found.retain(|policy| {
            let spec = &policy.spec;
            let labels = spec
                .selector
                .as_ref()
                .map(|selector| &selector.match_labels);
            let by_reference = spec.target_ref.is_some() || !spec.target_refs.is_empty();
            !by_reference
                && spec.action != crd::Action::Custom
                && labels.is_none_or(|labels| selects(labels, &proxy.labels))
        });
        for policy in &found {
            for (field, why) in rule::not_in_effect(&policy.spec) {
                self.report(
                    Severity::Warning,
                    code::NOT_IN_EFFECT,
                    policy,
                    format_args!("{field}"),
                    why,
                );
            }
        }
        let policies: Policies = found.into();
        self.policies = Some(policies.clone());
        policies
    }
}

fn of_class(identity: Option<&SpiffeId>) -> Peer<'_> {
    identity.map_or(Peer::Unproven, Peer::Class)
}

/// What the policies say at one place.
fn authorization(policies: &Policies, place: &Place<'_>) -> Authorization {
    let actions = [
        (crd::Action::Audit, Action::Audit),
        (crd::Action::Deny, Action::Deny),
        (crd::Action::Allow, Action::Allow),
    ];
    let stages = actions.into_iter().filter_map(|(declared, action)| {
        let of_action = |dry_run: bool| {
            let mut policies = policies
                .iter()
                .filter(|policy| policy.spec.action == declared && is_dry_run(policy) == dry_run)
                .peekable();
            policies.peek()?;
            let mut rules = Rules {
                policies: Vec::new(),
                rules: Vec::new(),
            };
            for policy in policies {
                rules.policies.push(rule::policy_name(policy));
                let of_policy = (0..policy.spec.rules.len())
                    .filter_map(|index| rule::rule(place, policy, action, index));
                rules.rules.extend(of_policy);
            }
            // An ALLOW without rules refuses everyone; the others do nothing.
            (action == Action::Allow || !rules.rules.is_empty()).then_some(rules)
        };
        let (enforced, dry_run) = (of_action(false), of_action(true));
        (enforced.is_some() || dry_run.is_some()).then_some(Stage {
            action,
            enforced,
            dry_run,
        })
    });
    Authorization {
        stages: stages.collect(),
    }
}

fn is_dry_run(policy: &Resource<AuthorizationPolicy>) -> bool {
    let value = policy.meta.annotations.get(DRY_RUN);
    value.is_some_and(|value| value.eq_ignore_ascii_case("true"))
}

/// What only logs, where it is settled that everyone may pass.
fn without_force(authorization: Authorization) -> Authorization {
    let stages = authorization.stages.into_iter().filter_map(|stage| {
        let enforced = match stage.action {
            Action::Audit => stage.enforced,
            Action::Deny | Action::Allow => None,
        };
        (enforced.is_some() || stage.dry_run.is_some()).then_some(Stage { enforced, ..stage })
    });
    Authorization {
        stages: stages.collect(),
    }
}
