//! The start information of the PVH boot protocol (Xen public header `arch-x86/hvm/start_info.h`,
//! as used by QEMU).

use super::info::{BootInfo, BootInfoError, Rsdp};
use super::modules::{Module, text_at};
use crate::little_endian::{number, number32};
use crate::{MemoryKind, PhysicalMemory, Region};

/// The number at the start of the PVH start information.
pub const PVH_MAGIC: u32 = 0x336e_c578;

/// Version 1 of the structure, the first with a memory map, is 56 bytes long.
const START_INFO_LENGTH: usize = 56;
const MEMORY_MAP_ENTRY_LENGTH: usize = 24;
const MODULE_LENGTH: usize = 32;
const MAXIMUM_ENTRIES: u32 = 1024;

/// Reads the PVH start information at `address`.
///
/// # Errors
///
/// Fails when the structure cannot be read, has no memory map, or says more than 1,024 entries.
pub fn read_pvh(
    address: u64,
    memory: &impl PhysicalMemory,
    into: &mut BootInfo,
) -> Result<(), BootInfoError> {
    let malformed = |what, address| BootInfoError::Malformed { what, address };
    let info = memory
        .bytes(address, START_INFO_LENGTH)
        .ok_or(malformed("PVH start information", address))?;
    let field = |offset, width| number(info, offset, width).ok_or(malformed("PVH field", address));

    if field(0, 4)? != u64::from(PVH_MAGIC) {
        return Err(malformed("PVH magic", address));
    }
    let version = field(4, 4)?;
    let command_line = field(24, 8)?;
    let rsdp = field(32, 8)?;
    if command_line != 0 {
        into.command_line.copy_from(command_line, memory);
    }
    into.rsdp = (rsdp != 0).then_some(Rsdp::At(rsdp));
    let modules = u32::try_from(field(12, 4)?).unwrap_or(u32::MAX);
    read_modules(modules, field(16, 8)?, memory, into)?;
    if version == 0 {
        return Err(BootInfoError::NoMemoryMap);
    }

    let map = field(40, 8)?;
    let entries = u32::try_from(field(48, 4)?).unwrap_or(u32::MAX);
    if map == 0 || entries == 0 {
        return Err(BootInfoError::NoMemoryMap);
    }
    if entries > MAXIMUM_ENTRIES {
        return Err(malformed("PVH memory map", map));
    }
    for entry in 0..u64::from(entries) {
        let at = map.saturating_add(entry * MEMORY_MAP_ENTRY_LENGTH as u64);
        let bytes = memory
            .bytes(at, MEMORY_MAP_ENTRY_LENGTH)
            .ok_or(malformed("PVH memory map entry", at))?;
        if let (Some(start), Some(length), Some(kind)) = (
            number(bytes, 0, 8),
            number(bytes, 8, 8),
            number32(bytes, 16),
        ) {
            into.memory.push(Region {
                start,
                end: start.saturating_add(length),
                kind: MemoryKind::from_e820(kind),
            });
        }
    }
    Ok(())
}

fn read_modules(
    count: u32,
    list: u64,
    memory: &impl PhysicalMemory,
    into: &mut BootInfo,
) -> Result<(), BootInfoError> {
    let malformed = |what, address| BootInfoError::Malformed { what, address };
    if count > MAXIMUM_ENTRIES {
        return Err(malformed("PVH module list", list));
    }
    for module in 0..u64::from(count) {
        let at = list.saturating_add(module * MODULE_LENGTH as u64);
        let read = memory.bytes(at, MODULE_LENGTH).and_then(|bytes| {
            let start = number(bytes, 0, 8)?;
            Some(Module {
                start,
                end: start.checked_add(number(bytes, 8, 8)?)?,
                text: text_at(number(bytes, 16, 8)?, memory),
            })
        });
        into.modules
            .push(read.ok_or(malformed("PVH module list entry", at))?);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_memory::TestMemory;

    fn start_info() -> TestMemory {
        let mut memory = TestMemory::new(0x1000, 0x1000);
        memory.put(0x1000, &PVH_MAGIC.to_le_bytes());
        memory.put(0x1004, &1_u32.to_le_bytes());
        memory.put(0x1018, &0x1800_u64.to_le_bytes());
        memory.put(0x1020, &0xf_5000_u64.to_le_bytes());
        memory.put(0x1028, &0x1400_u64.to_le_bytes());
        memory.put(0x1030, &2_u32.to_le_bytes());
        for (at, start, length, kind) in [
            (0x1400_u64, 0_u64, 0x9_fc00_u64, 1_u32),
            (0x1418, 0x10_0000, 0x1ff0_0000, 1),
        ] {
            memory.put(at, &start.to_le_bytes());
            memory.put(at + 8, &length.to_le_bytes());
            memory.put(at + 16, &kind.to_le_bytes());
        }
        memory.put(0x1800, b"test=one-page\0");
        memory
    }

    #[test]
    fn reads_all_fields() {
        let mut info = BootInfo::empty();
        read_pvh(0x1000, &start_info(), &mut info).unwrap();
        assert_eq!(info.command_line.as_str(), "test=one-page");
        assert_eq!(info.rsdp, Some(Rsdp::At(0xf_5000)));
        assert_eq!(info.memory.regions().len(), 2);
        assert_eq!(info.memory.regions()[1].end, 0x2000_0000);
    }

    #[test]
    fn modules_come_in_their_order_with_their_command_lines() {
        let mut memory = start_info();
        memory.put(0x100c, &2_u32.to_le_bytes());
        memory.put(0x1010, &0x1500_u64.to_le_bytes());
        for (at, start, length, text) in [
            (0x1500_u64, 0x20_0000_u64, 0x1234_u64, 0x1900_u64),
            (0x1520, 0x30_0000, 0, 0),
        ] {
            memory.put(at, &start.to_le_bytes());
            memory.put(at + 8, &length.to_le_bytes());
            memory.put(at + 16, &text.to_le_bytes());
        }
        memory.put(0x1900, b"pack\0");
        let mut info = BootInfo::empty();
        read_pvh(0x1000, &memory, &mut info).unwrap();
        let [first, second] = info.modules.all() else {
            panic!("{:?}", info.modules)
        };
        assert_eq!((first.start, first.end), (0x20_0000, 0x20_1234));
        assert_eq!(first.command_line(&memory), "pack");
        assert_eq!((second.start, second.end), (0x30_0000, 0x30_0000));
        assert_eq!(second.command_line(&memory), "");
    }

    #[test]
    fn refuses_a_wild_module_list() {
        for (count, list, length) in [
            (2000_u32, 0x1500_u64, 0_u64),
            (1, 0x9000, 0),
            (u32::MAX, 0x1500, 0),
            (1, 0x1500, u64::MAX),
        ] {
            let mut memory = start_info();
            memory.put(0x100c, &count.to_le_bytes());
            memory.put(0x1010, &list.to_le_bytes());
            memory.put(0x1500, &0x20_0000_u64.to_le_bytes());
            memory.put(0x1508, &length.to_le_bytes());
            assert!(matches!(
                read_pvh(0x1000, &memory, &mut BootInfo::empty()),
                Err(BootInfoError::Malformed { .. })
            ));
        }
    }

    #[test]
    fn refuses_a_wrong_magic_and_a_wild_map() {
        let mut memory = start_info();
        memory.put(0x1030, &2000_u32.to_le_bytes());
        let mut info = BootInfo::empty();
        assert!(matches!(
            read_pvh(0x1000, &memory, &mut info),
            Err(BootInfoError::Malformed { .. })
        ));
        memory.put(0x1030, &2_u32.to_le_bytes());
        memory.put(0x1028, &0x1ff0_u64.to_le_bytes());
        assert!(matches!(
            read_pvh(0x1000, &memory, &mut info),
            Err(BootInfoError::Malformed { .. })
        ));
        memory.put(0x1000, &[0]);
        assert!(read_pvh(0x1000, &memory, &mut info).is_err());
    }
}
