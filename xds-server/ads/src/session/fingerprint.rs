//! One version for many resources: what a state-of-the-world client reports when it reconnects.

use crate::{Resource, Version};

/// A fingerprint of resources by name and version, equal across replicas: FNV-1a, 128 bits.
pub(super) fn fingerprint<'a>(resources: impl Iterator<Item = &'a Resource>) -> Version {
    const OFFSET: u128 = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d;
    const PRIME: u128 = 0x0000_0000_0100_0000_0000_0000_0000_013b;
    let mut hash = OFFSET;
    let mut add = |bytes: &[u8]| {
        for byte in bytes {
            hash = (hash ^ u128::from(*byte)).wrapping_mul(PRIME);
        }
    };
    for resource in resources {
        add(resource.name.as_bytes());
        // No name has this byte, so names and versions cannot run into one another.
        add(&[0xff]);
        add(&resource.version.0.to_be_bytes());
    }
    Version(hash)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use bytes::Bytes;

    use super::*;

    fn of(resources: &[(&str, u128)]) -> Version {
        let resources: Vec<_> = resources
            .iter()
            .map(|(name, version)| Resource {
                name: (*name).into(),
                version: Version(*version),
                body: Bytes::new(),
                requires: Arc::default(),
            })
            .collect();
        fingerprint(resources.iter())
    }

    #[test]
    fn names_and_versions_both_count() {
        let base = of(&[("a", 1), ("b", 2)]);
        assert_eq!(base, of(&[("a", 1), ("b", 2)]));
        for other in [
            &[("a", 1)][..],
            &[("a", 1), ("b", 3)],
            &[("a", 1), ("c", 2)],
            &[],
        ] {
            assert_ne!(base, of(other));
        }
    }

    #[test]
    fn fingerprint_is_the_same_in_every_build() {
        assert_eq!(of(&[]), Version(0x6c62_272e_07bb_0142_62b8_2175_6295_c58d));
    }
}
