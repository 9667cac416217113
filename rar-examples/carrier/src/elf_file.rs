//! ELF files as payloads: their segments, by physical address.

use elf::ElfBytes;
use elf::abi::{EM_386, EM_X86_64, PT_LOAD, PT_NOTE};
use elf::endian::LittleEndian;
use elf::note::Note;
use elf::segment::ProgramHeader;

use crate::error::PayloadError;
use crate::plan::Part;

const KIND: &str = "ELF file";
/// The name and the number of the note that holds a 32-bit entry point (Xen public header
/// `elfnote.h`, XEN_ELFNOTE_PHYS32_ENTRY).
const PVH_NAME: &str = "Xen";
const PVH_NOTE: u64 = 18;

/// An ELF file for this machine.
pub(crate) struct ElfFile<'a> {
    elf: ElfBytes<'a, LittleEndian>,
}

/// Returns whether the bytes begin as an ELF file does.
pub(crate) fn is_elf(bytes: &[u8]) -> bool {
    bytes.starts_with(b"\x7fELF")
}

const fn malformed(what: &'static str) -> PayloadError {
    PayloadError::Malformed { kind: KIND, what }
}

impl<'a> ElfFile<'a> {
    /// Reads the headers.
    pub(crate) fn new(bytes: &'a [u8]) -> Result<Self, PayloadError> {
        let elf = ElfBytes::minimal_parse(bytes).map_err(|_| malformed("headers"))?;
        if ![EM_386, EM_X86_64].contains(&elf.ehdr.e_machine) {
            return Err(PayloadError::Unsupported {
                kind: KIND,
                what: "it is for another processor",
            });
        }
        let file = Self { elf };
        if file.parts().next().is_none() {
            return Err(malformed("segments: none is loaded"));
        }
        for part in file.parts() {
            let inside = |part: &Part| {
                let end = part.offset.checked_add(part.length)?;
                part.to.checked_add(part.size)?;
                (end <= bytes.len() as u64 && part.length <= part.size).then_some(())
            };
            inside(&part).ok_or(malformed("segments"))?;
        }
        // What a later one clears or copies would be gone from an earlier one.
        for (place, part) in file.parts().enumerate() {
            let overlaps =
                |other: Part| part.to < other.to + other.size && other.to < part.to + part.size;
            if file.parts().take(place).any(overlaps) {
                return Err(PayloadError::Unsupported {
                    kind: KIND,
                    what: "two of its segments are loaded to the same memory",
                });
            }
        }
        Ok(file)
    }

    fn segments(&self) -> impl Iterator<Item = ProgramHeader> + '_ {
        self.elf.segments().into_iter().flatten()
    }

    /// Returns the segments that are loaded.
    pub(crate) fn parts(&self) -> impl Iterator<Item = Part> + '_ {
        let loaded = |header: &ProgramHeader| header.p_type == PT_LOAD && header.p_memsz > 0;
        self.segments().filter(loaded).map(|header| Part {
            offset: header.p_offset,
            length: header.p_filesz,
            to: header.p_paddr,
            size: header.p_memsz,
        })
    }

    /// Returns the physical address of the file's entry point. It is a virtual one in the file, in
    /// the segment that holds it.
    pub(crate) fn entry(&self) -> Result<u32, PayloadError> {
        let entry = self.elf.ehdr.e_entry;
        let mut segments = self.segments().filter(|header| header.p_type == PT_LOAD);
        let physical = segments.find_map(|header| {
            let offset = entry.checked_sub(header.p_vaddr)?;
            (offset < header.p_memsz).then(|| header.p_paddr.checked_add(offset))?
        });
        let physical = physical.unwrap_or(entry);
        u32::try_from(physical).map_err(|_| malformed("entry point, which lies above 4 GiB"))
    }

    /// Returns the entry point of its PVH note.
    pub(crate) fn pvh_entry(&self) -> Option<u32> {
        let notes = self
            .segments()
            .filter(|header| header.p_type == PT_NOTE)
            .filter_map(|header| self.elf.segment_data_as_notes(&header).ok())
            .flatten();
        let mut entries = notes.filter_map(|note| match note {
            Note::Unknown(note) if note.n_type == PVH_NOTE => {
                let name = note.name.split(|byte| *byte == 0).next()?;
                (name == PVH_NAME.as_bytes()).then_some(note.desc)
            }
            _ => None,
        });
        let value = entries.next()?.get(..4)?;
        value.try_into().ok().map(u32::from_le_bytes)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use proptest::prelude::*;

    use super::*;

    /// An ELF64 file with one segment of 4 KiB at `paddr`, whose content begins at byte 4096, and a
    /// PVH note.
    pub(crate) fn elf64(paddr: u64, content: &[u8], pvh: Option<u32>) -> Vec<u8> {
        let mut file = vec![0; 4096];
        file[..16].copy_from_slice(b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0");
        let mut put = |at: usize, bytes: &[u8]| file[at..at + bytes.len()].copy_from_slice(bytes);
        put(16, &2_u16.to_le_bytes());
        put(18, &EM_X86_64.to_le_bytes());
        put(20, &1_u32.to_le_bytes());
        put(24, &(0xffff_8000_0000_0000_u64 + 0x20).to_le_bytes());
        put(32, &64_u64.to_le_bytes());
        put(52, &64_u16.to_le_bytes());
        put(54, &56_u16.to_le_bytes());
        put(56, &if pvh.is_some() { 2_u16 } else { 1 }.to_le_bytes());
        put(58, &64_u16.to_le_bytes());
        let length = content.len() as u64;
        let mut header = |at: usize, kind: u32, fields: [u64; 6]| {
            put(at, &kind.to_le_bytes());
            for (at, field) in (at + 8..).step_by(8).zip(fields) {
                put(at, &field.to_le_bytes());
            }
        };
        let virtual_start = 0xffff_8000_0000_0000;
        header(
            64,
            PT_LOAD,
            [4096, virtual_start, paddr, length, 0x2000, 4096],
        );
        header(120, PT_NOTE, [256, 0, 0, 20, 20, 4]);
        if let Some(entry) = pvh {
            for (at, word) in (256..).step_by(4).zip([4, 4, 18, 0x006e_6558, entry]) {
                put(at, &word.to_le_bytes());
            }
        }
        file.extend(content);
        file
    }

    #[test]
    fn segments_go_to_physical_addresses() {
        let bytes = elf64(0x20_0000, &[7; 100], None);
        let file = ElfFile::new(&bytes).unwrap();
        let part = Part {
            offset: 4096,
            length: 100,
            to: 0x20_0000,
            size: 0x2000,
        };
        assert!(file.parts().eq([part]));
        assert_eq!(file.entry(), Ok(0x20_0020));
        assert_eq!(file.pvh_entry(), None);
    }

    #[test]
    fn the_note_of_xen_holds_an_entry_point() {
        let bytes = elf64(0x20_0000, &[7; 100], Some(0x20_0040));
        assert_eq!(ElfFile::new(&bytes).unwrap().pvh_entry(), Some(0x20_0040));
        let mut other = bytes.clone();
        other[256 + 8] = 17;
        assert_eq!(ElfFile::new(&other).unwrap().pvh_entry(), None);
    }

    #[test]
    fn a_file_that_is_cut_or_for_another_processor_is_refused() {
        let bytes = elf64(0x20_0000, &[7; 100], None);
        for length in [0, 15, 63, 64, 119, 4095, 4195] {
            let refused = ElfFile::new(&bytes[..length]).err();
            assert!(
                matches!(refused, Some(PayloadError::Malformed { .. })),
                "{length}: {refused:?}"
            );
        }
        let mut other = bytes;
        other[18] = 183;
        let refused = ElfFile::new(&other).err();
        assert!(matches!(refused, Some(PayloadError::Unsupported { .. })));
    }

    #[test]
    fn segments_that_overlap_are_refused() {
        // The note becomes a second segment behind the first, then one byte into it.
        for (second, refused) in [(0x20_2000_u64, false), (0x20_1fff, true), (0x1f_fff0, true)] {
            let mut bytes = elf64(0x20_0000, &[7; 100], Some(0));
            bytes[120..124].copy_from_slice(&PT_LOAD.to_le_bytes());
            bytes[120 + 24..][..8].copy_from_slice(&second.to_le_bytes());
            let expected = refused.then_some(PayloadError::Unsupported {
                kind: KIND,
                what: "two of its segments are loaded to the same memory",
            });
            assert_eq!(ElfFile::new(&bytes).err(), expected, "{second:#x}");
        }
    }

    #[test]
    fn a_segment_beyond_all_addresses_is_refused() {
        let bytes = elf64(u64::MAX - 0x100, &[7; 100], None);
        assert_eq!(ElfFile::new(&bytes).err(), Some(malformed("segments")));
    }

    proptest! {
        #[test]
        fn any_headers_are_read_without_a_panic(
            changes in proptest::collection::vec((0_usize..300, any::<u8>()), 0..20),
        ) {
            let mut bytes = elf64(0x20_0000, &[7; 100], Some(0x20_0040));
            for (at, byte) in changes {
                bytes[at] = byte;
            }
            if let Ok(file) = ElfFile::new(&bytes) {
                let _ = (file.entry(), file.pvh_entry(), file.parts().count());
            }
        }
    }
}
