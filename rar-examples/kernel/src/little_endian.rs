//! Little-endian numbers in bytes.

/// Reads a little-endian number of up to eight bytes at `offset`.
pub(crate) fn number(bytes: &[u8], offset: usize, width: usize) -> Option<u64> {
    let field = bytes.get(offset..offset.checked_add(width)?)?;
    Some(
        field
            .iter()
            .rev()
            .fold(0_u64, |value, &byte| (value << 8) | u64::from(byte)),
    )
}

/// Reads a little-endian 32-bit number at `offset`.
pub(crate) fn number32(bytes: &[u8], offset: usize) -> Option<u32> {
    u32::try_from(number(bytes, offset, 4)?).ok()
}
