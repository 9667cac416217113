//! Conversions between the machine's 64 bits and smaller integers.

/// Returns the number as a word.
#[expect(
    clippy::cast_possible_truncation,
    reason = "words of this kernel have 64 bits"
)]
#[must_use]
pub const fn word(value: u64) -> usize {
    value as usize
}

/// Returns the low 32 bits.
#[must_use]
pub const fn low32(value: u64) -> u32 {
    (value & 0xffff_ffff) as u32
}
