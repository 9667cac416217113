//! A number for each payload.

/// Returns a number that tells payloads apart: FNV-1a of quadwords 0 to 3.
#[must_use]
pub fn payload_hash(words: [u64; 4]) -> u64 {
    let bytes = words.into_iter().flat_map(u64::to_le_bytes);
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::payload_hash;

    #[test]
    fn hashes_differ_by_word_and_place() {
        let first = 2 << 8 | 2 << 37;
        let two_pages = payload_hash([first, 0, 5, 0x7000]);
        assert_ne!(two_pages, payload_hash([first + (1 << 37), 0, 5, 0x7000]));
        assert_ne!(two_pages, payload_hash([first, 5, 0, 0x7000]));
    }

    #[test]
    fn the_hash_sees_every_byte() {
        let plain = payload_hash([0; 4]);
        for word in 0..4 {
            for bit in 0..64 {
                let mut words = [0; 4];
                words[word] = 1 << bit;
                assert_ne!(payload_hash(words), plain, "word {word} bit {bit}");
            }
        }
    }
}
