//! Physical memory through the identity map.

use super::int::word;
use super::paging;
use crate::{MemoryMap, PhysicalMemory};

/// The map that the boot code made: the first 4 GiB. Address 0 stays what it is for Rust: nowhere.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BootMap;

const BOOT_MAP_END: u64 = 1 << 32;

impl PhysicalMemory for BootMap {
    fn bytes(&self, address: u64, length: usize) -> Option<&[u8]> {
        address
            .checked_add(length as u64)
            .filter(|end| address != 0 && *end <= BOOT_MAP_END)?;
        // SAFETY: mapped, and read while the loader's information and the firmware's tables are not
        // written.
        Some(unsafe { slice(address, length) })
    }
}

/// The kernel's own map: whatever is asked for and not mapped yet is mapped, read-only.
#[derive(Clone, Copy, Debug)]
pub(crate) struct KernelMap;

impl PhysicalMemory for KernelMap {
    fn bytes(&self, address: u64, length: usize) -> Option<&[u8]> {
        paging::map_read_only(address, length as u64).ok()?;
        // SAFETY: mapped just now; tables of the firmware are not written.
        Some(unsafe { slice(address, length) })
    }
}

/// As [`KernelMap`], for addresses that only a table of the firmware vouches for: nothing is mapped
/// where the loader's map has nothing.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TableMap<'m>(pub(crate) &'m MemoryMap);

impl PhysicalMemory for TableMap<'_> {
    fn bytes(&self, address: u64, length: usize) -> Option<&[u8]> {
        let Self(map) = self;
        let there = map.may_have_tables(address, length as u64);
        there.then(|| KernelMap.bytes(address, length)).flatten()
    }
}

/// # Safety
///
/// The range is mapped one to one and nothing writes to it while the slice lives.
unsafe fn slice<'a>(address: u64, length: usize) -> &'a [u8] {
    let start: *const u8 = core::ptr::with_exposed_provenance(word(address));
    // SAFETY: as the caller promises.
    unsafe { core::slice::from_raw_parts(start, length) }
}
