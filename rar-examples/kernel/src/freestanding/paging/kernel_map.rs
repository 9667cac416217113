//! The tree of tables, and what the kernel maps in it.

use core::sync::atomic::{AtomicU64, Ordering, fence};

use super::MapError;
use super::entry::{self, Cache, LARGE, Offered, PRESENT, Permission, USER};
use crate::MemoryMap;
use crate::freestanding::address::word;
use crate::freestanding::boot::Limits;
use crate::freestanding::frames::{self, PAGE};
use crate::freestanding::{Once, SpinLock};

const LARGE_PAGE: u64 = 1 << 21;
/// One entry of the top table spans this much.
const TOP_SPAN: u64 = 1 << 39;
const FIRST_MEBIBYTE: u64 = 1 << 20;
/// Stacks of CPUs, 4 KiB pages with holes between; in a top entry of its own.
const STACKS: u64 = 0xFFFF_8000_0030_0000;
/// Stacks lie in the last quarter of each row of pages. QEMU keeps translations in a direct-mapped table, with a place for each page of a
/// row or more, and there no page under test has the place of one of a stack.
const STACK_ROW: u64 = 1024 * PAGE;

/// The size of the page that an entry maps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PageSize {
    /// 4 KiB.
    Size4K,
    /// 2 MiB.
    Size2M,
}

/// The screen, in a top entry of its own: it may lie beyond what the identity map reaches.
const SCREEN: u64 = 0xFFFF_8080_0000_0000;

type Table = [AtomicU64; 512];

/// The four-level page tables of one space.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AddressSpace {
    root: u64,
}

/// A last-level table: 512 entries of 4 KiB pages.
#[derive(Debug, PartialEq, Eq)]
pub struct PageTable {
    frame: u64,
}

impl PageTable {
    /// Makes a table in which nothing is present.
    ///
    /// # Errors
    ///
    /// [`MapError::OutOfFrames`].
    pub fn new() -> Result<Self, MapError> {
        Ok(Self {
            frame: new_table()?,
        })
    }

    /// Returns the table's entry for an address.
    #[must_use]
    pub fn entry(&self, address: u64) -> &'static AtomicU64 {
        // SAFETY: a table from `new`, or found by a present entry.
        entry(unsafe { table(self.frame) }, address, 1)
    }

    /// Returns the directory entry that leads to this table.
    #[must_use]
    pub fn directory_entry(&self) -> u64 {
        entry::table(self.frame)
    }
}

pub(crate) struct KernelSpace {
    space: AddressSpace,
    offered: Offered,
    next_stack: SpinLock<u64>,
    change: SpinLock<()>,
}

impl KernelSpace {
    pub(super) fn offered(&self) -> Offered {
        self.offered
    }

    /// Returns the space that CPUs start in.
    pub(crate) fn space(&self) -> AddressSpace {
        self.space
    }
}

/// The space that CPUs start in, and that all others share but for what is under test.
pub(crate) static KERNEL: Once<KernelSpace> = Once::new();

/// Returns the table in a frame.
///
/// # Safety
///
/// The frame holds a page table of this kernel, below 4 GiB.
unsafe fn table(frame: u64) -> &'static Table {
    let table: *const Table = core::ptr::with_exposed_provenance(word(frame));
    // SAFETY: page tables are never freed, lie in the identity map and are only accessed as atomics.
    unsafe { &*table }
}

fn new_table() -> Result<u64, MapError> {
    frames::take(1, PAGE).ok_or(MapError::OutOfFrames)
}

/// The entry of `address` in the table of `level`, 4 for the top and 1 for 4 KiB leaves.
fn entry(table: &'static Table, address: u64, level: u32) -> &'static AtomicU64 {
    let index = word(address >> (12 + 9 * (level - 1)) & 0x1FF);
    #[expect(clippy::indexing_slicing, reason = "nine bits index 512 entries")]
    &table[index]
}

impl AddressSpace {
    /// Makes a space with empty tables.
    fn empty() -> Result<Self, MapError> {
        Ok(Self { root: new_table()? })
    }

    /// Makes a space that shares everything with the kernel's space.
    ///
    /// The sharing is by entries of the top table, so what is mapped later under a top entry that the kernel's space has
    /// today is shared too.
    ///
    /// # Errors
    ///
    /// Fails without free memory, or before the kernel's space exists.
    pub fn sharing_kernel() -> Result<Self, MapError> {
        let kernel = KERNEL.get().ok_or(MapError::TooEarly)?;
        let space = Self::empty()?;
        // SAFETY: both are top tables made by `empty`.
        let (from, to) = (unsafe { table(kernel.space.root) }, unsafe {
            table(space.root)
        });
        for (to, from) in to.iter().zip(from) {
            to.store(from.load(Ordering::Relaxed), Ordering::Relaxed);
        }
        Ok(space)
    }

    /// Returns the physical address of the top table, which is the value of CR3 with PCID 0.
    #[must_use]
    pub fn root(self) -> u64 {
        self.root
    }

    /// Loads CR3 of this CPU with the space, by PCID 0.
    pub fn enter(self) {
        // SAFETY: ring 0; every space shares with the kernel's all that is in use.
        unsafe { x86::controlregs::cr3_write(self.root) };
    }

    /// Returns the entry that maps the page of this size at `address`, making tables on the way. The entry itself is not changed.
    ///
    /// # Errors
    ///
    /// [`MapError::OutOfFrames`], or [`MapError::LargePage`] when the way ends early.
    pub fn entry(self, address: u64, size: PageSize) -> Result<&'static AtomicU64, MapError> {
        let last = match size {
            PageSize::Size4K => 1,
            PageSize::Size2M => 2,
        };
        // SAFETY: the top table of a space.
        let mut at = unsafe { table(self.root) };
        for level in (last + 1..=4).rev() {
            let place = entry(at, address, level);
            let mut value = place.load(Ordering::Acquire);
            if value & PRESENT == 0 {
                value = entry::table(new_table()?);
                // The cleared table comes before the entry that leads to it.
                place.store(value, Ordering::Release);
            }
            if value & LARGE != 0 {
                return Err(MapError::LargePage { address });
            }
            // SAFETY: a present entry above the leaves leads to a table made here.
            at = unsafe { table(entry::frame(value)) };
        }
        Ok(entry(at, address, last))
    }

    /// Returns the last table on the way to a 4 KiB page, and the entry that leads to it: a store to that swaps the table.
    ///
    /// # Errors
    ///
    /// As [`entry`](Self::entry).
    pub fn last_table(self, address: u64) -> Result<(PageTable, &'static AtomicU64), MapError> {
        self.entry(address, PageSize::Size4K)?;
        let directory = self.entry(address, PageSize::Size2M)?;
        let frame = entry::frame(directory.load(Ordering::Acquire));
        Ok((PageTable { frame }, directory))
    }

    /// Maps whole pages one to one: 2 MiB where both ends allow, else 4 KiB. What is mapped already stays.
    fn identity(self, start: u64, end: u64, bits: u64) -> Result<(), MapError> {
        let mut at = start;
        while at < end {
            let large = at.is_multiple_of(LARGE_PAGE) && at + LARGE_PAGE <= end && at >= LARGE_PAGE;
            if large {
                let place = self.entry(at, PageSize::Size2M)?;
                if place.load(Ordering::Relaxed) & PRESENT == 0 {
                    place.store(at | bits | LARGE, Ordering::Release);
                    at += LARGE_PAGE;
                    continue;
                }
            }
            match self.entry(at, PageSize::Size4K) {
                Ok(place) if place.load(Ordering::Relaxed) & PRESENT == 0 => {
                    place.store(at | bits, Ordering::Release)
                }
                Ok(_) | Err(MapError::LargePage { .. }) => {}
                Err(error) => return Err(error),
            }
            at += PAGE;
        }
        Ok(())
    }
}

/// Builds the kernel's space: its image by permission, then all RAM of the map below 512 GiB, but neither page 0 nor the
/// page below the boot stack.
pub(crate) fn build(map: &MemoryMap, no_execute: bool, global: bool) -> Result<(), MapError> {
    let space = AddressSpace::empty()?;
    let offered = Offered { no_execute, global };
    let plain = |permission| offered.leaf(0, permission, Cache::WriteBack);
    let limits = Limits::get();
    for (start, end, permission) in [
        (limits.text, limits.rodata, Permission::Execute),
        (limits.rodata, limits.data, Permission::Read),
        (limits.data, limits.stack_guard, Permission::Write),
        (limits.stack_bottom, limits.end, Permission::Write),
    ] {
        for page in (start..end).step_by(word(PAGE)) {
            space
                .entry(page, PageSize::Size4K)?
                .store(page | plain(permission), Ordering::Relaxed);
        }
    }
    let (image_start, image_end) = Limits::image();
    for &(start, end) in map.ram().ranges() {
        let (start, end) = (start.max(PAGE), end.min(TOP_SPAN));
        for (start, end) in [(start, end.min(image_start)), (start.max(image_end), end)] {
            // The fixed memory types of the first mebibyte do not suit large pages.
            space.identity(start, end.min(FIRST_MEBIBYTE), plain(Permission::Write))?;
            space.identity(start.max(FIRST_MEBIBYTE), end, plain(Permission::Write))?;
        }
    }
    // Tables for the stacks and the screen now, so that spaces made later share them.
    space.entry(STACKS, PageSize::Size4K)?;
    space.entry(SCREEN, PageSize::Size4K)?;
    let kernel = KernelSpace {
        space,
        offered,
        next_stack: SpinLock::new(STACKS),
        change: SpinLock::new(()),
    };
    let _first = KERNEL.set(kernel);
    Ok(())
}

/// Loads CR3 of this CPU with the kernel's own space.
pub fn enter_kernel_space() {
    if let Some(kernel) = KERNEL.get() {
        kernel.space.enter();
    }
}

fn map_identity(
    address: u64,
    length: u64,
    permission: Permission,
    cache: Cache,
) -> Result<(), MapError> {
    let out_of_reach = MapError::OutOfReach { address };
    let kernel = KERNEL.get().ok_or(MapError::TooEarly)?;
    let end = address
        .checked_add(length)
        .filter(|end| *end <= TOP_SPAN)
        .ok_or(out_of_reach)?;
    let start = address - address % PAGE;
    if start == 0 {
        return Err(out_of_reach);
    }
    let bits = kernel.offered.leaf(0, permission, cache);
    let _change = kernel.change.lock();
    // Only entries that were not present change, and those are never cached: nothing to flush.
    for page in (start..end).step_by(word(PAGE)) {
        kernel.space.identity(page, page + PAGE, bits)?;
    }
    fence(Ordering::SeqCst);
    Ok(())
}

/// Maps the registers of a device one to one, uncached.
pub(crate) fn map_device(address: u64, length: u64) -> Result<(), MapError> {
    map_identity(address, length, Permission::Write, Cache::Uncached)
}

/// Maps the memory of the screen, wherever it lies, for stores that may be combined; returns the address of its first byte. Called once.
pub(crate) fn map_screen(address: u64, length: u64) -> Result<u64, MapError> {
    let out_of_reach = MapError::OutOfReach { address };
    let kernel = KERNEL.get().ok_or(MapError::TooEarly)?;
    let first = address - address % PAGE;
    let end = address
        .checked_add(length)
        .filter(|end| *end <= entry::END && *end - first <= TOP_SPAN)
        .ok_or(out_of_reach)?;
    let _change = kernel.change.lock();
    for frame in (first..end).step_by(word(PAGE)) {
        let bits = kernel
            .offered
            .leaf(frame, Permission::Write, Cache::Combining);
        kernel
            .space
            .entry(SCREEN + (frame - first), PageSize::Size4K)?
            .store(bits, Ordering::Release);
    }
    fence(Ordering::SeqCst);
    Ok(SCREEN + address % PAGE)
}

/// Maps tables of the firmware one to one, read-only.
pub(crate) fn map_read_only(address: u64, length: u64) -> Result<(), MapError> {
    map_identity(address, length, Permission::Read, Cache::WriteBack)
}

/// Returns the entry of a 4 KiB page of the kernel's own, for all spaces, making tables on the way.
pub(crate) fn kernel_entry(address: u64) -> Result<&'static AtomicU64, MapError> {
    let kernel = KERNEL.get().ok_or(MapError::TooEarly)?;
    let _change = kernel.change.lock();
    kernel.space.entry(address, PageSize::Size4K)
}

/// Maps a second address of a frame, for loads and stores.
pub(crate) fn map_alias(address: u64, frame: u64) -> Result<(), MapError> {
    let kernel = KERNEL.get().ok_or(MapError::TooEarly)?;
    kernel_entry(address)?.store(
        kernel
            .offered
            .leaf(frame, Permission::Write, Cache::WriteBack),
        Ordering::Release,
    );
    fence(Ordering::SeqCst);
    Ok(())
}

/// Maps a page of user mode to a frame, for all spaces made later.
pub(crate) fn map_user(address: u64, frame: u64, permission: Permission) -> Result<(), MapError> {
    let kernel = KERNEL.get().ok_or(MapError::TooEarly)?;
    let bits = kernel.offered.leaf(frame, permission, Cache::WriteBack);
    kernel_entry(address)?.store(bits | USER, Ordering::Release);
    fence(Ordering::SeqCst);
    Ok(())
}

/// Makes the page where CPUs start executable. It is RAM below 1 MiB, so it has a 4 KiB entry; no CPU fetched from it yet.
pub(crate) fn map_trampoline(page: u64) -> Result<(), MapError> {
    let kernel = KERNEL.get().ok_or(MapError::TooEarly)?;
    let _change = kernel.change.lock();
    let bits = kernel
        .offered
        .leaf(page, Permission::WriteExecute, Cache::WriteBack);
    kernel
        .space
        .entry(page, PageSize::Size4K)?
        .store(bits, Ordering::Release);
    // SAFETY: ring 0; drops one translation.
    unsafe { x86::tlb::flush(word(page)) };
    Ok(())
}

/// Maps a stack of `pages` 4 KiB pages with an unmapped page below it; returns its top.
pub(crate) fn map_stack(pages: u64) -> Result<u64, MapError> {
    let kernel = KERNEL.get().ok_or(MapError::TooEarly)?;
    let mut next = kernel.next_stack.lock();
    let row = *next - *next % STACK_ROW;
    if *next + (1 + pages) * PAGE > row + STACK_ROW {
        *next = row + STACK_ROW + STACKS % STACK_ROW;
    }
    let bottom = *next + PAGE;
    let top = bottom + pages * PAGE;
    for page in (bottom..top).step_by(word(PAGE)) {
        let frame = new_table()?;
        let bits = kernel
            .offered
            .leaf(frame, Permission::Write, Cache::WriteBack);
        kernel
            .space
            .entry(page, PageSize::Size4K)?
            .store(bits, Ordering::Release);
    }
    *next = top;
    fence(Ordering::SeqCst);
    Ok(top)
}
