//! The Rust side of `bpf/abi.h`, read and written byte by byte. Addresses are 16 bytes, IPv4 mapped.

use std::net::{Ipv6Addr, SocketAddr};

use serde::Serialize;

/// `struct sluice_settings` as bytes.
pub(super) fn settings(proxy_port: u16, refuse_ipv6: bool) -> [u8; 8] {
    let [high, low] = proxy_port.to_ne_bytes();
    [high, low, refuse_ipv6.into(), 0, 0, 0, 0, 0]
}

/// Something was kept in: who, whereto, and why not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Event {
    /// The cgroup of the socket; absent where the hook has no socket.
    pub cgroup_id: Option<u64>,
    /// The kernel's cookie of the socket; absent where the hook has no socket.
    pub cookie: Option<u64>,
    /// The user that owns the socket; absent where unknown.
    pub uid: Option<u32>,
    /// The process, as the host numbers it; absent where the hook does not run in its context.
    pub host_pid: Option<u32>,
    /// The packet's source; its port is 0 where the protocol has none.
    pub source: SocketAddr,
    /// The packet's destination; its port is 0 where the protocol has none.
    pub destination: SocketAddr,
    /// As in the frame: 0x0800 IPv4, 0x86dd IPv6.
    pub ethertype: u16,
    /// As in the IP header: 1 ICMP, 6 TCP, 17 UDP.
    pub protocol: u8,
    /// The hook that kept it in.
    pub hook: &'static str,
    /// Why.
    pub reason: &'static str,
}

/// The names of `enum sluice_counter`, by index.
pub(super) const COUNTERS: [&str; 9] = [
    "redirected",
    "refused",
    "dropped_egress",
    "dropped_interface",
    "dropped_inbound",
    "refused_options",
    "inbound",
    "origin_lost",
    "events_lost",
];

/// `sizeof(struct sluice_event)`, which the header asserts with the offsets used below.
const EVENT_BYTES: usize = 72;

impl Event {
    /// Reads one record of the ring buffer; nothing for a record of another size.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let bytes: &[u8; EVENT_BYTES] = bytes.try_into().ok()?;
        let u64_at = |at| u64::from_ne_bytes(part(bytes, at));
        let u32_at = |at| u32::from_ne_bytes(part(bytes, at));
        let u16_at = |at| u16::from_ne_bytes(part(bytes, at));
        let address_at = |at| Ipv6Addr::from(part::<16>(bytes, at)).to_canonical();
        Some(Self {
            cgroup_id: Some(u64_at(0)).filter(|id| *id != 0),
            cookie: Some(u64_at(8)).filter(|cookie| *cookie != 0),
            uid: Some(u32_at(16)).filter(|uid| *uid != u32::MAX),
            host_pid: Some(u32_at(20)).filter(|pid| *pid != 0),
            source: SocketAddr::new(address_at(24), u16_at(56)),
            destination: SocketAddr::new(address_at(40), u16_at(58)),
            ethertype: u16_at(60),
            protocol: bytes[62],
            hook: named(&HOOKS, bytes[63]),
            reason: named(&REASONS, bytes[64]),
        })
    }
}

fn part<const N: usize>(bytes: &[u8; EVENT_BYTES], at: usize) -> [u8; N] {
    std::array::from_fn(|index| bytes[at + index])
}

/// `enum sluice_hook`, by number.
const HOOKS: [&str; 6] = [
    "unknown",
    "connect",
    "egress",
    "interface_egress",
    "interface_ingress",
    "setsockopt",
];

/// `enum sluice_reason`, by number.
const REASONS: [&str; 11] = [
    "allowed",
    "destination",
    "source_route",
    "frame",
    "arp",
    "loopback",
    "malformed",
    "proxy_port",
    "no_ipv6",
    "socket_option",
    "no_memory",
];

fn named(names: &[&'static str], number: u8) -> &'static str {
    names.get(usize::from(number)).copied().unwrap_or("unknown")
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: &str = include_str!("../../bpf/abi.h");

    #[test]
    fn an_event_is_read_field_by_field() {
        let mut bytes = [0; EVENT_BYTES];
        bytes[..8].copy_from_slice(&7u64.to_ne_bytes());
        bytes[8..16].copy_from_slice(&9u64.to_ne_bytes());
        bytes[16..20].copy_from_slice(&1337u32.to_ne_bytes());
        bytes[24..40].copy_from_slice(&"::ffff:10.244.1.10".parse::<Ipv6Addr>().unwrap().octets());
        bytes[40..56].copy_from_slice(&"2001:db8::1".parse::<Ipv6Addr>().unwrap().octets());
        bytes[58..60].copy_from_slice(&443u16.to_ne_bytes());
        bytes[60..62].copy_from_slice(&0x86ddu16.to_ne_bytes());
        bytes[62..65].copy_from_slice(&[17, 2, 1]);
        let event = Event::parse(&bytes).unwrap();
        assert_eq!(
            serde_json::to_string(&event).unwrap(),
            "{\"cgroup_id\":7,\"cookie\":9,\"uid\":1337,\"host_pid\":null,\
             \"source\":\"10.244.1.10:0\",\"destination\":\"[2001:db8::1]:443\",\
             \"ethertype\":34525,\"protocol\":17,\"hook\":\"egress\",\"reason\":\"destination\"}"
        );
    }

    #[test]
    fn enumerations_have_the_numbers_of_the_header() {
        let numbered = |prefix: &str, names: &[&str]| {
            for (number, name) in names.iter().enumerate() {
                let line = format!("{prefix}{} = {number},", name.to_uppercase());
                assert!(HEADER.contains(&line), "abi.h has no `{line}`");
            }
        };
        numbered("SLUICE_COUNT_", &COUNTERS);
        for (number, name) in HOOKS.iter().enumerate().skip(1) {
            let line = format!("SLUICE_HOOK_{} = {number},", name.to_uppercase());
            assert!(HEADER.contains(&line), "abi.h has no `{line}`");
        }
        numbered("SLUICE_", &REASONS);
        let last = format!("SLUICE_COUNTERS = {},", COUNTERS.len());
        assert!(HEADER.contains(&last), "abi.h has no `{last}`");
    }

    #[test]
    fn a_record_of_another_length_is_no_event() {
        assert_eq!(Event::parse(&[0; 71]), None);
        let event = Event::parse(&[0; 72]).unwrap();
        assert_eq!(event.cgroup_id, None);
        assert_eq!(event.reason, "allowed");
        assert_eq!(event.hook, "unknown");
    }
}
