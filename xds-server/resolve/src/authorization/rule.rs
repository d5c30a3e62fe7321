//! One rule of a policy, worked out for one place.

use sluice_crd::{
    istio::authorization_policy::{self as crd, AuthorizationPolicy},
    object::Resource,
};
use sluice_plan::{
    authorization::{Action, Condition, Operation, Rule, Source, TextMatch},
    host::Host,
};

use super::{
    Peer, Place, ServerNames,
    text::{self, Part},
};

/// What attribute a condition is about, if it is one that is judged.
enum Key<'c> {
    Principal,
    Namespace,
    ServiceAccount,
    TrustDomain,
    DirectAddress,
    RemoteAddress,
    Address,
    Port,
    ServerName,
    Header(&'c str),
}

impl<'c> Key<'c> {
    fn parse(key: &'c str) -> Option<Self> {
        Some(match key {
            "source.principal" => Self::Principal,
            "source.namespace" => Self::Namespace,
            "source.serviceAccount" => Self::ServiceAccount,
            "source.trustDomain" => Self::TrustDomain,
            "source.ip" => Self::DirectAddress,
            "remote.ip" => Self::RemoteAddress,
            "destination.ip" => Self::Address,
            "destination.port" => Self::Port,
            "connection.sni" => Self::ServerName,
            key => {
                let header = key.strip_prefix("request.headers[")?.strip_suffix(']')?;
                // Envoy would refuse others, and with them the whole listener.
                let allowed =
                    |byte: u8| byte.is_ascii_graphic() && !b"\"(),/;<=>?@[]{}\\".contains(&byte);
                let is_name = !header.is_empty() && header.bytes().all(allowed);
                is_name.then_some(Self::Header(header))?
            }
        })
    }
}

/// What a policy says and nobody judges: field and reason.
pub(super) fn not_in_effect(policy: &AuthorizationPolicy) -> Vec<(String, String)> {
    let consequence = match policy.action {
        crd::Action::Allow => "the rule never matches",
        crd::Action::Deny | crd::Action::Audit | crd::Action::Custom => {
            "the rule matches whatever it is"
        }
    };
    let mut found = Vec::new();
    for (number, rule) in policy.rules.iter().enumerate() {
        for (index, condition) in rule.when.iter().enumerate() {
            let field = format!("spec.rules[{number}].when[{index}].key");
            match Key::parse(&condition.key) {
                None => found.push((
                    field,
                    format!("`{}` is not judged: {consequence}", condition.key),
                )),
                Some(Key::Address) => found.push((
                    field,
                    format!(
                        "`destination.ip` is judged on bare ports only; elsewhere {consequence}"
                    ),
                )),
                Some(_) => {}
            }
        }
    }
    found
}

/// `AuthorizationPolicy/shop/partner`, as logs and `explain` show it.
pub(super) fn policy_name(policy: &Resource<AuthorizationPolicy>) -> String {
    format!(
        "AuthorizationPolicy/{}/{}",
        policy.meta.namespace, policy.meta.name
    )
}

/// A rule of a policy; `None` if it can never match at this place.
pub(super) fn rule(
    place: &Place<'_>,
    policy: &Resource<AuthorizationPolicy>,
    action: Action,
    index: usize,
) -> Option<Rule> {
    let declared = policy.spec.rules.get(index)?;
    let mut terms = Terms {
        place,
        action,
        namespace: &policy.meta.namespace,
        is_unjudged: false,
    };
    let mut sources = vec![
        terms.one_of(&declared.from, |terms, from| match &from.source {
            Some(source) => terms.source(source),
            None => terms.unjudged(),
        }),
    ];
    let mut operations = vec![terms.one_of(&declared.to, |terms, to| match &to.operation {
        Some(operation) => terms.operation(operation),
        None => terms.unjudged(),
    })];
    for condition in &declared.when {
        terms.condition(condition, &mut sources, &mut operations);
    }
    let rule = Rule {
        name: format!(
            "ns[{}]-policy[{}]-rule[{index}]",
            policy.meta.namespace, policy.meta.name
        ),
        policy: policy_name(policy),
        source: Condition::all(sources),
        operation: Condition::all(operations),
    };
    // As Istio: an ALLOW rule with something that cannot be judged allows nothing.
    let never = (action == Action::Allow && terms.is_unjudged)
        || rule.source.settled() == Some(false)
        || rule.operation.settled() == Some(false);
    (!never).then_some(rule)
}

/// Makes the conditions of one rule.
struct Terms<'a> {
    place: &'a Place<'a>,
    action: Action,
    /// The policy's namespace.
    namespace: &'a str,
    /// Whether something of the rule cannot be judged here.
    is_unjudged: bool,
}

impl Terms<'_> {
    fn one_of<T, F>(
        &mut self,
        items: &[T],
        mut condition: impl FnMut(&mut Self, &T) -> Condition<F>,
    ) -> Condition<F> {
        if items.is_empty() {
            return Condition::constant(true);
        }
        let conditions: Vec<_> = items.iter().map(|item| condition(self, item)).collect();
        Condition::any(conditions)
    }

    /// Something that cannot be judged here: the field counts as absent, and an ALLOW rule is left out.
    fn unjudged<F>(&mut self) -> Condition<F> {
        self.is_unjudged = true;
        Condition::constant(true)
    }

    /// A field and its opposite: one of `values`, none of `not_values`.
    fn field<F>(
        &mut self,
        values: &[String],
        not_values: &[String],
        mut fact: impl FnMut(&mut Self, &str) -> Condition<F>,
    ) -> Condition<F> {
        let before = std::mem::take(&mut self.is_unjudged);
        let mut both = Vec::new();
        if !values.is_empty() {
            both.push(Condition::any(
                values
                    .iter()
                    .map(|value| fact(self, value))
                    .collect::<Vec<_>>(),
            ));
        }
        if !not_values.is_empty() {
            let any: Vec<_> = not_values.iter().map(|value| fact(self, value)).collect();
            both.push(Condition::any(any).negated());
        }
        let here = std::mem::replace(&mut self.is_unjudged, before);
        match here {
            true => self.unjudged(),
            false => Condition::all(both),
        }
    }

    fn source(&mut self, source: &crd::Source) -> Condition<Source> {
        let conditions = [
            self.principals(&source.principals, &source.not_principals),
            self.peer(&source.namespaces, &source.not_namespaces, Part::Namespace),
            self.peer(
                &source.service_accounts,
                &source.not_service_accounts,
                Part::ServiceAccount,
            ),
            self.peer(
                &source.trust_domains,
                &source.not_trust_domains,
                Part::TrustDomain,
            ),
            self.addresses(
                &source.ip_blocks,
                &source.not_ip_blocks,
                Source::DirectAddress,
            ),
            self.addresses(
                &source.remote_ip_blocks,
                &source.not_remote_ip_blocks,
                Source::RemoteAddress,
            ),
            match source.request_principals.is_empty() && source.not_request_principals.is_empty() {
                true => Condition::constant(true),
                false => self.unjudged(),
            },
        ];
        Condition::all(conditions)
    }

    /// As Istio: a principal of an old trust domain, or of `cluster.local`, means the mesh's too.
    fn principals(&mut self, values: &[String], not_values: &[String]) -> Condition<Source> {
        let mesh = self.place.mesh;
        let with_aliases = |values: &[String]| -> Vec<String> {
            let renamed = values.iter().filter_map(|value| {
                let (domain, rest) = value.split_once('/')?;
                let known = domain == "cluster.local"
                    || mesh
                        .trust_domain_aliases
                        .iter()
                        .any(|alias| alias == domain);
                (known && domain != mesh.trust_domain)
                    .then(|| format!("{}/{rest}", mesh.trust_domain))
            });
            values.iter().cloned().chain(renamed).collect()
        };
        self.peer(
            &with_aliases(values),
            &with_aliases(not_values),
            Part::Principal,
        )
    }

    /// A field about the peer, or a part of its principal.
    fn peer(&mut self, values: &[String], not_values: &[String], part: Part) -> Condition<Source> {
        let namespace = self.namespace;
        // Whoever has not proven who it is may be anyone, also the one who shall not be allowed.
        if matches!(self.place.peer, Peer::Unproven)
            && self.action == Action::Allow
            && !not_values.is_empty()
        {
            return Condition::constant(false);
        }
        self.field(values, not_values, |terms, value| match terms.place.peer {
            Peer::Class(identity) => {
                Condition::constant(text::says(part, value, namespace, identity))
            }
            Peer::Mutual => Condition::Is(Source::Peer(text::pattern(part, value, namespace))),
            Peer::Unproven => Condition::constant(false),
        })
    }

    fn addresses(
        &mut self,
        values: &[String],
        not_values: &[String],
        fact: impl Fn(sluice_plan::address::Cidr) -> Source,
    ) -> Condition<Source> {
        self.field(values, not_values, |terms, value| {
            match (value.parse(), terms.place.peer) {
                // Behind the tunnel the packets are the gateway's own; the client's address came
                // along.
                (Ok(block), Peer::Class(_)) => Condition::Is(Source::RemoteAddress(block)),
                (Ok(block), Peer::Mutual | Peer::Unproven) => Condition::Is(fact(block)),
                (Err(_), _) => terms.unjudged(),
            }
        })
    }

    fn operation(&mut self, operation: &crd::Operation) -> Condition<Operation> {
        let conditions = [
            self.ports(&operation.ports, &operation.not_ports),
            self.request(&operation.hosts, &operation.not_hosts, |value| {
                Operation::Header(":authority".to_owned(), text::host(value))
            }),
            self.request(&operation.methods, &operation.not_methods, |value| {
                Operation::Header(":method".to_owned(), TextMatch::new(value))
            }),
            self.request(&operation.paths, &operation.not_paths, |value| {
                Operation::Path(text::path(value))
            }),
        ];
        Condition::all(conditions)
    }

    fn ports<F>(&mut self, values: &[String], not_values: &[String]) -> Condition<F> {
        self.field(values, not_values, |terms, value| {
            Condition::constant(value.parse() == Ok(terms.place.port))
        })
    }

    /// A field about an HTTP request, of which bytes know nothing.
    fn request(
        &mut self,
        values: &[String],
        not_values: &[String],
        fact: impl Fn(&str) -> Operation,
    ) -> Condition<Operation> {
        let is_set = !values.is_empty() || !not_values.is_empty();
        if is_set && !self.place.http {
            return self.unjudged();
        }
        self.field(values, not_values, |_, value| Condition::Is(fact(value)))
    }

    fn condition(
        &mut self,
        condition: &crd::Condition,
        sources: &mut Vec<Condition<Source>>,
        operations: &mut Vec<Condition<Operation>>,
    ) {
        let (values, not_values) = (&condition.values, &condition.not_values);
        match Key::parse(&condition.key) {
            None => operations.push(self.unjudged()),
            Some(Key::Principal) => sources.push(self.principals(values, not_values)),
            Some(Key::Namespace) => sources.push(self.peer(values, not_values, Part::Namespace)),
            Some(Key::ServiceAccount) => {
                sources.push(self.peer(values, not_values, Part::ServiceAccount));
            }
            Some(Key::TrustDomain) => {
                sources.push(self.peer(values, not_values, Part::TrustDomain));
            }
            Some(Key::DirectAddress) => {
                sources.push(self.addresses(values, not_values, Source::DirectAddress));
            }
            Some(Key::RemoteAddress) => {
                sources.push(self.addresses(values, not_values, Source::RemoteAddress));
            }
            Some(Key::Address) => operations.push(self.own_addresses(values, not_values)),
            Some(Key::Port) => operations.push(self.ports(values, not_values)),
            Some(Key::ServerName) => operations.push(self.server_names(values, not_values)),
            Some(Key::Header(name)) => {
                let name = name.to_ascii_lowercase();
                operations.push(self.request(values, not_values, |value| {
                    Operation::Header(name.clone(), TextMatch::new(value))
                }));
            }
        }
    }

    /// The address that the gateway received the connection on; behind the tunnel there is none.
    fn own_addresses(&mut self, values: &[String], not_values: &[String]) -> Condition<Operation> {
        if matches!(self.place.peer, Peer::Class(_)) {
            return self.unjudged();
        }
        self.field(values, not_values, |terms, value| match value.parse() {
            Ok(block) => Condition::Is(Operation::Address(block)),
            Err(_) => terms.unjudged(),
        })
    }

    fn server_names(&mut self, values: &[String], not_values: &[String]) -> Condition<Operation> {
        self.field(values, not_values, |terms, value| {
            let wanted = TextMatch::new(&value.to_ascii_lowercase());
            let settled = match terms.place.server_names {
                ServerNames::Fixed(name) => Some(wanted.matches(name)),
                ServerNames::Among(names) => among(&wanted, names),
                ServerNames::Any => None,
            };
            settled.map_or(
                Condition::Is(Operation::ServerName(wanted)),
                Condition::constant,
            )
        })
    }
}

/// Whether all of these names are wanted, or none; `None` if some may be.
fn among(wanted: &TextMatch, names: &[String]) -> Option<bool> {
    let one = |name: &String| match (name.strip_prefix('*'), wanted) {
        (None, _) => Some(wanted.matches(name)),
        (Some(_), TextMatch::Present) => Some(true),
        (Some(suffix), TextMatch::Suffix(wanted)) if suffix.ends_with(wanted.as_str()) => {
            Some(true)
        }
        (Some(_), TextMatch::Exact(wanted)) if !Host::new(name).matches(wanted) => Some(false),
        (Some(_), _) => None,
    };
    let first = one(names.first()?)?;
    names
        .iter()
        .all(|name| one(name) == Some(first))
        .then_some(first)
}
