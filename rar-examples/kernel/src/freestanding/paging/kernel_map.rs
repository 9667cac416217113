//! The kernel's own space, and what it maps there.

use core::sync::atomic::{AtomicU64, Ordering, fence};

use super::address_space::{AddressSpace, PageSize};
use super::entry::{self, Cache, LARGE, Offered, PageScope, Permission, USER};
use super::map_error::MapError;
use crate::MemoryMap;
use crate::freestanding::frames::{self, PAGE};
use crate::freestanding::image::Image;
use crate::freestanding::int::word;
use crate::freestanding::once::Once;
use crate::freestanding::spin::SpinLock;

/// One entry of the top table spans this much.
const TOP_SPAN: u64 = 1 << 39;
const FIRST_MEBIBYTE: u64 = 1 << 20;
/// Stacks of CPUs, 4 KiB pages with holes between; in a top entry of its own.
const STACKS: u64 = 0xffff_8000_0030_0000;
/// Stacks lie in the last quarter of each row of pages. QEMU keeps translations in a direct-mapped
/// table, with a place for each page of a row or more, and there no page under test has the place
/// of one of a stack.
const STACK_ROW: u64 = 1024 * PAGE;

/// The screen, in a top entry of its own: it may lie beyond what the identity map reaches.
const SCREEN: u64 = 0xffff_8080_0000_0000;

pub(crate) struct KernelSpace {
    space: AddressSpace,
    offered: Offered,
    next_stack: SpinLock<u64>,
    change: SpinLock<()>,
}

impl KernelSpace {
    /// Returns the space that CPUs start in.
    pub(crate) fn space(&self) -> AddressSpace {
        self.space
    }
}

/// The space that CPUs start in, and that all others share, except what is under test.
pub(crate) static KERNEL: Once<KernelSpace> = Once::new();

impl AddressSpace {
    /// Makes a space that shares everything with the kernel's space.
    ///
    /// The sharing is by entries of the top table, so what is mapped later under a top entry that
    /// the kernel's space has today is shared too.
    ///
    /// # Errors
    ///
    /// Fails without free memory, or before the kernel's space exists.
    pub fn sharing_kernel() -> Result<Self, MapError> {
        let kernel = KERNEL.get().ok_or(MapError::TooEarly)?;
        kernel.space.shared()
    }
}

/// Builds the kernel's space: its image by permission, then all RAM of the map below 512 GiB, but
/// neither page 0 nor the page below the boot stack.
pub(crate) fn build(map: &MemoryMap, no_execute: bool, global: bool) -> Result<(), MapError> {
    let space = AddressSpace::empty()?;
    let offered = Offered { no_execute, global };
    let plain = |permission| offered.leaf(0, permission, Cache::WriteBack);
    let image = Image::get();
    for (start, end, permission) in [
        (image.text, image.rodata, Permission::Execute),
        (image.rodata, image.data, Permission::Read),
        (image.data, image.stack_guard, Permission::Write),
        (image.stack_bottom, image.end, Permission::Write),
    ] {
        for page in (start..end).step_by(word(PAGE)) {
            space
                .entry(page, PageSize::Size4K)?
                .store(page | plain(permission), Ordering::Relaxed);
        }
    }
    let (image_start, image_end) = Image::range();
    for &(start, end) in map.ram().ranges() {
        let (start, end) = (start.max(PAGE), end.min(TOP_SPAN));
        for (start, end) in [(start, end.min(image_start)), (start.max(image_end), end)] {
            // The fixed memory types of the first mebibyte do not suit large pages.
            space.map_identity(start, end.min(FIRST_MEBIBYTE), plain(Permission::Write))?;
            space.map_identity(start.max(FIRST_MEBIBYTE), end, plain(Permission::Write))?;
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

/// Returns the entry that maps a page of RAM: not executable where the machine has that.
#[must_use]
pub fn leaf(frame: u64, permission: Permission, scope: PageScope, size: PageSize) -> u64 {
    let no_execute = KERNEL.get().is_some_and(|kernel| kernel.offered.no_execute);
    let global = scope == PageScope::Global;
    let bits = Offered { no_execute, global }.leaf(frame, permission, Cache::WriteBack);
    match size {
        PageSize::Size4K => bits,
        PageSize::Size2M => bits | LARGE,
    }
}

/// Returns the physical address of the top table of the kernel's own space.
#[must_use]
pub fn kernel_root() -> Option<u64> {
    KERNEL.get().map(|kernel| kernel.space.root())
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
        kernel.space.map_identity(page, page + PAGE, bits)?;
    }
    fence(Ordering::SeqCst);
    Ok(())
}

/// Maps the registers of a device one to one, uncached.
///
/// # Errors
///
/// [`MapError`]: the range is out of reach, or no frame is left for a table.
pub fn map_device(address: u64, length: u64) -> Result<(), MapError> {
    map_identity(address, length, Permission::Write, Cache::Uncached)
}

/// Maps the memory of the screen, wherever it lies, for stores that may be combined; returns the
/// address of its first byte. Called once.
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
///
/// # Errors
///
/// As [`AddressSpace::entry`], and [`MapError::TooEarly`].
pub fn kernel_entry(address: u64) -> Result<&'static AtomicU64, MapError> {
    let kernel = KERNEL.get().ok_or(MapError::TooEarly)?;
    let _change = kernel.change.lock();
    kernel.space.entry(address, PageSize::Size4K)
}

/// Maps a second address of a frame, for loads and stores.
///
/// # Errors
///
/// As [`kernel_entry`].
pub fn map_alias(address: u64, frame: u64) -> Result<(), MapError> {
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
///
/// # Errors
///
/// As [`kernel_entry`].
pub fn map_user(address: u64, frame: u64, permission: Permission) -> Result<(), MapError> {
    let kernel = KERNEL.get().ok_or(MapError::TooEarly)?;
    let bits = kernel.offered.leaf(frame, permission, Cache::WriteBack);
    kernel_entry(address)?.store(bits | USER, Ordering::Release);
    fence(Ordering::SeqCst);
    Ok(())
}

/// Makes the page where CPUs start executable. It is RAM below 1 MiB, so it has a 4 KiB entry; no
/// CPU fetched from it yet.
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
///
/// # Errors
///
/// [`MapError::OutOfFrames`] and [`MapError::TooEarly`].
pub fn map_stack(pages: u64) -> Result<u64, MapError> {
    let kernel = KERNEL.get().ok_or(MapError::TooEarly)?;
    let mut next = kernel.next_stack.lock();
    let row = *next - *next % STACK_ROW;
    if *next + (1 + pages) * PAGE > row + STACK_ROW {
        *next = row + STACK_ROW + STACKS % STACK_ROW;
    }
    let bottom = *next + PAGE;
    let top = bottom + pages * PAGE;
    for page in (bottom..top).step_by(word(PAGE)) {
        let frame = frames::take(1, PAGE).ok_or(MapError::OutOfFrames)?;
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
