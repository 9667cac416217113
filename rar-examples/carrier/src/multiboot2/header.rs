//! The header of a kernel, and the tags by which it asks for things.

use rar_kernel::Display;

use crate::bytes::{u16_at, u32_at};
use crate::error::PayloadError;

const KIND: &str = "multiboot2 kernel";
const MAGIC: u32 = 0xe852_50d6;
const I386: u32 = 0;
/// The header lies in this many bytes of the file, aligned to 8.
const SEARCHED: usize = 32 << 10;
const FIXED_LENGTH: usize = 16;
const OPTIONAL: u16 = 1;

const TAG_END: u16 = 0;
const TAG_INFORMATION: u16 = 1;
const TAG_ADDRESSES: u16 = 2;
const TAG_ENTRY: u16 = 3;
const TAG_CONSOLE: u16 = 4;
const TAG_FRAMEBUFFER: u16 = 5;
const TAG_MODULE_ALIGNMENT: u16 = 6;
const TAG_EFI_ENTRIES: [u16; 2] = [8, 9];
const TAG_RELOCATABLE: u16 = 10;

/// What can be asked for: command line, loader, modules, memory, map, framebuffer, ACPI tables.
const SUPPLIED: [u32; 8] = [1, 2, 3, 4, 6, 8, 14, 15];

/// What a kernel asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    entry: Option<u32>,
    needs_display: bool,
}

const fn malformed(what: &'static str) -> PayloadError {
    PayloadError::Malformed { kind: KIND, what }
}

const fn unsupported(what: &'static str) -> PayloadError {
    PayloadError::Unsupported { kind: KIND, what }
}

impl Header {
    /// Looks for the header of a file; `None` without one.
    ///
    /// # Errors
    ///
    /// A header that is malformed, or asks for something that cannot be given.
    pub(crate) fn find(file: &[u8]) -> Result<Option<Self>, PayloadError> {
        let searched = file.get(..SEARCHED).unwrap_or(file);
        let mut places = (0..searched.len()).step_by(8);
        let found = places.find_map(|at| {
            let header = searched.get(at..)?;
            is_header(header).then_some(header)
        });
        found.map(Self::read).transpose()
    }

    /// Returns the entry point that the header names.
    pub(crate) const fn entry(&self) -> Option<u32> {
        self.entry
    }

    /// Checks that the machine has the display without which the kernel cannot do.
    pub(crate) fn check_display(&self, display: Option<Display>) -> Result<(), PayloadError> {
        if self.needs_display && display.is_none() {
            return Err(unsupported(
                "its header requires a display, and the loader has set none up; start the carrier \
                 by GRUB",
            ));
        }
        Ok(())
    }

    fn read(header: &[u8]) -> Result<Self, PayloadError> {
        if u32_at(header, 4) != Some(I386) {
            return Err(unsupported("it is for another processor than i386"));
        }
        let length = u32_at(header, 8).and_then(|length| usize::try_from(length).ok());
        let header = length.and_then(|length| header.get(..length));
        let header = header.ok_or(malformed("header"))?;
        let mut at = FIXED_LENGTH;
        let mut found = Self {
            entry: None,
            needs_display: false,
        };
        loop {
            let tag = header.get(at..).unwrap_or(&[]);
            let (Some(kind), Some(flags), Some(size)) =
                (u16_at(tag, 0), u16_at(tag, 2), u32_at(tag, 4))
            else {
                return Err(malformed("header's end tag"));
            };
            if kind == TAG_END {
                return Ok(found);
            }
            let size = usize::try_from(size).ok().filter(|size| *size >= 8);
            let body = size.and_then(|size| tag.get(8..size));
            let (Some(size), Some(body)) = (size, body) else {
                return Err(malformed("header's tags"));
            };
            if kind == TAG_ENTRY {
                found.entry = Some(u32_at(body, 0).ok_or(malformed("entry tag"))?);
            } else if flags & OPTIONAL == 0 {
                found.needs_display |= kind == TAG_FRAMEBUFFER;
                demand(kind, body)?;
            }
            at = (at + size).next_multiple_of(8);
        }
    }
}

fn is_header(bytes: &[u8]) -> bool {
    let [Some(magic), Some(architecture), Some(length), Some(sum)] =
        [0, 4, 8, 12].map(|offset| u32_at(bytes, offset))
    else {
        return false;
    };
    let total = [architecture, length, sum]
        .into_iter()
        .fold(magic, u32::wrapping_add);
    magic == MAGIC && total == 0
}

/// Checks that something a kernel cannot do without can be given.
fn demand(kind: u16, body: &[u8]) -> Result<(), PayloadError> {
    match kind {
        TAG_INFORMATION => {
            let mut asked = body.chunks_exact(4).filter_map(|word| u32_at(word, 0));
            let missing = asked.any(|kind| !SUPPLIED.contains(&kind));
            match missing {
                true => Err(unsupported(
                    "it requires information that the carrier does not have (from EFI, a BIOS \
                     drive, APM, VBE or the network)",
                )),
                false => Ok(()),
            }
        }
        TAG_ADDRESSES => Err(unsupported(
            "its header has an address tag; the carrier loads ELF segments only",
        )),
        // Modules always lie on page borders; a kernel that can be moved need not be.
        TAG_CONSOLE | TAG_FRAMEBUFFER | TAG_MODULE_ALIGNMENT | TAG_RELOCATABLE => Ok(()),
        kind if TAG_EFI_ENTRIES.contains(&kind) => Ok(()),
        _ => Err(unsupported(
            "its header requires a tag that the carrier does not know, or boot services of EFI",
        )),
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOTHING: Header = Header {
        entry: None,
        needs_display: false,
    };

    pub(crate) fn header(tags: &[(u16, u16, &[u8])]) -> Vec<u8> {
        let mut bytes = vec![0; FIXED_LENGTH];
        for (kind, flags, body) in tags.iter().chain([&(TAG_END, 0, &[][..])]) {
            bytes.extend(kind.to_le_bytes());
            bytes.extend(flags.to_le_bytes());
            bytes.extend(u32::try_from(body.len() + 8).unwrap().to_le_bytes());
            bytes.extend(*body);
            bytes.resize(bytes.len().next_multiple_of(8), 0);
        }
        let length = u32::try_from(bytes.len()).unwrap();
        let sum = 0_u32.wrapping_sub(MAGIC).wrapping_sub(length);
        for (at, word) in [(0, MAGIC), (4, I386), (8, length), (12, sum)] {
            bytes[at..at + 4].copy_from_slice(&word.to_le_bytes());
        }
        bytes
    }

    #[test]
    fn a_header_is_found_by_its_sum_at_every_eighth_byte() {
        let mut file = vec![0; 64];
        file[..4].copy_from_slice(&MAGIC.to_le_bytes());
        let entry = 0x20_1000_u32.to_le_bytes();
        file.extend(header(&[(TAG_ENTRY, 0, &entry)]));
        let found = Header::find(&file).unwrap().unwrap();
        assert_eq!(found.entry(), Some(0x20_1000));
        file.insert(0, 0);
        assert_eq!(Header::find(&file), Ok(None));
        let mut far = vec![0; SEARCHED];
        far.extend(header(&[]));
        assert_eq!(Header::find(&far), Ok(None));
    }

    #[test]
    fn only_what_is_required_can_be_refused() {
        let asked: Vec<u8> = [1_u32, 6, 12].map(u32::to_le_bytes).concat();
        for (kind, body) in [
            (TAG_INFORMATION, &asked[..]),
            (TAG_ADDRESSES, &[0; 16]),
            (7, &[]),
            (77, &[]),
        ] {
            let required = Header::find(&header(&[(kind, 0, body)]));
            assert!(
                matches!(required, Err(PayloadError::Unsupported { .. })),
                "{kind}"
            );
            let optional = Header::find(&header(&[(kind, OPTIONAL, body)]));
            assert_eq!(optional, Ok(Some(NOTHING)), "{kind}");
        }
        let known = Header::find(&header(&[(TAG_INFORMATION, 0, &asked[..8])]));
        assert_eq!(known, Ok(Some(NOTHING)));
    }

    #[test]
    fn only_a_required_framebuffer_needs_a_display() {
        let display = Display::Text {
            address: 0xb_8000,
            pitch: 160,
            columns: 80,
            rows: 25,
        };
        for (flags, without) in [(0, false), (OPTIONAL, true)] {
            let tags = header(&[(TAG_FRAMEBUFFER, flags, &[0; 12])]);
            let found = Header::find(&tags).unwrap().unwrap();
            assert_eq!(found.check_display(None).is_ok(), without, "{flags}");
            assert_eq!(found.check_display(Some(display)), Ok(()));
        }
    }

    #[test]
    fn a_header_without_its_end_is_malformed() {
        let whole = header(&[(TAG_ENTRY, 0, &[0; 4])]);
        for length in FIXED_LENGTH..whole.len() - 8 {
            let mut cut = whole.clone();
            let short = u32::try_from(length).unwrap();
            cut[8..12].copy_from_slice(&short.to_le_bytes());
            let sum = 0_u32.wrapping_sub(MAGIC).wrapping_sub(short);
            cut[12..16].copy_from_slice(&sum.to_le_bytes());
            assert!(
                matches!(Header::find(&cut), Err(PayloadError::Malformed { .. })),
                "{length}"
            );
        }
    }

    proptest! {
        #[test]
        fn any_tags_are_read_without_a_panic(
            tags in proptest::collection::vec(any::<u8>(), 0..100),
        ) {
            let mut bytes = header(&[(TAG_CONSOLE, 0, &tags)]);
            bytes.truncate(bytes.len() - 8);
            bytes.splice(16..24, []);
            let length = u32::try_from(bytes.len()).unwrap();
            let sum = 0_u32.wrapping_sub(MAGIC).wrapping_sub(length);
            bytes[8..12].copy_from_slice(&length.to_le_bytes());
            bytes[12..16].copy_from_slice(&sum.to_le_bytes());
            let _ = Header::find(&bytes);
        }
    }
}
