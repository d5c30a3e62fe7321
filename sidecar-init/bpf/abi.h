/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* What the kernel side and the Rust side exchange: the one truth, which src/ebpf/abi.rs follows
 * field by field. Addresses are 16 bytes, IPv4 as ::ffff:a.b.c.d, in network
 * order; ports are in host order. Every padding byte is named, so that map keys have no holes. */
#ifndef SLUICE_ABI_H
#define SLUICE_ABI_H

#include <linux/types.h>

/* Where a client wanted to go. In socket storage: of the client's socket from connect() on, of
 * the sidecar's socket from accept() on. */
struct sluice_origin {
	__u8 address[16];
	__u16 port;
	__u8 is_v6_socket; /* the client spoke AF_INET6, natively or mapped */
	__u8 padding[5];
};

/* A redirected handshake in flight, as both of its ends see it. */
struct sluice_handshake {
	__u64 netns_cookie;
	__u8 client[16];
	__u8 sidecar[16];
	__u16 client_port;
	__u8 padding[6];
};

/* An inbound connection, proven by its SYN on an interface; replies to it may leave. With `remote`
 * alone: a neighbour on the link, proven by its discovery message. */
struct sluice_inbound {
	__u8 remote[16];
	__u8 local[16];
	__u16 remote_port;
	__u16 local_port;
	__u8 padding[4];
};

/* Keys of the allow-lists, as BPF_MAP_TYPE_LPM_TRIE wants them. */
struct sluice_range4 {
	__u32 prefix;
	__u8 network[4];
};

struct sluice_range6 {
	__u32 prefix;
	__u8 network[16];
};

/* The one element of the map `settings`. */
struct sluice_settings {
	__u16 proxy_port;
	__u8 refuse_ipv6; /* no gateway has IPv6: connect() says ENETUNREACH */
	__u8 padding[5];
};

/* Something was kept in; one record of the ring buffer. */
struct sluice_event {
	__u64 cgroup_id; /* of the socket; 0 where the hook has no socket */
	__u64 cookie;	 /* of the socket, or 0 */
	__u32 uid;	 /* of the socket's owner; ~0 where unknown */
	__u32 host_pid;	 /* 0 where the hook does not run in the caller's context */
	__u8 source[16];
	__u8 destination[16];
	__u16 source_port;
	__u16 destination_port;
	__u16 ethertype;
	__u8 protocol;
	__u8 hook;   /* enum sluice_hook */
	__u8 reason; /* enum sluice_reason */
	__u8 padding[7];
};

enum sluice_hook {
	SLUICE_HOOK_CONNECT = 1,
	SLUICE_HOOK_EGRESS = 2,
	SLUICE_HOOK_INTERFACE_EGRESS = 3,
	SLUICE_HOOK_INTERFACE_INGRESS = 4,
	SLUICE_HOOK_SETSOCKOPT = 5,
};

enum sluice_reason {
	SLUICE_ALLOWED = 0,
	SLUICE_DESTINATION = 1,	  /* not on the allow-list */
	SLUICE_SOURCE_ROUTE = 2,  /* IPv4 options or IPv6 extension headers, which can reroute */
	SLUICE_FRAME = 3,	  /* neither IP nor ARP, or VLAN-tagged */
	SLUICE_ARP = 4,		  /* longer than ARP is */
	SLUICE_LOOPBACK = 5,	  /* a loopback address on a real interface */
	SLUICE_MALFORMED = 6,
	SLUICE_PROXY_PORT = 7,	  /* the capture port, dialled directly */
	SLUICE_NO_IPV6 = 8,	  /* no gateway has IPv6 */
	SLUICE_SOCKET_OPTION = 9, /* would transmit around the interface's hook */
	SLUICE_NO_MEMORY = 10,	  /* the destination could not be remembered */
};

/* Indices of the map `counters`. */
enum sluice_counter {
	SLUICE_COUNT_REDIRECTED = 0,
	SLUICE_COUNT_REFUSED = 1,
	SLUICE_COUNT_DROPPED_EGRESS = 2,
	SLUICE_COUNT_DROPPED_INTERFACE = 3,
	SLUICE_COUNT_DROPPED_INBOUND = 4,
	SLUICE_COUNT_REFUSED_OPTIONS = 5,
	SLUICE_COUNT_INBOUND = 6,
	SLUICE_COUNT_ORIGIN_LOST = 7,
	SLUICE_COUNT_EVENTS_LOST = 8,
	SLUICE_COUNTERS = 9,
};

/* Where src/ebpf/abi.rs reads. */
#define SLUICE_AT(type, field, at) \
	_Static_assert(__builtin_offsetof(struct type, field) == (at), #field)
SLUICE_AT(sluice_settings, proxy_port, 0);
SLUICE_AT(sluice_settings, refuse_ipv6, 2);
_Static_assert(sizeof(struct sluice_settings) == 8, "settings");
SLUICE_AT(sluice_event, cookie, 8);
SLUICE_AT(sluice_event, uid, 16);
SLUICE_AT(sluice_event, host_pid, 20);
SLUICE_AT(sluice_event, source, 24);
SLUICE_AT(sluice_event, destination, 40);
SLUICE_AT(sluice_event, source_port, 56);
SLUICE_AT(sluice_event, destination_port, 58);
SLUICE_AT(sluice_event, ethertype, 60);
SLUICE_AT(sluice_event, protocol, 62);
SLUICE_AT(sluice_event, hook, 63);
SLUICE_AT(sluice_event, reason, 64);
_Static_assert(sizeof(struct sluice_event) == 72, "event");

#endif
