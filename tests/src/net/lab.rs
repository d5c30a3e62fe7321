//! A LAN of its own: one bridge that machines are plugged into.

use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Once};

use super::ip;
use super::machine::MachineBuilder;
use super::sweep::{self, PREFIX};

/// A LAN for the machines of one test. It lasts as long as it or one of its machines does.
#[derive(Clone)]
pub struct Lab {
    lan: Arc<Lan>,
}

/// The bridge's namespace, removed when the last holder goes.
pub(super) struct Lan {
    prefix: String,
    bridge: String,
}

impl Lab {
    /// Makes the LAN. Panics when not root, for namespaces need it.
    #[expect(clippy::new_without_default, reason = "it has effects on the host")]
    pub fn new() -> Self {
        static SWEPT: Once = Once::new();
        static COUNT: AtomicU32 = AtomicU32::new(0);

        assert!(
            nix::unistd::geteuid().is_root(),
            "network namespaces need root: run `sudo make test` or `sudo make demo`"
        );
        SWEPT.call_once(sweep::sweep);

        let prefix = format!(
            "{PREFIX}{}-{}",
            std::process::id(),
            COUNT.fetch_add(1, Ordering::Relaxed)
        );
        let bridge = format!("{prefix}-lan");
        ip::ip(["netns", "add", &bridge]);
        let lan = Arc::new(Lan { prefix, bridge });
        // Without snooping, neighbour discovery needs no querier to reach every port.
        ip::checked(
            Command::new("ip").args(["-n", &lan.bridge, "-batch", "-"]),
            "link set lo up\n\
             link add br0 type bridge stp_state 0 forward_delay 0 mcast_snooping 0\n\
             link set br0 up\n",
        );
        Self { lan }
    }

    /// Begins a machine; [`MachineBuilder::start`] plugs it in.
    ///
    /// The name is unique in the lab, and short enough to name an interface: 13 characters.
    pub fn machine(&self, name: &str) -> MachineBuilder {
        MachineBuilder::new(self.lan.clone(), name)
    }
}

impl Lan {
    /// The namespace's name of the machine `machine`.
    pub(super) fn namespace(&self, machine: &str) -> String {
        format!("{}-{machine}", self.prefix)
    }

    /// Joins the namespace of `machine` to the bridge: there it is `eth0`, here it has its name.
    pub(super) fn plug(&self, machine: &str) {
        let namespace = self.namespace(machine);
        ip::ip([
            "link",
            "add",
            "name",
            "eth0",
            "netns",
            &namespace,
            "type",
            "veth",
            "peer",
            "name",
            machine,
            "netns",
            &self.bridge,
        ]);
        ip::ip([
            "-n",
            &self.bridge,
            "link",
            "set",
            machine,
            "master",
            "br0",
            "up",
        ]);
    }
}

impl Drop for Lan {
    fn drop(&mut self) {
        sweep::remove(&self.bridge);
    }
}
