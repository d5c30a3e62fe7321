/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* The guard: what the redirect did not take must go to the allow-list or nowhere. The socket's
 * cgroup is the first judge, for it refuses at once and knows who asked; each interface is the
 * second, for packet sockets, forwarded packets and sockets from elsewhere pass only there.
 * Refused socket options keep packets from passing around the second. */
#ifndef SLUICE_GUARD_H
#define SLUICE_GUARD_H

#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/pkt_cls.h>
#include <stddef.h>

#include "maps.h"

#define LOOPBACK_IFINDEX 1 /* in every network namespace, from its first moment */
#define ARP_FRAME_BYTES 42
#define PACKET_OTHERHOST 3
#define SOL_PACKET 263
#define PACKET_QDISC_BYPASS 20
#define SOL_XDP 283
#define TCP_FLAG_SYN 0x02
#define TCP_FLAG_ACK 0x10
#define HOP_BY_HOP 0
#define ROUTING 43
#define FRAGMENT 44
#define DESTINATION_OPTIONS 60
#define FRAGMENT_OFFSET 0x1fff

/* Whether a TCP segment belongs to a connection that came in by an interface. A SYN alone does
 * not: it would open a new one. */
static __always_inline int is_reply(struct __sk_buff *skb, __u32 l4, struct sluice_event *event)
{
	struct sluice_inbound key = {};
	__u8 flags = 0;

	if (bpf_skb_load_bytes(skb, l4 + 13, &flags, 1))
		return 0;
	if ((flags & TCP_FLAG_SYN) && !(flags & TCP_FLAG_ACK))
		return 0;
	__builtin_memcpy(key.remote, event->destination, 16);
	__builtin_memcpy(key.local, event->source, 16);
	key.remote_port = event->destination_port;
	key.local_port = event->source_port;
	return bpf_map_lookup_elem(&inbound, &key) != 0;
}

static __always_inline void load_ports(struct __sk_buff *skb, __u32 l4, struct sluice_event *event)
{
	__be16 ports[2] = {};

	if (event->protocol != IPPROTO_TCP && event->protocol != IPPROTO_UDP)
		return;
	if (bpf_skb_load_bytes(skb, l4, ports, sizeof(ports)))
		return;
	event->source_port = bpf_ntohs(ports[0]);
	event->destination_port = bpf_ntohs(ports[1]);
}

static __always_inline int is_loopback4(__be32 address)
{
	return (bpf_ntohl(address) >> 24) == 127;
}

static __always_inline __u8 judge4(struct __sk_buff *skb, __u32 l3, struct sluice_event *event)
{
	struct iphdr ip;
	int is_first;

	event->ethertype = ETH_P_IP;
	if (bpf_skb_load_bytes(skb, l3, &ip, sizeof(ip)) || ip.version != 4)
		return SLUICE_MALFORMED;
	map_v4(event->source, ip.saddr);
	map_v4(event->destination, ip.daddr);
	event->protocol = ip.protocol;
	/* A loose source route reaches anybody by way of an allowed address. */
	if (ip.ihl != 5)
		return SLUICE_SOURCE_ROUTE;
	is_first = !(ip.frag_off & bpf_htons(FRAGMENT_OFFSET));
	if (is_first)
		load_ports(skb, l3 + sizeof(ip), event);
	if (is_loopback4(ip.saddr) || is_loopback4(ip.daddr))
		return SLUICE_LOOPBACK;
	if (is_allowed4(ip.daddr))
		return SLUICE_ALLOWED;
	if (is_first && ip.protocol == IPPROTO_TCP && is_reply(skb, l3 + sizeof(ip), event))
		return SLUICE_ALLOWED;
	return SLUICE_DESTINATION;
}

static __always_inline int is_neighbour_message(__u8 type)
{
	return type == 135 || type == 136; /* solicitation, advertisement */
}

/* Whether a neighbour showed itself by a message with hop limit 255, so from this link. A router
 * would forward an answer to anybody else. */
static __always_inline int is_neighbour(const __u8 *address)
{
	struct sluice_inbound key = {};

	__builtin_memcpy(key.remote, address, 16);
	return bpf_map_lookup_elem(&inbound, &key) != 0;
}

/* Neighbour discovery and multicast membership, which no router forwards: the receiver of the
 * former demands hop limit 255, the latter is sent with 1. */
static __always_inline int is_link_housekeeping(struct __sk_buff *skb, __u32 l3,
						struct ipv6hdr *ip)
{
	__u8 *to = ip->daddr.s6_addr;
	int is_multicast = to[0] == 0xff && to[1] == 0x02;
	int is_link_local = to[0] == 0xfe && (to[1] & 0xc0) == 0x80;
	__u8 options[2] = {}, type = 0;

	if (ip->nexthdr == IPPROTO_ICMPV6) {
		if (ip->hop_limit != 255 || bpf_skb_load_bytes(skb, l3 + sizeof(*ip), &type, 1))
			return 0;
		if (is_multicast || is_link_local)
			return type >= 133 && type <= 137;
		return is_neighbour_message(type) && is_neighbour(to);
	}
	if (is_multicast && ip->nexthdr == HOP_BY_HOP && ip->hop_limit == 1) {
		if (bpf_skb_load_bytes(skb, l3 + sizeof(*ip), options, 2) ||
		    bpf_skb_load_bytes(skb, l3 + sizeof(*ip) + 8, &type, 1))
			return 0;
		return options[0] == IPPROTO_ICMPV6 && options[1] == 0 &&
		       (type == 131 || type == 132 || type == 143);
	}
	return 0;
}

static __always_inline int is_rerouting(__u8 header)
{
	return header == HOP_BY_HOP || header == ROUTING || header == DESTINATION_OPTIONS;
}

static __always_inline __u8 judge6(struct __sk_buff *skb, __u32 l3, struct sluice_event *event)
{
	struct ipv6hdr ip;
	__u8 after = 0;

	event->ethertype = ETH_P_IPV6;
	if (bpf_skb_load_bytes(skb, l3, &ip, sizeof(ip)) || ip.version != 6)
		return SLUICE_MALFORMED;
	__builtin_memcpy(event->source, &ip.saddr, 16);
	__builtin_memcpy(event->destination, &ip.daddr, 16);
	event->protocol = ip.nexthdr;
	load_ports(skb, l3 + sizeof(ip), event);
	if (is_link_housekeeping(skb, l3, &ip))
		return SLUICE_ALLOWED;
	if (is_rerouting(ip.nexthdr))
		return SLUICE_SOURCE_ROUTE;
	if (ip.nexthdr == FRAGMENT) {
		if (bpf_skb_load_bytes(skb, l3 + sizeof(ip), &after, 1))
			return SLUICE_MALFORMED;
		if (is_rerouting(after))
			return SLUICE_SOURCE_ROUTE;
	}
	if (is_allowed6(event->destination))
		return SLUICE_ALLOWED;
	if (ip.nexthdr == IPPROTO_TCP && is_reply(skb, l3 + sizeof(ip), event))
		return SLUICE_ALLOWED;
	return SLUICE_DESTINATION;
}

SEC("cgroup_skb/egress")
int sluice_egress(struct __sk_buff *skb)
{
	struct sluice_event event = { .hook = SLUICE_HOOK_EGRESS };
	__u8 version = 0;

	if (skb->ifindex == LOOPBACK_IFINDEX)
		return 1;
	if (bpf_skb_load_bytes(skb, 0, &version, 1))
		event.reason = SLUICE_MALFORMED;
	else if (version >> 4 == 6)
		event.reason = judge6(skb, 0, &event);
	else
		event.reason = judge4(skb, 0, &event);
	if (event.reason == SLUICE_ALLOWED)
		return 1;
	event.cookie = bpf_get_socket_cookie(skb);
	event.uid = bpf_get_socket_uid(skb);
	event.cgroup_id = bpf_skb_cgroup_id(skb);
	/* A retransmission runs in whatever task the timer found; only for what a caller sends
	 * itself is the task the sender, and TCP's first drop is refused in connect(). */
	if (event.protocol != IPPROTO_TCP)
		event.host_pid = bpf_get_current_pid_tgid() >> 32;
	report(&event);
	count(SLUICE_COUNT_DROPPED_EGRESS);
	return 0;
}

SEC("classifier/egress")
int sluice_interface_egress(struct __sk_buff *skb)
{
	struct sluice_event event = { .hook = SLUICE_HOOK_INTERFACE_EGRESS, .uid = ~0u };
	__be16 ethertype = 0;

	/* From the frame: the sender of a packet socket chooses skb->protocol as it likes. */
	if (bpf_skb_load_bytes(skb, offsetof(struct ethhdr, h_proto), &ethertype, 2)) {
		event.reason = SLUICE_MALFORMED;
	} else if (skb->vlan_present) {
		event.ethertype = ETH_P_8021Q;
		event.reason = SLUICE_FRAME;
	} else {
		event.ethertype = bpf_ntohs(ethertype);
		switch (event.ethertype) {
		case ETH_P_IP:
			event.reason = judge4(skb, ETH_HLEN, &event);
			break;
		case ETH_P_IPV6:
			event.reason = judge6(skb, ETH_HLEN, &event);
			break;
		case ETH_P_ARP:
			event.reason = skb->len == ARP_FRAME_BYTES ? SLUICE_ALLOWED : SLUICE_ARP;
			break;
		default:
			event.reason = SLUICE_FRAME;
		}
	}
	if (event.reason == SLUICE_ALLOWED)
		return TC_ACT_UNSPEC;
	report(&event);
	count(SLUICE_COUNT_DROPPED_INTERFACE);
	return TC_ACT_SHOT;
}

/* Proves inbound connections: a SYN that came by the wire, not one forged over loopback. */
SEC("classifier/ingress")
int sluice_interface_ingress(struct __sk_buff *skb)
{
	struct sluice_inbound key = {};
	struct ipv6hdr ip6;
	struct iphdr ip4;
	__be16 ethertype = 0, ports[2] = {};
	__u8 flags = 0, yes = 1;
	__u32 l4;
	int is_known;

	/* What one macvlan of the pod sends to another comes in here too, but for another host. */
	if (skb->pkt_type == PACKET_OTHERHOST)
		return TC_ACT_UNSPEC;
	if (bpf_skb_load_bytes(skb, offsetof(struct ethhdr, h_proto), &ethertype, 2))
		return TC_ACT_UNSPEC;
	if (ethertype == bpf_htons(ETH_P_IP)) {
		if (bpf_skb_load_bytes(skb, ETH_HLEN, &ip4, sizeof(ip4)) ||
		    ip4.protocol != IPPROTO_TCP || (ip4.frag_off & bpf_htons(FRAGMENT_OFFSET)))
			return TC_ACT_UNSPEC;
		map_v4(key.remote, ip4.saddr);
		map_v4(key.local, ip4.daddr);
		l4 = ETH_HLEN + ip4.ihl * 4;
		is_known = is_allowed4(ip4.saddr);
	} else if (ethertype == bpf_htons(ETH_P_IPV6)) {
		if (bpf_skb_load_bytes(skb, ETH_HLEN, &ip6, sizeof(ip6)))
			return TC_ACT_UNSPEC;
		__builtin_memcpy(key.remote, &ip6.saddr, 16);
		if (ip6.nexthdr == IPPROTO_ICMPV6 && ip6.hop_limit == 255 &&
		    !bpf_skb_load_bytes(skb, ETH_HLEN + sizeof(ip6), &flags, 1) &&
		    is_neighbour_message(flags))
			bpf_map_update_elem(&inbound, &key, &yes, BPF_ANY);
		if (ip6.nexthdr != IPPROTO_TCP)
			return TC_ACT_UNSPEC;
		__builtin_memcpy(key.local, &ip6.daddr, 16);
		l4 = ETH_HLEN + sizeof(ip6);
		is_known = is_allowed6(key.remote);
	} else {
		return TC_ACT_UNSPEC;
	}
	if (bpf_skb_load_bytes(skb, l4, ports, sizeof(ports)) ||
	    bpf_skb_load_bytes(skb, l4 + 13, &flags, 1))
		return TC_ACT_UNSPEC;
	if (!(flags & TCP_FLAG_SYN) || (flags & TCP_FLAG_ACK))
		return TC_ACT_UNSPEC;
	key.remote_port = bpf_ntohs(ports[0]);
	key.local_port = bpf_ntohs(ports[1]);
	/* The capture port is for redirected connections, and those never come by the wire. */
	if (key.local_port == proxy_port()) {
		count(SLUICE_COUNT_DROPPED_INBOUND);
		return TC_ACT_SHOT;
	}
	if (is_known)
		return TC_ACT_UNSPEC;
	bpf_map_update_elem(&inbound, &key, &yes, BPF_ANY);
	count(SLUICE_COUNT_INBOUND);
	return TC_ACT_UNSPEC;
}

/* Two ways to transmit that no hook of an interface sees. 0 is EPERM. */
SEC("cgroup/setsockopt")
int sluice_setsockopt(struct bpf_sockopt *ctx)
{
	if (ctx->level == SOL_XDP ||
	    (ctx->level == SOL_PACKET && ctx->optname == PACKET_QDISC_BYPASS)) {
		struct sluice_event event = {
			.cgroup_id = bpf_get_current_cgroup_id(),
			.uid = (__u32)bpf_get_current_uid_gid(),
			.host_pid = bpf_get_current_pid_tgid() >> 32,
			.hook = SLUICE_HOOK_SETSOCKOPT,
			.reason = SLUICE_SOCKET_OPTION,
		};

		report(&event);
		count(SLUICE_COUNT_REFUSED_OPTIONS);
		return 0;
	}
	/* Of longer options only this much is in the buffer; 0 leaves the caller's own. */
	if (ctx->optlen > 4096)
		ctx->optlen = 0;
	return 1;
}

#endif
