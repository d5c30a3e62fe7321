/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* The redirect: what leaves the cluster by TCP reaches the sidecar, which learns whereto it was
 * meant. connect() is rewritten, the destination stays with the client's socket; the SYN takes it
 * to `handshakes`, the accepted socket takes it from there, and SO_ORIGINAL_DST answers it. */
#ifndef SLUICE_REDIRECT_H
#define SLUICE_REDIRECT_H

#include <linux/errno.h>
#include <linux/in.h>
#include <stddef.h>

#include "maps.h"

#define SOCK_STREAM 1
#define IPPROTO_MPTCP_NUMBER 262
#define SOL_SOCKET 1
#define SO_BINDTODEVICE 25
#define TCP_CLOSE 7
#define ORIGINAL_DST 80 /* SO_ORIGINAL_DST and IP6T_SO_ORIGINAL_DST */
#define REFUSE(error) (bpf_set_retval(-(error)), 0)
#define PROCEED 1

static __always_inline int is_tcp(struct bpf_sock_addr *ctx)
{
	/* Only connect() as TCP does it: getaddrinfo sorts addresses with UDP's. */
	return ctx->type == SOCK_STREAM &&
	       (ctx->protocol == IPPROTO_TCP || ctx->protocol == IPPROTO_MPTCP_NUMBER);
}

/* A connect() that is not redirected must not leave what an earlier one of the same socket asked:
 * getpeername would lie. */
static __always_inline int leave_alone(struct bpf_sock_addr *ctx)
{
	if (ctx->sk)
		bpf_sk_storage_delete(&asked, ctx->sk);
	return PROCEED;
}

static __always_inline int refuse(struct bpf_sock_addr *ctx, struct sluice_origin *origin,
				  __u8 reason, int error)
{
	struct sluice_event event = {
		.cookie = bpf_get_socket_cookie(ctx),
		.cgroup_id = bpf_get_current_cgroup_id(),
		.uid = (__u32)bpf_get_current_uid_gid(),
		.host_pid = bpf_get_current_pid_tgid() >> 32,
		.destination_port = origin->port,
		.ethertype = origin->is_v6_socket ? 0x86dd : 0x0800,
		.protocol = IPPROTO_TCP,
		.hook = SLUICE_HOOK_CONNECT,
		.reason = reason,
	};

	__builtin_memcpy(event.destination, origin->address, 16);
	report(&event);
	count(SLUICE_COUNT_REFUSED);
	return REFUSE(error);
}

/* Remembers `origin` with the socket; whether that worked. */
static __always_inline int remember(struct bpf_sock_addr *ctx, struct sluice_origin *origin)
{
	struct sluice_origin *stored;
	char none[16] = {};

	if (!ctx->sk)
		return 0;
	stored = bpf_sk_storage_get(&asked, ctx->sk, 0, BPF_SK_STORAGE_GET_F_CREATE);
	if (!stored)
		return 0;
	*stored = *origin;
	/* Bound to an interface, the SYN to the loopback address would leave by it. */
	if (ctx->sk->bound_dev_if)
		bpf_setsockopt(ctx, SOL_SOCKET, SO_BINDTODEVICE, none, sizeof(none));
	count(SLUICE_COUNT_REDIRECTED);
	return 1;
}

/* One address of 127/8 for each destination: with a single one, all redirected connections of the
 * pod would share its 28,000 source ports, and two from one bound port would collide. The last
 * byte is 1 to 254, so it is neither the network nor a broadcast. */
static __always_inline __be32 loopback_for(__be32 address, __u16 port)
{
	__u32 hash = ((__u32)address ^ ((__u32)port << 16) ^ port) * 2654435761u;

	return bpf_htonl(0x7f000000 | (hash >> 8 & 0x00ffff00) | (1 + (hash & 0xff) % 254));
}

/* A connect() to the IPv4 address `address`, by AF_INET or mapped. True: it is to be redirected;
 * else `verdict` is what the hook returns. */
static __always_inline int is_to_redirect4(struct bpf_sock_addr *ctx, struct sluice_origin *origin,
					   __be32 address, int *verdict)
{
	/* Linux takes 0.0.0.0 for the host itself. */
	if ((bpf_ntohl(address) >> 24) == 127 || address == 0) {
		if (origin->port == proxy_port())
			*verdict = refuse(ctx, origin, SLUICE_PROXY_PORT, ECONNREFUSED);
		else
			*verdict = leave_alone(ctx);
		return 0;
	}
	if (is_allowed4(address)) {
		*verdict = leave_alone(ctx);
		return 0;
	}
	if (!remember(ctx, origin)) {
		*verdict = refuse(ctx, origin, SLUICE_NO_MEMORY, ECONNREFUSED);
		return 0;
	}
	return 1;
}

SEC("cgroup/connect4")
int sluice_connect4(struct bpf_sock_addr *ctx)
{
	struct sluice_origin origin = {};
	int verdict = PROCEED;
	__be32 address = ctx->user_ip4;

	if (!is_tcp(ctx))
		return PROCEED;
	map_v4(origin.address, address);
	origin.port = bpf_ntohs(ctx->user_port);
	if (!is_to_redirect4(ctx, &origin, address, &verdict))
		return verdict;
	ctx->user_ip4 = loopback_for(address, origin.port);
	ctx->user_port = bpf_htons(proxy_port());
	return PROCEED;
}

SEC("cgroup/connect6")
int sluice_connect6(struct bpf_sock_addr *ctx)
{
	struct sluice_origin origin = { .is_v6_socket = 1 };
	struct sluice_settings *found;
	__u32 zero = 0;
	int verdict = PROCEED;
	/* One read each: the verifier wants constant offsets. */
	__u32 a = ctx->user_ip6[0], b = ctx->user_ip6[1];
	__u32 c = ctx->user_ip6[2], d = ctx->user_ip6[3];

	if (!is_tcp(ctx))
		return PROCEED;
	__builtin_memcpy(origin.address, &a, 4);
	__builtin_memcpy(origin.address + 4, &b, 4);
	__builtin_memcpy(origin.address + 8, &c, 4);
	__builtin_memcpy(origin.address + 12, &d, 4);
	origin.port = bpf_ntohs(ctx->user_port);

	/* A mapped address is IPv4 on the wire, and this hook, not connect4, sees it. */
	if (a == 0 && b == 0 && c == bpf_htonl(0xffff)) {
		if (!is_to_redirect4(ctx, &origin, d, &verdict))
			return verdict;
		ctx->user_ip6[3] = loopback_for(d, origin.port);
		ctx->user_port = bpf_htons(proxy_port());
		return PROCEED;
	}
	/* ::1, and :: which Linux takes for it. */
	if (a == 0 && b == 0 && c == 0 && (d == 0 || d == bpf_htonl(1))) {
		if (origin.port == proxy_port())
			return refuse(ctx, &origin, SLUICE_PROXY_PORT, ECONNREFUSED);
		return leave_alone(ctx);
	}
	if (is_allowed6(origin.address))
		return leave_alone(ctx);
	found = bpf_map_lookup_elem(&settings, &zero);
	if (!found || found->refuse_ipv6)
		return refuse(ctx, &origin, SLUICE_NO_IPV6, ENETUNREACH);
	if (!remember(ctx, &origin))
		return refuse(ctx, &origin, SLUICE_NO_MEMORY, ECONNREFUSED);
	ctx->user_ip6[0] = 0;
	ctx->user_ip6[1] = 0;
	ctx->user_ip6[2] = 0;
	ctx->user_ip6[3] = bpf_htonl(1);
	ctx->user_port = bpf_htons(proxy_port());
	return PROCEED;
}

/* Volatile, so that clang reads each field where it stands: a pointer that it chose among fields
 * is none of the context's any more, and the verifier refuses it. */
#define READ(field) (*(volatile __u32 *)&(field))

/* The key of the connection of `ctx`, seen from the client (`is_client`) or the sidecar. */
static __always_inline void handshake_of(struct bpf_sock_ops *ctx, int is_client,
					 struct sluice_handshake *key)
{
	__u32 local4 = READ(ctx->local_ip4), remote4 = READ(ctx->remote_ip4);
	__u32 local[4], remote[4];

	local[0] = READ(ctx->local_ip6[0]);
	local[1] = READ(ctx->local_ip6[1]);
	local[2] = READ(ctx->local_ip6[2]);
	local[3] = READ(ctx->local_ip6[3]);
	remote[0] = READ(ctx->remote_ip6[0]);
	remote[1] = READ(ctx->remote_ip6[1]);
	remote[2] = READ(ctx->remote_ip6[2]);
	remote[3] = READ(ctx->remote_ip6[3]);
	/* A mapped client still has :: as its IPv6 address when it sends its SYN. */
	if (READ(ctx->family) == AF_INET ||
	    (remote[0] == 0 && remote[1] == 0 && remote[2] == bpf_htonl(0xffff))) {
		local[0] = remote[0] = 0;
		local[1] = remote[1] = 0;
		local[2] = remote[2] = bpf_htonl(0xffff);
		local[3] = local4;
		remote[3] = remote4;
	}
	key->netns_cookie = bpf_get_netns_cookie(ctx);
	if (is_client) {
		__builtin_memcpy(key->client, local, 16);
		__builtin_memcpy(key->sidecar, remote, 16);
		key->client_port = READ(ctx->local_port);
	} else {
		__builtin_memcpy(key->client, remote, 16);
		__builtin_memcpy(key->sidecar, local, 16);
		key->client_port = bpf_ntohl(READ(ctx->remote_port));
	}
}

SEC("sockops")
int sluice_sockops(struct bpf_sock_ops *ctx)
{
	struct sluice_handshake key = {};
	struct sluice_origin *origin, *stored;
	struct bpf_sock *sk = ctx->sk; /* read once: each read may be null */

	if (ctx->family != AF_INET && ctx->family != AF_INET6)
		return 1;
	if (!sk)
		return 1;
	switch (ctx->op) {
	case BPF_SOCK_OPS_TCP_CONNECT_CB: /* before the SYN */
		origin = bpf_sk_storage_get(&asked, sk, 0, 0);
		if (!origin)
			return 1;
		handshake_of(ctx, 1, &key);
		/* Full: the sidecar finds no destination and closes, so nothing leaks. */
		if (bpf_map_update_elem(&handshakes, &key, origin, BPF_ANY))
			count(SLUICE_COUNT_ORIGIN_LOST);
		/* So that a handshake which never ends at the sidecar leaves no entry. */
		bpf_sock_ops_cb_flags_set(ctx, ctx->bpf_sock_ops_cb_flags |
						       BPF_SOCK_OPS_STATE_CB_FLAG);
		return 1;
	case BPF_SOCK_OPS_STATE_CB:
		if (ctx->args[1] != TCP_CLOSE || !bpf_sk_storage_get(&asked, sk, 0, 0))
			return 1;
		handshake_of(ctx, 1, &key);
		bpf_map_delete_elem(&handshakes, &key);
		return 1;
	case BPF_SOCK_OPS_PASSIVE_ESTABLISHED_CB: /* before accept() returns */
		if (ctx->local_port != proxy_port())
			return 1;
		handshake_of(ctx, 0, &key);
		origin = bpf_map_lookup_elem(&handshakes, &key);
		if (!origin) {
			count(SLUICE_COUNT_ORIGIN_LOST);
			return 1;
		}
		stored = bpf_sk_storage_get(&accepted, sk, 0, BPF_SK_STORAGE_GET_F_CREATE);
		if (stored)
			*stored = *origin;
		else
			count(SLUICE_COUNT_ORIGIN_LOST);
		bpf_map_delete_elem(&handshakes, &key);
		return 1;
	}
	return 1;
}

/* A store that clang can neither merge with its neighbour nor make by another pointer; the verifier
 * refuses both. */
#define WRITE(context, field, number)                                                            \
	asm volatile("*(u32 *)(%[to] + %[at]) = %[value]"                                        \
		     :                                                                           \
		     : [to] "r"(context), [at] "i"(offsetof(struct bpf_sockopt, field)),         \
		       [value] "r"(number)                                                       \
		     : "memory")

/* Runs after the kernel, whose error it overrides; 1 lets the caller have the result. */
SEC("cgroup/getsockopt")
int sluice_getsockopt(struct bpf_sockopt *ctx)
{
	struct sluice_origin *origin;
	struct bpf_sock *sk = ctx->sk;
	__u8 *to = ctx->optval, *end = ctx->optval_end;

	/* Of longer options only this much is in the buffer; 0 leaves the kernel's answer. */
	if (ctx->optname != ORIGINAL_DST || (ctx->level != IPPROTO_IP && ctx->level != IPPROTO_IPV6) ||
	    !sk) {
		if (ctx->optlen > 4096)
			WRITE(ctx, optlen, 0);
		return 1;
	}
	origin = bpf_sk_storage_get(&accepted, sk, 0, 0);
	if (!origin)
		return 1;
	if (ctx->level == IPPROTO_IP) {
		if (to + 16 > end) /* struct sockaddr_in */
			return 1;
		__builtin_memset(to, 0, 16);
		*(__u16 *)to = AF_INET;
		*(__be16 *)(to + 2) = bpf_htons(origin->port);
		__builtin_memcpy(to + 4, origin->address + 12, 4);
		WRITE(ctx, optlen, 16);
	} else {
		if (to + 28 > end) /* struct sockaddr_in6 */
			return 1;
		__builtin_memset(to, 0, 28);
		*(__u16 *)to = AF_INET6;
		*(__be16 *)(to + 2) = bpf_htons(origin->port);
		__builtin_memcpy(to + 8, origin->address, 16);
		WRITE(ctx, optlen, 28);
	}
	WRITE(ctx, retval, 0);
	return 1;
}

/* The app sees the peer that it asked for. */
SEC("cgroup/getpeername4")
int sluice_getpeername4(struct bpf_sock_addr *ctx)
{
	struct sluice_origin *origin = 0;
	__u32 address;

	if (ctx->sk && is_tcp(ctx))
		origin = bpf_sk_storage_get(&asked, ctx->sk, 0, 0);
	if (!origin)
		return 1;
	__builtin_memcpy(&address, origin->address + 12, 4);
	ctx->user_ip4 = address;
	ctx->user_port = bpf_htons(origin->port);
	return 1;
}

SEC("cgroup/getpeername6")
int sluice_getpeername6(struct bpf_sock_addr *ctx)
{
	struct sluice_origin *origin = 0;
	__u32 address[4];

	if (ctx->sk && is_tcp(ctx))
		origin = bpf_sk_storage_get(&asked, ctx->sk, 0, 0);
	if (!origin)
		return 1;
	__builtin_memcpy(address, origin->address, 16);
	ctx->user_ip6[0] = address[0];
	ctx->user_ip6[1] = address[1];
	ctx->user_ip6[2] = address[2];
	ctx->user_ip6[3] = address[3];
	ctx->user_port = bpf_htons(origin->port);
	return 1;
}

#endif
