// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
/* The programs of a pod, in one object for all kernels: only uapi structs, no CO-RE. */
#include <linux/bpf.h>

#include "redirect.h"
#include "guard.h"

/* Several helpers are for GPL programs only; the file is offered under the GPL, or Apache. */
char LICENSE[] SEC("license") = "GPL";
