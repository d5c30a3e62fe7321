//! Versions: equal plan nodes have equal versions, whatever replica or process made them.

use std::{
    fmt,
    hash::{Hash, Hasher},
};

use sha2::{Digest, Sha256};

/// 128 bits that stand for a plan node and the build that translates it.
///
/// Never a hash of protobuf bytes: maps encode in random order.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Fingerprint(pub u128);

impl Fingerprint {
    /// The fingerprint of `node`, salted with `build`: a new build may translate the same node
    /// differently, so it sends everything anew.
    pub fn of<T: Hash + ?Sized>(node: &T, build: &str) -> Self {
        let mut hasher = Sha(Sha256::new());
        build.hash(&mut hasher);
        node.hash(&mut hasher);
        let digest = hasher.0.finalize();
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&digest[..16]);
        Self(u128::from_be_bytes(bytes))
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Feeds what `derive(Hash)` writes into SHA-256; lengths are written as 64 bits, so that the
/// result does not depend on the machine's word.
struct Sha(Sha256);

impl Hasher for Sha {
    fn finish(&self) -> u64 {
        let digest = self.0.clone().finalize();
        let mut bytes = [0; 8];
        bytes.copy_from_slice(&digest[..8]);
        u64::from_be_bytes(bytes)
    }

    fn write(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    fn write_usize(&mut self, value: usize) {
        self.0.update((value as u64).to_le_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::destination::{Destination, Resolution};

    #[test]
    fn equal_nodes_of_one_build_have_equal_versions() {
        let node = || Destination::new("outbound|443||api.example.com", Resolution::Nowhere);
        assert_eq!(Fingerprint::of(&node(), "1"), Fingerprint::of(&node(), "1"));
    }

    #[test]
    fn another_node_or_build_has_another_version() {
        let node = Destination::new("a", Resolution::Nowhere);
        let other = Destination::new("b", Resolution::Nowhere);
        assert_ne!(Fingerprint::of(&node, "1"), Fingerprint::of(&other, "1"));
        assert_ne!(Fingerprint::of(&node, "1"), Fingerprint::of(&node, "2"));
    }

    #[test]
    fn a_version_is_the_same_in_every_process() {
        assert_eq!(
            Fingerprint::of("plan", "build").to_string(),
            "16862abd1bf8e679308af17d656083a7"
        );
    }
}
