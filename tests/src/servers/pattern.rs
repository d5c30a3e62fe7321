//! Bytes that tell their own position, so that a lost, doubled or swapped piece shows.

/// Fills `buffer` with the bytes of the pattern from `offset` on.
pub fn fill(offset: u64, buffer: &mut [u8]) {
    for (position, byte) in (offset..).zip(buffer) {
        *byte = at(position);
    }
}

/// Whether `bytes` are those of the pattern from `offset` on.
pub fn matches(offset: u64, bytes: &[u8]) -> bool {
    (offset..)
        .zip(bytes)
        .all(|(position, byte)| *byte == at(position))
}

/// Folding the higher bytes in makes pages differ from one another.
fn at(position: u64) -> u8 {
    let [a, b, c, d, ..] = position.to_le_bytes();
    a ^ b.wrapping_mul(29) ^ c.wrapping_mul(67) ^ d
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_piece_at_the_wrong_place_shows() {
        let mut bytes = vec![0; 300_000];
        fill(0, &mut bytes);
        assert!(matches(0, &bytes));
        assert!(matches(65_536, &bytes[65_536..]));
        for shift in [1, 256, 4096, 65_536, 131_072] {
            assert!(!matches(0, &bytes[shift..shift + 1024]), "{shift}");
        }
    }
}
