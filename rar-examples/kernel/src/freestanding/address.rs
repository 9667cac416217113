//! Addresses between the machine's 64 bits and Rust's words.

/// Returns the number as a word.
#[expect(
    clippy::cast_possible_truncation,
    reason = "words of this kernel have 64 bits"
)]
pub(crate) const fn word(value: u64) -> usize {
    value as usize
}

/// Returns the low 32 bits.
pub(crate) const fn low32(value: u64) -> u32 {
    (value & 0xFFFF_FFFF) as u32
}
