//! Which addresses mean what in the lab, so that "cluster" and "internet" never overlap.
//!
//! | range | who |
//! |---|---|
//! | `10.244.0.0/16`, `fd00:10:244::/48` | pods |
//! | `10.96.0.0/12`, `fd00:10:96::/48` | Services, control plane, cluster DNS |
//! | `203.0.113.0/24`, `2001:db8:113::/48` | fixed source addresses of gateways |
//! | `198.51.100.0/24`, `2001:db8:51::/48` | external servers |

use sluice_init::nftables::Capture;

/// The ranges that a pod's capture leaves alone.
pub const CLUSTER: [&str; 4] = [
    "10.244.0.0/16",
    "10.96.0.0/12",
    "fd00:10:244::/48",
    "fd00:10:96::/48",
];

/// Capture as a pod of the lab has it: all but [`CLUSTER`] goes to the sidecar.
pub fn capture() -> Capture {
    Capture {
        cluster_cidrs: CLUSTER
            .iter()
            .map(|range| range.parse().expect("the constants above are ranges"))
            .collect(),
        ..Capture::default()
    }
}
