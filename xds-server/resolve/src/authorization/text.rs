//! How the texts of a policy are compared.
//!
//! What is about a peer is compared with its principal, `TRUST_DOMAIN/ns/NS/sa/SA`. The second
//! argument is the policy's namespace.

use sluice_plan::authorization::TextMatch;

/// Any text within one part of a principal.
const PART: &str = "[^/]";

pub(super) fn principal(value: &str, _: &str) -> TextMatch {
    TextMatch::new(value)
}

pub(super) fn namespace(value: &str, _: &str) -> TextMatch {
    let namespace = TextMatch::new(value).expression(PART);
    TextMatch::Regex(format!("{PART}+/ns/{namespace}/sa/.+"))
}

/// `SA` of the policy's namespace, or `NS/SA`.
pub(super) fn service_account(value: &str, own: &str) -> TextMatch {
    let (namespace, account) = value.split_once('/').unwrap_or((own, value));
    let namespace = TextMatch::new(namespace).expression(PART);
    let account = TextMatch::new(account).expression(PART);
    TextMatch::Regex(format!("{PART}+/ns/{namespace}/sa/{account}"))
}

pub(super) fn trust_domain(value: &str, _: &str) -> TextMatch {
    let domain = TextMatch::new(value).expression(PART);
    TextMatch::Regex(format!("{domain}/.+"))
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

    const CHECKOUT: &str = "cluster.local/ns/shop/sa/checkout";

    #[test]
    fn a_namespace_is_that_part_of_the_principal_alone() {
        for (value, expected) in [
            ("shop", true),
            ("sho*", true),
            ("*op", true),
            ("*", true),
            ("sho", false),
            ("shop/sa", false),
            ("*checkout", false),
        ] {
            assert_eq!(namespace(value, "").matches(CHECKOUT), expected, "{value}");
        }
    }

    #[test]
    fn a_service_account_is_of_the_policys_namespace_unless_it_says() {
        assert!(service_account("checkout", "shop").matches(CHECKOUT));
        assert!(!service_account("checkout", "lab").matches(CHECKOUT));
        assert!(service_account("shop/checkout", "lab").matches(CHECKOUT));
        assert!(!service_account("shop/check", "lab").matches(CHECKOUT));
    }

    #[test]
    fn a_trust_domain_is_the_first_part() {
        assert!(trust_domain("cluster.local", "").matches(CHECKOUT));
        assert!(!trust_domain("cluster", "").matches(CHECKOUT));
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
