//! The tag list of a multiboot2 loader (Multiboot2 specification 2.0, "Boot information format").
//!
//! The crate `multiboot2` reads it too, but panics on a malformed tag; here that is a fault, which
//! is passed over.

use super::framebuffer::read_framebuffer;
use super::info::{BootInfo, BootInfoError, Firmware, Rsdp};
use super::modules::{Module, text_at};
use super::tags::{TAG_END, TAG_HEADER_LENGTH, find_tags, read_tag};
use crate::little_endian::{number, number32};
use crate::{MemoryKind, PhysicalMemory, Region};

const HEADER_LENGTH: u64 = 8;
/// No loader writes more; a larger size is a sign of garbage.
const MAXIMUM_LENGTH: u64 = 1 << 20;

const FIRST_MEBIBYTE: u64 = 1 << 20;

const TAG_COMMAND_LINE: u32 = 1;
const TAG_LOADER: u32 = 2;
const TAG_MODULE: u32 = 3;
/// KiB below 640 KiB, and KiB from 1 MiB to the first hole.
const TAG_MEMORY_SIZES: u32 = 4;
const TAG_MEMORY_MAP: u32 = 6;
const TAG_FRAMEBUFFER: u32 = 8;
/// The tags that only a UEFI firmware causes: its system table, its memory map, its services, the
/// image handle.
const TAGS_UEFI: [u32; 6] = [11, 12, 17, 18, 19, 20];
const TAG_ACPI_OLD: u32 = 14;
const TAG_ACPI_NEW: u32 = 15;

/// Reads the multiboot2 information at `address`.
///
/// What is malformed is passed over and counted in [`BootInfo::faults`]: a size that cannot be, a
/// module, a memory map. Behind a tag whose size cannot be, the reading goes on where well-formed
/// tags lead to the last one. Without a memory map the two sizes of memory that loaders gave before
/// are taken.
///
/// # Errors
///
/// Fails where there is nothing to read, and where neither memory map nor sizes can be read.
pub fn read_multiboot2(
    address: u64,
    memory: &impl PhysicalMemory,
    into: &mut BootInfo,
) -> Result<(), BootInfoError> {
    let malformed = |what, address| BootInfoError::Malformed { what, address };
    let said = memory
        .bytes(address, 4)
        .and_then(|bytes| number32(bytes, 0))
        .map(u64::from)
        .ok_or(malformed("multiboot2 information", address))?;
    let mut total = said;
    if !(HEADER_LENGTH..=MAXIMUM_LENGTH).contains(&said) {
        into.faults
            .add(malformed("multiboot2 information", address));
        // The last tag ends it.
        total = MAXIMUM_LENGTH;
    }
    into.firmware = Firmware::Bios;
    let mut sizes = None;
    let mut offset = HEADER_LENGTH;
    loop {
        let at = address.saturating_add(offset);
        let left = total.saturating_sub(offset);
        let Some((kind, body)) = read_tag(at, left, memory) else {
            into.faults.add(malformed("multiboot2 tag", at));
            let Some(skipped) = find_tags(at, left, memory) else {
                break;
            };
            offset += skipped;
            continue;
        };
        match kind {
            TAG_END => break,
            TAG_COMMAND_LINE => into.command_line.copy_from_bytes(body),
            TAG_MEMORY_SIZES => sizes = number32(body, 0).zip(number32(body, 4)),
            TAG_MEMORY_MAP => match read_memory_map(body, into) {
                Some(()) => {}
                None => into.faults.add(malformed("multiboot2 memory map", at)),
            },
            TAG_MODULE => match read_module(at, body, memory) {
                Some(module) => into.modules.push(module),
                None => into.faults.add(malformed("multiboot2 module", at)),
            },
            TAG_LOADER => into.loader.copy_from_bytes(body),
            TAG_FRAMEBUFFER => match read_framebuffer(body) {
                Ok(display) => into.display = Some(display),
                Err(unknown) => into.unknown_display = Some(unknown),
            },
            // The new RSDP wins over the old one, in whichever order they come.
            TAG_ACPI_NEW => into.rsdp = Some(copy_rsdp(body)),
            TAG_ACPI_OLD if into.rsdp.is_none() => into.rsdp = Some(copy_rsdp(body)),
            other if TAGS_UEFI.contains(&other) => into.firmware = Firmware::Uefi,
            _ => {}
        }
        let size = body.len() as u64 + TAG_HEADER_LENGTH;
        offset = offset.saturating_add(size).next_multiple_of(8);
    }
    if into.memory.regions().is_empty()
        && let Some((lower, upper)) = sizes
    {
        into.faults.add(BootInfoError::NoMemoryMap);
        for (start, kibibytes) in [(0, lower), (FIRST_MEBIBYTE, upper)] {
            into.memory.push(Region {
                start,
                end: start + (u64::from(kibibytes) << 10),
                kind: MemoryKind::Usable,
            });
        }
    }
    if into.memory.regions().is_empty() {
        return Err(BootInfoError::NoMemoryMap);
    }
    into.forgive_kexec();
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
    use super::super::info::BootFaults;
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
    fn kexec_puts_the_path_first_and_does_not_know_the_firmware() {
        let map = memory_map();
        let line = &b"/boot/rar-validate run=quick\0"[..];
        for (loader, words, firmware) in [
            (&b"kexec 2.0.25\0"[..], "run=quick", Firmware::Unknown),
            (
                b"GRUB 2.06\0",
                "/boot/rar-validate run=quick",
                Firmware::Bios,
            ),
        ] {
            let mut info = BootInfo::empty();
            let memory = information(&[(6, &map), (1, line), (2, loader), (0, &[])]);
            read_multiboot2(0x8000, &memory, &mut info).unwrap();
            assert_eq!(info.command_line.as_str(), words);
            assert_eq!(info.firmware, firmware);
        }
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
    fn what_can_be_read_of_a_malformed_list_is_read() {
        let map = memory_map();
        let read = |memory: &TestMemory| {
            let mut info = BootInfo::empty();
            read_multiboot2(0x8000, memory, &mut info).map(|()| info)
        };
        let open = read(&information(&[(6, &map)])).unwrap();
        assert_eq!((open.faults.count(), open.memory.regions().len()), (1, 1));
        // Sizes past the end, and of less than a header: what is behind them is found.
        let tags = [(6, &map[..]), (9, &[0; 8]), (1, b"late\0"), (0, &[])];
        for size in [0x1000_u32, 0, 7, u32::MAX] {
            let mut memory = information(&tags);
            memory.put(0x8000 + 8 + 40 + 4, &size.to_le_bytes());
            let info = read(&memory).unwrap();
            assert_eq!(
                (info.faults.count(), info.command_line.as_str()),
                (1, "late"),
                "{size}"
            );
            assert_eq!(info.memory.regions().len(), 1);
            assert_eq!(
                info.faults.to_string(),
                "boot information: multiboot2 tag at 0x8030 is malformed; what can be read is read"
            );
            // Without the last tag nothing says that tags begin there.
            memory.put(0x8000 + 8 + 40 + 16 + 16 + 4, &[9]);
            assert_eq!(read(&memory).unwrap().command_line.as_str(), "", "{size}");
            memory.put(0x800c, &size.to_le_bytes());
            assert_eq!(read(&memory).unwrap_err(), BootInfoError::NoMemoryMap);
        }
        // A total that cannot be: the last tag ends the list.
        for total in [7_u32, u32::MAX] {
            let mut memory = information(&tags);
            memory.put(0x8000, &total.to_le_bytes());
            let info = read(&memory).unwrap();
            assert_eq!(
                (info.faults.count(), info.command_line.as_str()),
                (1, "late"),
                "{total}"
            );
        }
    }

    #[test]
    fn sizes_of_memory_stand_in_for_a_map() {
        let sizes = [639_u32, 64 << 10].map(u32::to_le_bytes);
        let sizes = sizes.as_flattened();
        let bad_map = [8, 0, 0, 0, 0, 0, 0, 0];
        for (tags, faults) in [
            (&[(4, sizes), (0, &[])][..], 1),
            (&[(6, &bad_map), (4, sizes), (0, &[])], 2),
        ] {
            let mut info = BootInfo::empty();
            read_multiboot2(0x8000, &information(tags), &mut info).unwrap();
            let ends: Vec<_> = info.memory.regions().iter().map(|one| one.end).collect();
            assert_eq!(
                (ends, info.faults.count()),
                (vec![0x9_fc00, 0x410_0000], faults)
            );
        }
        // A map is better.
        let (map, mut info) = (memory_map(), BootInfo::empty());
        let both = information(&[(6, &map), (4, sizes), (0, &[])]);
        read_multiboot2(0x8000, &both, &mut info).unwrap();
        assert_eq!(
            (info.memory.regions().len(), info.faults),
            (1, BootFaults::NONE)
        );
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
    fn a_short_module_and_one_that_ends_before_its_start_are_passed_over() {
        let map = memory_map();
        let backwards = module_tag(0x30_0000, 0x20_0000, b"\0");
        let right = module_tag(0x20_0000, 0x30_0000, b"\0");
        for bad in [&backwards[..], &backwards[..7], &[]] {
            let memory = information(&[(6, &map), (3, bad), (3, &right), (0, &[])]);
            let mut info = BootInfo::empty();
            read_multiboot2(0x8000, &memory, &mut info).unwrap();
            assert_eq!((info.modules.all().len(), info.faults.count()), (1, 1));
            assert!(
                info.faults
                    .to_string()
                    .contains("multiboot2 module at 0x8030")
            );
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
