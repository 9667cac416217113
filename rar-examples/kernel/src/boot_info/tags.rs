//! One tag after the other (Multiboot2 specification 2.0, "Boot information format").

use crate::PhysicalMemory;
use crate::little_endian::number32;

pub(super) const TAG_END: u32 = 0;
/// Bytes of type and size.
pub(super) const TAG_HEADER_LENGTH: u64 = 8;
/// Well-formed tags are looked for up to here behind a malformed one.
const MOST_SKIPPED: u64 = 8 << 10;
/// No loader writes more tags.
const MOST_TAGS: usize = 128;
/// The greatest type of a tag (Multiboot2 specification 2.0: "Image load base physical address").
const LAST_TYPE: u32 = 21;

/// Reads the tag at `at`, where the information has `left` more bytes: its type, and what follows
/// type and size.
pub(super) fn read_tag(at: u64, left: u64, memory: &impl PhysicalMemory) -> Option<(u32, &[u8])> {
    let header = memory.bytes(at, 8).filter(|_| left >= TAG_HEADER_LENGTH)?;
    let (kind, size) = number32(header, 0).zip(number32(header, 4))?;
    // The last tag has nothing that could be wrong.
    let size = if kind == TAG_END { 8 } else { u64::from(size) };
    let length = usize::try_from(size).ok().filter(|_| size <= left)?;
    Some((kind, memory.bytes(at, length)?.get(8..)?))
}

/// Returns how far behind the malformed tag at `at` well-formed tags begin.
pub(super) fn find_tags(at: u64, left: u64, memory: &impl PhysicalMemory) -> Option<u64> {
    let mut places = (8..left.min(MOST_SKIPPED)).step_by(8);
    places.find(|skipped| lead_to_the_end(at.saturating_add(*skipped), left - skipped, memory))
}

/// Returns whether well-formed tags of known types lead from `at` to the last tag.
fn lead_to_the_end(mut at: u64, mut left: u64, memory: &impl PhysicalMemory) -> bool {
    for _ in 0..MOST_TAGS {
        let Some((kind, body)) = read_tag(at, left, memory) else {
            return false;
        };
        if kind == TAG_END {
            let size = memory.bytes(at, 8).and_then(|header| number32(header, 4));
            return size == Some(8);
        }
        if kind > LAST_TYPE {
            return false;
        }
        let size = (body.len() as u64 + TAG_HEADER_LENGTH).next_multiple_of(8);
        at = at.saturating_add(size);
        left = left.saturating_sub(size);
    }
    false
}
