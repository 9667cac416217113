//! A sum over words that shows whether something wrote to them.

/// Returns a sum that depends on every bit and on the order of the words.
#[must_use]
pub fn page_sum(words: impl Iterator<Item = u64>) -> u64 {
    // An odd factor loses no bit, and the shift brings high bits down.
    words.fold(0, |sum: u64, word| {
        let mixed = (sum ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        mixed ^ (mixed >> 32)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_bit_and_the_order_count() {
        let words: Vec<u64> = (0..64).map(|number| number * number).collect();
        let sum = page_sum(words.iter().copied());
        for at in 0..words.len() * 64 {
            let mut other = words.clone();
            other[at / 64] ^= 1 << (at % 64);
            assert_ne!(page_sum(other.into_iter()), sum, "{at}");
        }
        let mut other = words;
        other.swap(5, 6);
        assert_ne!(page_sum(other.into_iter()), sum);
    }
}
