//! The host's global descriptor table.

/// Selector of the host's code.
pub(crate) const CODE: u16 = 0x08;
/// Selector of the host's data and stack.
pub(crate) const DATA: u16 = 0x10;

/// Nothing, 64-bit code, and data, both of ring 0 and marked as accessed: the processor writes
/// nothing here.
pub(crate) static TABLE: [u64; 3] = [0, 0x00af_9b00_0000_ffff, 0x00cf_9300_0000_ffff];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn selectors_name_present_accessed_segments_of_ring_0() {
        let kind = |selector: u16| TABLE[usize::from(selector / 8)].to_le_bytes()[5];
        assert_eq!((kind(CODE), kind(DATA)), (0x9b, 0x93));
        let [.., flags, _] = TABLE[usize::from(CODE / 8)].to_le_bytes();
        assert_eq!(flags >> 4 & 0b0110, 0b0010, "64-bit code");
    }
}
