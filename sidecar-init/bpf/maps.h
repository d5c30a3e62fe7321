/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* The maps, all pinned beside the links: an upgraded program finds what the old one stored, and
 * the allow-lists can grow under a running pod. */
#ifndef SLUICE_MAPS_H
#define SLUICE_MAPS_H

#include <linux/bpf.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "abi.h"

#define AF_INET 2
#define AF_INET6 10

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct sluice_settings);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} settings SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(max_entries, 4096);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct sluice_range4);
	__type(value, __u32);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} allow4 SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(max_entries, 4096);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct sluice_range6);
	__type(value, __u32);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} allow6 SEC(".maps");

/* Of clients' sockets. Socket storage is never evicted and goes with its socket. */
struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct sluice_origin);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} asked SEC(".maps");

/* Of the sidecar's accepted sockets. */
struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct sluice_origin);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} accepted SEC(".maps");

/* From SYN to accept. Not an LRU: an entry goes when the sidecar takes the connection or the
 * client's socket closes, so what is in it is in flight, and nothing is evicted. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 65536);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct sluice_handshake);
	__type(value, struct sluice_origin);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} handshakes SEC(".maps");

/* An LRU, for whoever can reach the pod can fill it; connections in use stay. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 4096);
	__type(key, struct sluice_inbound);
	__type(value, __u8);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} inbound SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, SLUICE_COUNTERS);
	__type(key, __u32);
	__type(value, __u64);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} counters SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 64 * 1024);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} events SEC(".maps");

static __always_inline void count(__u32 index)
{
	__u64 *counter = bpf_map_lookup_elem(&counters, &index);

	if (counter)
		*counter += 1;
}

/* A full ring buffer loses the record, never the verdict. */
static __always_inline void report(struct sluice_event *event)
{
	if (bpf_ringbuf_output(&events, event, sizeof(*event), 0))
		count(SLUICE_COUNT_EVENTS_LOST);
}

static __always_inline __u16 proxy_port(void)
{
	__u32 zero = 0;
	struct sluice_settings *found = bpf_map_lookup_elem(&settings, &zero);

	return found ? found->proxy_port : 0;
}

static __always_inline int is_allowed4(__be32 address)
{
	struct sluice_range4 key = { .prefix = 32 };

	__builtin_memcpy(key.network, &address, 4);
	return bpf_map_lookup_elem(&allow4, &key) != 0;
}

static __always_inline int is_allowed6(const __u8 *address)
{
	struct sluice_range6 key = { .prefix = 128 };

	__builtin_memcpy(key.network, address, 16);
	return bpf_map_lookup_elem(&allow6, &key) != 0;
}

/* Writes ::ffff:a.b.c.d. */
static __always_inline void map_v4(__u8 *to, __be32 address)
{
	__builtin_memset(to, 0, 10);
	to[10] = 0xff;
	to[11] = 0xff;
	__builtin_memcpy(to + 12, &address, 4);
}

#endif
