//! The hooks of a pod, in the order in which they are attached.
//!
//! First what keeps packets in, last what brings connections to the sidecar: an install that ends
//! half-way leaves the pod closed, not open.

use std::fmt;

use serde::Serialize;

/// A place in the kernel where one of our programs runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Hook {
    /// Records inbound connections, so that replies to them may leave. Before the other guards.
    InterfaceIngress,
    /// Drops what a socket of the pod sends past the allow-list.
    Egress,
    /// Drops what leaves an interface past the allow-list, whoever sent it.
    InterfaceEgress,
    /// Refuses the socket options that transmit around the interface's hook.
    SetSockOpt,
    /// Hands the destination from the client's socket to the sidecar's.
    SockOps,
    /// Tells the sidecar the destination.
    GetSockOpt,
    /// Tells the app the peer that it asked for.
    GetPeerName4,
    /// Tells the app the peer that it asked for, over AF_INET6.
    GetPeerName6,
    /// Redirects connections.
    Connect4,
    /// Redirects connections over AF_INET6, mapped IPv4 among them.
    Connect6,
}

impl Hook {
    /// Every hook, in the order of attaching.
    pub const ALL: [Self; 10] = [
        Self::InterfaceIngress,
        Self::Egress,
        Self::InterfaceEgress,
        Self::SetSockOpt,
        Self::SockOps,
        Self::GetSockOpt,
        Self::GetPeerName4,
        Self::GetPeerName6,
        Self::Connect4,
        Self::Connect6,
    ];

    /// Whether the hook is on each interface, not on the cgroup.
    pub fn is_on_interfaces(self) -> bool {
        matches!(self, Self::InterfaceIngress | Self::InterfaceEgress)
    }

    /// The name of the pin, and in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::InterfaceIngress => "interface_ingress",
            Self::Egress => "egress",
            Self::InterfaceEgress => "interface_egress",
            Self::SetSockOpt => "setsockopt",
            Self::SockOps => "sockops",
            Self::GetSockOpt => "getsockopt",
            Self::GetPeerName4 => "getpeername4",
            Self::GetPeerName6 => "getpeername6",
            Self::Connect4 => "connect4",
            Self::Connect6 => "connect6",
        }
    }

    /// The program's name in the object.
    pub(super) fn program(self) -> String {
        format!("sluice_{}", self.name())
    }

    /// `enum bpf_attach_type` of linux/bpf.h.
    pub(super) fn attach_type(self) -> u32 {
        match self {
            Self::InterfaceIngress => 46,
            Self::InterfaceEgress => 47,
            Self::Egress => 1,
            Self::SetSockOpt => 22,
            Self::SockOps => 3,
            Self::GetSockOpt => 21,
            Self::GetPeerName4 => 29,
            Self::GetPeerName6 => 30,
            Self::Connect4 => 10,
            Self::Connect6 => 11,
        }
    }
}

impl fmt::Display for Hook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_are_redirected_only_once_all_guards_stand() {
        let place = |hook| Hook::ALL.iter().position(|each| *each == hook).unwrap();
        for guard in [Hook::Egress, Hook::InterfaceEgress, Hook::SetSockOpt] {
            assert!(place(guard) < place(Hook::SockOps), "{guard}");
        }
        assert!(place(Hook::InterfaceIngress) < place(Hook::Egress));
        assert_eq!(place(Hook::Connect6), Hook::ALL.len() - 1);
        assert_eq!(place(Hook::Connect4), Hook::ALL.len() - 2);
    }

    #[test]
    fn names_are_those_that_bpffs_takes() {
        for hook in Hook::ALL {
            assert!(!hook.name().contains(['.', '/']), "{hook}");
        }
    }
}
