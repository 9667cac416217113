//! The tag list of a multiboot2 loader (Multiboot2 specification 2.0, "Boot information format").
//!
//! The crate `multiboot2` reads it too, but panics on a malformed tag; here that is an error.

use super::framebuffer::read_framebuffer;
use super::info::{BootInfo, BootInfoError, Firmware, Rsdp};
use super::modules::{Module, text_at};
use crate::little_endian::{number, number32};
use crate::{MemoryKind, PhysicalMemory, Region};

const HEADER_LENGTH: u64 = 8;
/// No loader writes more; a larger size is a sign of garbage.
const MAXIMUM_LENGTH: u64 = 1 << 20;

const TAG_END: u32 = 0;
const TAG_COMMAND_LINE: u32 = 1;
const TAG_LOADER: u32 = 2;
const TAG_MODULE: u32 = 3;
const TAG_MEMORY_MAP: u32 = 6;
const TAG_FRAMEBUFFER: u32 = 8;
/// The tags that only a UEFI firmware causes: its system table, its memory map, its services, the
/// image handle.
const TAGS_UEFI: [u32; 6] = [11, 12, 17, 18, 19, 20];
const TAG_ACPI_OLD: u32 = 14;
const TAG_ACPI_NEW: u32 = 15;

/// Reads the multiboot2 information at `address`.
///
/// Every tag must lie inside the total size and the list must close with its end tag.
///
/// # Errors
///
/// Fails on a tag that runs past the end, a list without end tag, and a missing memory map.
pub fn read_multiboot2(
    address: u64,
    memory: &impl PhysicalMemory,
    into: &mut BootInfo,
) -> Result<(), BootInfoError> {
    let malformed = |what, address| BootInfoError::Malformed { what, address };
    let total = memory
        .bytes(address, 4)
        .and_then(|bytes| number32(bytes, 0))
        .map(u64::from)
        .filter(|total| (HEADER_LENGTH..=MAXIMUM_LENGTH).contains(total))
        .ok_or(malformed("multiboot2 information", address))?;

    into.firmware = Firmware::Bios;
    let mut offset = HEADER_LENGTH;
    loop {
        let at = address.saturating_add(offset);
        let header = memory
            .bytes(at, 8)
            .filter(|_| offset.saturating_add(8) <= total)
            .ok_or(malformed("multiboot2 tag header", at))?;
        let (kind, size) = number32(header, 0)
            .zip(number32(header, 4))
            .ok_or(malformed("multiboot2 tag header", at))?;
        if kind == TAG_END {
            break;
        }
        let size = u64::from(size);
        let body = usize::try_from(size)
            .ok()
            .filter(|_| size >= 8 && offset.saturating_add(size) <= total)
            .and_then(|length| memory.bytes(at, length))
            .and_then(|tag| tag.get(8..))
            .ok_or(malformed("multiboot2 tag", at))?;
        match kind {
            TAG_COMMAND_LINE => into.command_line.copy_from_bytes(body),
            TAG_MEMORY_MAP => {
                read_memory_map(body, into).ok_or(malformed("multiboot2 memory map", at))?;
            }
            TAG_MODULE => {
                let module = read_module(at, body, memory);
                into.modules
                    .push(module.ok_or(malformed("multiboot2 module", at))?);
            }
            TAG_LOADER => into.loader.copy_from_bytes(body),
            TAG_FRAMEBUFFER => into.display = read_framebuffer(body),
            // The new RSDP wins over the old one, in whichever order they come.
            TAG_ACPI_NEW => into.rsdp = Some(copy_rsdp(body)),
            TAG_ACPI_OLD if into.rsdp.is_none() => into.rsdp = Some(copy_rsdp(body)),
            other if TAGS_UEFI.contains(&other) => into.firmware = Firmware::Uefi,
            _ => {}
        }
        offset = offset.saturating_add(size).next_multiple_of(8);
    }
    if into.memory.regions().is_empty() {
        return Err(BootInfoError::NoMemoryMap);
    }
    Ok(())
}

/// The tag at `at`: start, end, and a string up to the end of the tag.
fn read_module(at: u64, body: &[u8], memory: &impl PhysicalMemory) -> Option<Module> {
    let (start, end) = (number(body, 0, 4)?, number(body, 4, 4)?);
    let (first, after) = (at + 16, at + 8 + body.len() as u64);
    let (text, text_end) = text_at(first, memory);
    (start <= end).then_some(Module {
        start,
        end,
        text: (text, text_end.min(after)),
    })
}

fn read_memory_map(body: &[u8], into: &mut BootInfo) -> Option<()> {
    let entry_size = usize::try_from(number32(body, 0)?)
        .ok()
        .filter(|size| *size >= 24)?;
    for entry in body.get(8..)?.chunks_exact(entry_size) {
        let start = number(entry, 0, 8)?;
        into.memory.push(Region {
            start,
            end: start.saturating_add(number(entry, 8, 8)?),
            kind: MemoryKind::from_e820(number32(entry, 16)?),
        });
    }
    Some(())
}

fn copy_rsdp(body: &[u8]) -> Rsdp {
    let mut copy = [0; 36];
    for (to, from) in copy.iter_mut().zip(body) {
        *to = *from;
    }
    Rsdp::Copy(copy)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_memory::TestMemory;

    fn tag(bytes: &mut Vec<u8>, kind: u32, body: &[u8]) {
        bytes.extend(kind.to_le_bytes());
        bytes.extend(u32::try_from(body.len() + 8).unwrap().to_le_bytes());
        bytes.extend(body);
        bytes.resize(bytes.len().next_multiple_of(8), 0);
    }

    fn information(tags: &[(u32, &[u8])]) -> TestMemory {
        let mut bytes = vec![0; 8];
        for (kind, body) in tags {
            tag(&mut bytes, *kind, body);
        }
        let total = u32::try_from(bytes.len()).unwrap();
        bytes[..4].copy_from_slice(&total.to_le_bytes());
        let mut memory = TestMemory::new(0x8000, 0x2000);
        memory.put(0x8000, &bytes);
        memory
    }

    fn memory_map() -> Vec<u8> {
        let mut body = Vec::new();
        body.extend(24_u32.to_le_bytes());
        body.extend(0_u32.to_le_bytes());
        body.extend(0x10_0000_u64.to_le_bytes());
        body.extend(0x40_0000_u64.to_le_bytes());
        body.extend(1_u32.to_le_bytes());
        body.extend(0_u32.to_le_bytes());
        body
    }

    #[test]
    fn reads_the_tags_and_prefers_the_new_rsdp() {
        let map = memory_map();
        let memory = information(&[
            (21, &[0; 4]),
            (1, b"list=all\0"),
            (15, &[2; 36]),
            (14, &[1; 20]),
            (6, &map),
            (0, &[]),
        ]);
        let mut info = BootInfo::empty();
        read_multiboot2(0x8000, &memory, &mut info).unwrap();
        assert_eq!(info.command_line.as_str(), "list=all");
        assert_eq!(info.rsdp, Some(Rsdp::Copy([2; 36])));
        assert_eq!(info.memory.regions()[0].end, 0x50_0000);
    }

    #[test]
    fn the_loader_names_itself_and_shows_the_firmware() {
        let map = memory_map();
        let mut info = BootInfo::empty();
        let bios = [(2, &b"GRUB 2.06\0"[..]), (6, &map), (0, &[])];
        read_multiboot2(0x8000, &information(&bios), &mut info).unwrap();
        assert_eq!(info.loader.as_str(), "GRUB 2.06");
        assert_eq!(info.firmware, Firmware::Bios);
        let uefi = [(6, &map[..]), (12, &[0; 8]), (0, &[])];
        read_multiboot2(0x8000, &information(&uefi), &mut info).unwrap();
        assert_eq!(info.firmware, Firmware::Uefi);
    }

    #[test]
    fn a_short_old_rsdp_never_reads_past_its_tag() {
        let map = memory_map();
        let memory = information(&[(14, &[1; 20]), (6, &map), (0, &[])]);
        let mut info = BootInfo::empty();
        read_multiboot2(0x8000, &memory, &mut info).unwrap();
        let mut expected = [0; 36];
        expected[..20].fill(1);
        assert_eq!(info.rsdp, Some(Rsdp::Copy(expected)));
    }

    #[test]
    fn refuses_a_list_without_end_and_a_tag_past_the_end() {
        let map = memory_map();
        let mut info = BootInfo::empty();
        let open = information(&[(6, &map)]);
        assert!(read_multiboot2(0x8000, &open, &mut info).is_err());

        let mut long = information(&[(6, &map), (0, &[])]);
        long.put(0x800c, &0x1000_u32.to_le_bytes());
        assert!(read_multiboot2(0x8000, &long, &mut info).is_err());

        let mut zero = information(&[(6, &map), (0, &[])]);
        zero.put(0x800c, &0_u32.to_le_bytes());
        assert!(read_multiboot2(0x8000, &zero, &mut info).is_err());
    }

    fn module_tag(start: u32, end: u32, text: &[u8]) -> Vec<u8> {
        [&start.to_le_bytes(), &end.to_le_bytes(), text].concat()
    }

    #[test]
    fn modules_come_in_their_order_with_their_command_lines() {
        let map = memory_map();
        let (kernel, initrd) = (
            module_tag(0x20_0000, 0x30_0000, b"vmlinuz quiet\0"),
            module_tag(0x30_0000, 0x30_0800, b"\0"),
        );
        let memory = information(&[(3, &kernel), (6, &map), (3, &initrd), (0, &[])]);
        let mut info = BootInfo::empty();
        read_multiboot2(0x8000, &memory, &mut info).unwrap();
        let [first, second] = info.modules.all() else {
            panic!("{:?}", info.modules)
        };
        assert_eq!((first.start, first.end), (0x20_0000, 0x30_0000));
        assert_eq!(first.command_line(&memory), "vmlinuz quiet");
        assert_eq!((second.start, second.end), (0x30_0000, 0x30_0800));
        assert_eq!(second.command_line(&memory), "");
    }

    #[test]
    fn a_text_without_its_zero_ends_with_its_tag() {
        let map = memory_map();
        let module = module_tag(0x20_0000, 0x30_0000, b"12345678");
        let memory = information(&[(3, &module), (6, &map), (0, &[])]);
        let mut info = BootInfo::empty();
        read_multiboot2(0x8000, &memory, &mut info).unwrap();
        assert_eq!(info.modules.all()[0].command_line(&memory), "12345678");
    }

    #[test]
    fn refuses_a_short_module_and_one_that_ends_before_its_start() {
        let map = memory_map();
        let backwards = module_tag(0x30_0000, 0x20_0000, b"\0");
        for bad in [&backwards[..], &backwards[..7], &[]] {
            let memory = information(&[(6, &map), (3, bad), (0, &[])]);
            assert!(matches!(
                read_multiboot2(0x8000, &memory, &mut BootInfo::empty()),
                Err(BootInfoError::Malformed {
                    what: "multiboot2 module",
                    ..
                })
            ));
        }
    }

    #[test]
    fn refuses_a_missing_memory_map() {
        let memory = information(&[(1, b"x\0"), (0, &[])]);
        assert_eq!(
            read_multiboot2(0x8000, &memory, &mut BootInfo::empty()),
            Err(BootInfoError::NoMemoryMap)
        );
    }
}
