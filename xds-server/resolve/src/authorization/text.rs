//! How the texts of a policy are compared.
//!
//! What is about a peer is compared with its principal, `TRUST_DOMAIN/ns/NS/sa/SA`, or a part of
//! it; `own` is the policy's namespace.

use sluice_plan::{authorization::TextMatch, identity::SpiffeId};

/// Any character within one part of a principal.
const CHARACTER: &str = "[^/]";

/// A part of a principal, or the whole.
#[derive(Clone, Copy)]
pub(super) enum Part {
    Principal,
    TrustDomain,
    Namespace,
    /// `SA` of the policy's namespace, or `NS/SA`.
    ServiceAccount,
}

/// What `value` says of this part, for a principal that is known.
pub(super) fn says(part: Part, value: &str, own: &str, principal: &SpiffeId) -> bool {
    let is = |value: &str, text: &str| TextMatch::new(value).matches(text);
    match part {
        Part::Principal => is(value, &principal.principal()),
        Part::TrustDomain => is(value, principal.trust_domain()),
        Part::Namespace => is(value, principal.namespace()),
        Part::ServiceAccount => {
            let (namespace, account) = value.split_once('/').unwrap_or((own, value));
            is(namespace, principal.namespace()) && is(account, principal.service_account())
        }
    }
}

/// The same, to compare with principals to come.
pub(super) fn pattern(part: Part, value: &str, own: &str) -> TextMatch {
    let expression = |value: &str| TextMatch::new(value).expression(CHARACTER);
    TextMatch::Regex(match part {
        Part::Principal => return TextMatch::new(value),
        Part::TrustDomain => format!("{}/.+", expression(value)),
        Part::Namespace => format!("{CHARACTER}+/ns/{}/sa/.+", expression(value)),
        Part::ServiceAccount => {
            let (namespace, account) = value.split_once('/').unwrap_or((own, value));
            format!(
                "{CHARACTER}+/ns/{}/sa/{}",
                expression(namespace),
                expression(account)
            )
        }
    })
}

/// Hosts are compared without case, and a port that the client adds changes nothing: the routes
/// do not look at it either.
pub(super) fn host(value: &str) -> TextMatch {
    let host = TextMatch::new(value);
    match host {
        TextMatch::Present => TextMatch::Present,
        TextMatch::Exact(_) | TextMatch::Prefix(_) | TextMatch::Suffix(_) | TextMatch::Regex(_) => {
            TextMatch::Regex(format!("(?i){}(:[0-9]+)?", host.expression(".")))
        }
    }
}

/// As Istio: with `{*}` for one segment and `{**}` for any number, or else a plain wildcard.
pub(super) fn path(value: &str) -> TextMatch {
    if !value.contains("{*}") && !value.contains("{**}") {
        return TextMatch::new(value);
    }
    let literal = TextMatch::Exact(value.to_owned()).expression("");
    let pattern = literal
        .replace(r"\{\*\*\}", ".*")
        .replace(r"\{\*\}", "[^/]+");
    TextMatch::Regex(pattern)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether it is said of `shop/checkout`, known and to come.
    #[track_caller]
    fn of_checkout(part: Part, value: &str, own: &str) -> bool {
        let checkout = SpiffeId::new("cluster.local", "shop", "checkout").unwrap();
        let said = says(part, value, own, &checkout);
        let matches = pattern(part, value, own).matches(&checkout.principal());
        assert_eq!(said, matches, "{value}");
        said
    }

    #[test]
    fn a_namespace_is_that_part_of_the_principal_alone() {
        for value in ["shop", "sho*", "*op", "*"] {
            assert!(of_checkout(Part::Namespace, value, ""), "{value}");
        }
        for value in ["sho", "shop/sa", "*checkout", "s.op"] {
            assert!(!of_checkout(Part::Namespace, value, ""), "{value}");
        }
    }

    #[test]
    fn a_service_account_is_of_the_policys_namespace_unless_it_says() {
        for (value, own, expected) in [
            ("checkout", "shop", true),
            ("checkout", "lab", false),
            ("shop/checkout", "lab", true),
            ("shop/check", "lab", false),
        ] {
            assert_eq!(of_checkout(Part::ServiceAccount, value, own), expected);
        }
    }

    #[test]
    fn a_trust_domain_is_the_first_part() {
        assert!(of_checkout(Part::TrustDomain, "cluster.local", ""));
        assert!(!of_checkout(Part::TrustDomain, "cluster", ""));
    }

    #[test]
    fn a_principal_is_the_whole() {
        let whole = "cluster.local/ns/shop/sa/checkout";
        for value in [whole, "*/sa/checkout", "cluster.local/*", "*"] {
            assert!(of_checkout(Part::Principal, value, ""), "{value}");
        }
        assert!(!of_checkout(Part::Principal, "shop/sa/checkout", ""));
    }

    #[test]
    fn a_host_has_no_case_and_no_port() {
        assert!(host("api.example").matches("API.example"));
        assert!(host("api.example").matches("api.example:80"));
        assert!(host("*.example").matches("api.example:80"));
        assert!(!host("api.example").matches("xapi.example"));
        assert!(!host("api.example").matches("apixexample"));
    }

    #[test]
    fn a_path_may_be_a_template() {
        assert!(path("/v1/{*}/item").matches("/v1/a/item"));
        assert!(!path("/v1/{*}/item").matches("/v1/a/b/item"));
        assert!(path("/v1/{**}").matches("/v1/a/b"));
        assert!(path("/v1/*").matches("/v1/a/b"));
    }
}
