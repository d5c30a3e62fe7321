//! Capture by nftables: outbound connections of a pod reach its sidecar by REDIRECT.
//!
//! [`ruleset`] is a pure function to the text that `nft -f -` reads in the pod's network
//! namespace. Applying it twice is applying it once: the table is replaced in one transaction,
//! so there is no moment without rules. This is a redirect, not a guard: what runs as the
//! sidecar's user, or is not TCP, goes its own way.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::net::IpAddr;

use crate::cidr::Cidr;

/// The port on which a sidecar takes captured connections, as Istio's does.
pub const CAPTURE_PORT: u16 = 15001;

/// The user that a sidecar runs as, as Istio's does.
pub const PROXY_UID: u32 = 1337;

/// What is captured, and where it goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Capture {
    /// The sidecar's capture port on 127.0.0.1 and ::1. Default [`CAPTURE_PORT`].
    pub proxy_port: u16,
    /// The sidecar's user, whose own connections are left alone. Default [`PROXY_UID`].
    pub proxy_uid: u32,
    /// Pod, Service and infrastructure ranges, which are never touched. Default none.
    pub cluster_cidrs: BTreeSet<Cidr>,
}

impl Default for Capture {
    fn default() -> Self {
        Self {
            proxy_port: CAPTURE_PORT,
            proxy_uid: PROXY_UID,
            cluster_cidrs: BTreeSet::new(),
        }
    }
}

/// The input of `nft -f -` that installs `capture`.
pub fn ruleset(capture: &Capture) -> String {
    let mut rules = String::new();
    for cidr in &capture.cluster_cidrs {
        let family = match cidr.network() {
            IpAddr::V4(_) => "ip",
            IpAddr::V6(_) => "ip6",
        };
        // One rule for each range: a set would refuse ranges that overlap.
        writeln!(rules, "        {family} daddr {cidr} accept")
            .expect("writing to a String cannot fail");
    }
    // `add` before `delete` because deleting a table that is not there is an error.
    // Traffic to the pod's own addresses leaves by lo too, so `oifname` covers more than 127/8.
    format!(
        "\
add table inet sluice
delete table inet sluice
table inet sluice {{
    chain output {{
        type nat hook output priority -100; policy accept;
        meta skuid {uid} accept
        oifname \"lo\" accept
{rules}        meta l4proto tcp redirect to :{port}
    }}
}}
",
        uid = capture.proxy_uid,
        port = capture.proxy_port,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn capture(cidrs: &[&str]) -> Capture {
        Capture {
            cluster_cidrs: cidrs.iter().map(|cidr| cidr.parse().unwrap()).collect(),
            ..Capture::default()
        }
    }

    #[test]
    fn the_whole_ruleset_reads_as_written_here() {
        let text = ruleset(&capture(&["fd00:10::/32", "10.96.0.0/12", "10.244.0.0/16"]));
        assert_eq!(
            text,
            "\
add table inet sluice
delete table inet sluice
table inet sluice {
    chain output {
        type nat hook output priority -100; policy accept;
        meta skuid 1337 accept
        oifname \"lo\" accept
        ip daddr 10.96.0.0/12 accept
        ip daddr 10.244.0.0/16 accept
        ip6 daddr fd00:10::/32 accept
        meta l4proto tcp redirect to :15001
    }
}
"
        );
    }

    #[test]
    fn every_exemption_stands_before_the_redirect() {
        let text = ruleset(&capture(&["10.0.0.0/8", "2001:db8::/32"]));
        let redirect = text.find("redirect to").unwrap();
        for exemption in ["skuid", "oifname", "ip daddr", "ip6 daddr"] {
            assert!(text.find(exemption).unwrap() < redirect, "{exemption}");
        }
    }

    #[test]
    fn one_range_spelt_twice_is_one_rule() {
        let text = ruleset(&capture(&["10.1.2.3/8", "10.0.0.0/8"]));
        assert_eq!(text.matches("daddr").count(), 1);
    }

    #[test]
    fn port_and_user_are_the_callers_choice() {
        let text = ruleset(&Capture {
            proxy_port: 16001,
            proxy_uid: 4711,
            ..Capture::default()
        });
        assert!(text.contains("redirect to :16001"));
        assert!(text.contains("meta skuid 4711 accept"));
    }
}
