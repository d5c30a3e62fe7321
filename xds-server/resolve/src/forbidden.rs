//! Addresses at which no object may make a gateway look for a host: those of the gateway itself
//! and of its machine. A tenant who may write a ServiceEntry would else reach the gateway's own
//! sockets, or the machine's metadata service, with the gateway's rights.

use std::net::IpAddr;

use sluice_plan::address::Cidr;

/// Loopback, unspecified, link-local (with the metadata services), multicast and broadcast; IPv4
/// written as IPv6 counts as that.
const RANGES: [&str; 11] = [
    "0.0.0.0/8",
    "127.0.0.0/8",
    "169.254.0.0/16",
    "224.0.0.0/4",
    "255.255.255.255/32",
    "::/128",
    "::1/128",
    "::ffff:0:0/96",
    "fd00:ec2::254/128",
    "fe80::/10",
    "ff00::/8",
];

/// The forbidden ranges.
pub(crate) fn ranges() -> Vec<Cidr> {
    RANGES
        .iter()
        .map(|range| range.parse().expect("the list is of ranges"))
        .collect()
}

/// Whether a gateway must not connect to `ip` for a tenant.
pub(crate) fn is_forbidden(ip: IpAddr) -> bool {
    ranges().iter().any(|range| range.contains(ip))
}

/// Whether the whole of `range` is forbidden.
pub(crate) fn is_forbidden_range(range: &Cidr) -> bool {
    ranges().iter().any(|forbidden| forbidden.covers(range))
}

/// Whether `name` means the machine that asks.
pub(crate) fn is_forbidden_name(name: &str) -> bool {
    let name = name.trim_end_matches('.').to_ascii_lowercase();
    name == "localhost" || name.ends_with(".localhost")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_gateway_and_its_machine_are_forbidden() {
        for ip in [
            "127.0.0.1",
            "127.8.9.1",
            "0.0.0.0",
            "169.254.169.254",
            "::1",
            "::ffff:10.0.0.1",
            "fe80::1",
            "239.1.1.1",
        ] {
            assert!(is_forbidden(ip.parse().unwrap()), "{ip}");
        }
        for ip in ["198.51.100.1", "10.0.0.1", "2001:db8::1", "240.240.0.1"] {
            assert!(!is_forbidden(ip.parse().unwrap()), "{ip}");
        }
        assert!(is_forbidden_name("LocalHost."));
        assert!(!is_forbidden_name("localhost.example"));
    }
}
