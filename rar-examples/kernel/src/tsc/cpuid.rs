//! What CPUID says of the rate of the time stamp counter.

/// Slower than any processor with a time stamp counter of this kind: what is below is no rate.
const LEAST: u64 = 100_000_000;

/// Returns the ticks in a second by leaf 0x15: EBX / EAX times the crystal's frequency in ECX (SDM
/// vol. 2, "CPUID").
///
/// `None` where the leaf leaves any of them out, as many processors do with the crystal.
#[must_use]
pub fn rate_of_leaf_15(eax: u32, ebx: u32, ecx: u32) -> Option<u64> {
    // 64 bits hold the product of two 32-bit numbers.
    let product = u64::from(ecx) * u64::from(ebx);
    product
        .checked_div(u64::from(eax))
        .filter(|rate| *rate >= LEAST)
}

/// Returns the ticks in a second by leaf 0x16: the base frequency in MHz in EAX, bits 15:0.
/// Rounded, so measure where that can be done.
#[must_use]
pub fn rate_of_leaf_16(eax: u32) -> Option<u64> {
    Some(u64::from(eax & 0xffff) * 1_000_000).filter(|rate| *rate >= LEAST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ratio_and_a_crystal() {
        // 25 MHz times 160 / 2.
        assert_eq!(rate_of_leaf_15(2, 160, 25_000_000), Some(2_000_000_000));
        // 38.4 MHz times 188 / 2, rounded down.
        assert_eq!(rate_of_leaf_15(2, 188, 38_400_000), Some(3_609_600_000));
        assert_eq!(rate_of_leaf_15(3, 250, 24_000_001), Some(2_000_000_083));
    }

    #[test]
    fn what_is_left_out_is_no_rate() {
        for (eax, ebx, ecx) in [
            (0, 160, 25_000_000),
            (2, 0, 25_000_000),
            (2, 160, 0),
            (u32::MAX, 1, 1),
        ] {
            assert_eq!(rate_of_leaf_15(eax, ebx, ecx), None, "{eax} {ebx} {ecx}");
        }
        assert_eq!(rate_of_leaf_16(0), None);
        assert_eq!(rate_of_leaf_16(0xffff_0000), None);
    }

    #[test]
    fn nothing_overflows() {
        let most = u64::from(u32::MAX) * u64::from(u32::MAX);
        assert_eq!(rate_of_leaf_15(1, u32::MAX, u32::MAX), Some(most));
    }

    #[test]
    fn reserved_bits_of_the_base_frequency_do_not_count() {
        assert_eq!(rate_of_leaf_16(0xabcd_0000 | 2_600), Some(2_600_000_000));
    }
}
