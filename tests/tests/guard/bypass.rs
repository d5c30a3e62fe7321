//! Attempts to get past the sidecar, each a real process in the pod with every capability: what
//! the attacker gets, with captures at the other ends as witnesses.

use crate::world::{Attempt, assert_kept_in};

#[test]
fn connections_of_every_making_reach_the_sidecar_alone() {
    // There is no sidecar, so the attacker is refused at once.
    assert_kept_in(&[
        Attempt {
            name: "tcp",
            code: "attempt(lambda: socket().connect((OUT, 443)))",
            got: "ECONNREFUSED",
        },
        Attempt {
            name: "tcp over IPv6",
            code: "attempt(lambda: socket(AF_INET6).connect((OUT6, 443)))",
            got: "ECONNREFUSED",
        },
        Attempt {
            name: "tcp over mapped IPv4",
            code: "attempt(lambda: socket(AF_INET6).connect(('::ffff:' + OUT, 443)))",
            got: "ECONNREFUSED",
        },
        Attempt {
            name: "as the sidecar's user",
            code: "os.setgid(1337); os.setuid(1337)\nattempt(lambda: socket().connect((OUT, 443)))",
            got: "ECONNREFUSED",
        },
        Attempt {
            name: "with a mark",
            code: "s = socket(); s.setsockopt(SOL_SOCKET, 36, 1337)\nattempt(lambda: s.connect((OUT, 443)))",
            got: "ECONNREFUSED",
        },
        Attempt {
            name: "bound to the interface",
            code: "s = socket(); s.setsockopt(SOL_SOCKET, SO_BINDTODEVICE, b'eth0')\nattempt(lambda: s.connect((OUT, 443)))",
            got: "ECONNREFUSED",
        },
        Attempt {
            name: "bound to the pod's address",
            code: "s = socket(); s.bind((POD, 4711))\nattempt(lambda: s.connect((OUT, 443)))",
            got: "ECONNREFUSED",
        },
        Attempt {
            name: "fast open",
            code: "s = socket(); s.setblocking(True)\nattempt(lambda: s.sendto(b'x', 0x20000000, (OUT, 443)))",
            got: "ECONNREFUSED",
        },
        Attempt {
            name: "multipath",
            code: "s = socket(AF_INET, SOCK_STREAM, 262)\nattempt(lambda: s.connect((OUT, 443)))",
            got: "ECONNREFUSED",
        },
        Attempt {
            name: "connected, taken back by AF_UNSPEC, connected again",
            code: "\
l = socket(); l.bind(('127.0.0.1', 4712)); l.listen()
s = socket(); s.settimeout(None); s.connect(('127.0.0.1', 4712))
assert ctypes.CDLL(None).connect(s.fileno(), bytes(16), 16) == 0
s.settimeout(1)
attempt(lambda: s.connect((OUT, 443)))",
            got: "ECONNREFUSED",
        },
        Attempt {
            name: "tcp to a foreign resolver",
            code: "attempt(lambda: socket().connect((OUT, 53)))",
            got: "ECONNREFUSED",
        },
    ]);
}

#[test]
fn datagrams_are_refused_at_once() {
    assert_kept_in(&[
        Attempt {
            name: "udp to a foreign resolver",
            code: "attempt(lambda: socket(AF_INET, SOCK_DGRAM).sendto(b'x', (OUT, 53)))",
            got: "EPERM",
        },
        Attempt {
            name: "quic",
            code: "s = socket(AF_INET, SOCK_DGRAM); s.connect((OUT, 443))\nattempt(lambda: s.send(bytes(1200)))",
            got: "EPERM",
        },
        Attempt {
            name: "udp over IPv6",
            code: "attempt(lambda: socket(AF_INET6, SOCK_DGRAM).sendto(b'x', (OUT6, 443)))",
            got: "EPERM",
        },
        Attempt {
            name: "udp over mapped IPv4",
            code: "attempt(lambda: socket(AF_INET6, SOCK_DGRAM).sendto(b'x', ('::ffff:' + OUT, 443)))",
            got: "EPERM",
        },
        Attempt {
            name: "udp with a mark, as the sidecar's user",
            code: "\
s = socket(AF_INET, SOCK_DGRAM); s.setsockopt(SOL_SOCKET, 36, 1337)
os.setgid(1337); os.setuid(1337)
attempt(lambda: s.sendto(b'x', (OUT, 53)))",
            got: "EPERM",
        },
        Attempt {
            name: "udp-lite",
            code: "attempt(lambda: socket(AF_INET, SOCK_DGRAM, 136).sendto(b'x', (OUT, 443)))",
            got: "EPERM",
        },
        Attempt {
            name: "multicast",
            code: "attempt(lambda: socket(AF_INET, SOCK_DGRAM).sendto(b'x', ('224.0.0.251', 5353)))",
            got: "EPERM",
        },
        Attempt {
            name: "multicast over IPv6",
            code: "attempt(lambda: socket(AF_INET6, SOCK_DGRAM).sendto(b'x', ('ff02::fb', 5353, 0, if_nametoindex('eth0'))))",
            got: "EPERM",
        },
        Attempt {
            name: "broadcast",
            code: "s = socket(AF_INET, SOCK_DGRAM); s.setsockopt(SOL_SOCKET, SO_BROADCAST, 1)\nattempt(lambda: s.sendto(b'x', ('255.255.255.255', 67)))",
            got: "EPERM",
        },
        Attempt {
            name: "link-local, which is where metadata services are",
            code: "attempt(lambda: frame(0x800, ipv4('169.254.169.254')))",
            got: "ENOBUFS",
        },
        Attempt {
            name: "ping by an unprivileged socket",
            code: "\
open('/proc/sys/net/ipv4/ping_group_range', 'w').write('0 0')
attempt(lambda: socket(AF_INET, SOCK_DGRAM, IPPROTO_ICMP).sendto(b'\\x08' + bytes(15), (OUT, 0)))",
            got: "EPERM",
        },
    ]);
}

#[test]
fn raw_sockets_are_judged_by_the_header_that_they_send() {
    assert_kept_in(&[
        Attempt {
            name: "icmp tunnel",
            code: "attempt(lambda: socket(AF_INET, SOCK_RAW, IPPROTO_ICMP).sendto(b'\\x08' + bytes(63), (OUT, 0)))",
            got: "EPERM",
        },
        Attempt {
            name: "icmp over IPv6",
            code: "attempt(lambda: socket(AF_INET6, SOCK_RAW, IPPROTO_ICMPV6).sendto(b'\\x80' + bytes(63), (OUT6, 0)))",
            got: "EPERM",
        },
        Attempt {
            name: "own header",
            code: "attempt(lambda: socket(AF_INET, SOCK_RAW, IPPROTO_RAW).sendto(ipv4(OUT), (OUT, 0)))",
            got: "EPERM",
        },
        Attempt {
            name: "own header, routed by another address",
            code: "attempt(lambda: socket(AF_INET, SOCK_RAW, IPPROTO_RAW).sendto(ipv4(OUT), (PEER, 0)))",
            got: "EPERM",
        },
        Attempt {
            name: "loose source route by way of the cluster",
            code: "\
options = bytes([131, 7, 4]) + inet_aton(OUT) + bytes(1)
attempt(lambda: socket(AF_INET, SOCK_RAW, IPPROTO_RAW).sendto(ipv4(PEER, options=options), (PEER, 0)))",
            got: "EPERM",
        },
        Attempt {
            name: "routing header by way of the cluster",
            code: "\
header = bytes([17, 2, 2, 1]) + bytes(4) + inet_pton(AF_INET6, OUT6) + bytes(8)
attempt(lambda: socket(AF_INET6, SOCK_RAW, IPPROTO_RAW).sendto(ipv6(PEER6, 43, header), (PEER6, 0)))",
            got: "EPERM",
        },
    ]);
}

#[test]
fn packet_sockets_are_judged_by_the_frame_that_they_send() {
    assert_kept_in(&[
        Attempt {
            name: "IPv4",
            code: "attempt(lambda: frame(0x800, ipv4(OUT)))",
            got: "ENOBUFS",
        },
        Attempt {
            name: "IPv6",
            code: "attempt(lambda: frame(0x86dd, ipv6(OUT6)))",
            got: "ENOBUFS",
        },
        Attempt {
            name: "IPv4, said to be arp",
            code: "attempt(lambda: frame(0x800, ipv4(OUT), sent_as=0x806))",
            got: "ENOBUFS",
        },
        Attempt {
            name: "arp with a payload",
            code: "attempt(lambda: frame(0x806, bytes([0, 1, 8, 0, 6, 4, 0, 1]) + bytes(200)))",
            got: "ENOBUFS",
        },
        Attempt {
            name: "a tagged frame",
            code: "attempt(lambda: frame(0x8100, struct.pack('!HH', 5, 0x800) + ipv4(OUT)))",
            got: "ENOBUFS",
        },
        Attempt {
            name: "a protocol that nobody knows",
            code: "attempt(lambda: frame(0x88b5, bytes(64)))",
            got: "ENOBUFS",
        },
        Attempt {
            name: "around the queues",
            code: "\
link = socket(AF_PACKET, SOCK_RAW); link.bind(('eth0', 0x800))
def bypass():
    link.setsockopt(263, 20, 1)
    link.send(bytes([255] * 6 + [2, 0, 0, 0, 0, 1, 8, 0]) + ipv4(OUT))
attempt(bypass)",
            got: "EPERM",
        },
    ]);
}
