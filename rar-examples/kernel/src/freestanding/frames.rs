//! Free physical memory below 4 GiB, handed out and never taken back.

use super::image::Image;
use super::int::word;
use super::spin::SpinLock;
use crate::{FreeRanges, MemoryMap, Module, Modules};

/// Bytes of a page and of a frame.
pub const PAGE: u64 = 4096;
/// Trampolines and page tables must lie below; it is also the end of the map that the boot code
/// makes.
const LIMIT: u64 = 1 << 32;
const FIRST_MEBIBYTE: u64 = 1 << 20;
/// Firmware is known to write below, whatever its memory map says.
pub(crate) const WRITTEN_BY_FIRMWARE: u64 = 64 << 10;

static FREE: SpinLock<FreeRanges> = SpinLock::new(FreeRanges::empty());
/// Above [`floor`].
static TAKEN: SpinLock<FreeRanges> = SpinLock::new(FreeRanges::empty());

/// Takes over the free memory of the map, except the kernel itself, page 0, and the modules.
pub(crate) fn start(map: &MemoryMap, modules: &Modules) {
    let mut free = map.free(&[(0, PAGE), Image::range()]);
    for (start, end) in modules.all().iter().flat_map(Module::ranges) {
        free.cut(start, end);
    }
    *FREE.lock() = free;
}

/// Where the kernel's image begins: all that [`take`] hands out lies above. In a kernel at 2 MiB,
/// page tables then have other low page numbers than the pages under test.
fn floor() -> u64 {
    Image::get().text
}

/// Ends the allocator; returns the memory that the kernel keeps: its image, and all that was ever
/// taken. The rest belongs to the caller, except what the modules hold.
///
/// Returns `None` if the list has become too long.
#[must_use]
pub fn close() -> Option<FreeRanges> {
    *FREE.lock() = FreeRanges::empty();
    let mut kept = TAKEN.lock().clone();
    let (start, end) = Image::range();
    kept.add(start, end);
    (kept.dropped() == 0).then_some(kept)
}

/// Takes a page below 1 MiB, where a starting CPU can run: the lowest from 64 KiB on, else
/// the lowest of all.
pub(crate) fn take_low_page() -> Option<u64> {
    let mut free = FREE.lock();
    [WRITTEN_BY_FIRMWARE, PAGE]
        .into_iter()
        .find_map(|floor| free.take(1, PAGE, floor, FIRST_MEBIBYTE))
}

/// Takes `pages` zeroed frames in a row, aligned to `alignment` bytes, above the kernel and below
/// 4 GiB; returns the physical address.
///
/// Returns `None` when memory is exhausted.
#[must_use]
pub fn take(pages: u64, alignment: u64) -> Option<u64> {
    let start = FREE.lock().take(pages, alignment, floor(), LIMIT)?;
    own(start, pages);
    Some(start)
}

/// Notes frames that were just taken, and zeroes them.
fn own(start: u64, pages: u64) {
    TAKEN.lock().add(start, start + pages * PAGE);
    // SAFETY: the range is free RAM that was just taken, mapped one to one and writable.
    unsafe {
        core::ptr::write_bytes(
            core::ptr::with_exposed_provenance_mut::<u8>(word(start)),
            0,
            word(pages * PAGE),
        )
    };
}

/// Returns how many bytes [`take`] still has, in however many pieces.
pub(crate) fn left() -> u64 {
    let free = FREE.lock();
    let pieces = free
        .ranges()
        .iter()
        .map(|(start, end)| end.min(&LIMIT).saturating_sub(*start.max(&floor())));
    pieces.sum()
}

/// Where a value is put.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Anywhere.
    Any,
    /// In the upper half of a row of 1,024 pages, if there is room: the pages under test have the
    /// places of the lower half in QEMU's direct-mapped table of translations, and what a test uses
    /// all the time would evict them.
    Aside,
}

/// Puts a value where it stays; `None` when memory is exhausted.
#[must_use]
pub fn alloc_static<T: 'static>(value: T) -> Option<&'static T> {
    alloc_static_in(Place::Any, value)
}

/// As [`alloc_static`], in a certain place.
#[must_use]
pub fn alloc_static_in<T: 'static>(place: Place, value: T) -> Option<&'static T> {
    let memory: *mut T = room(place, 1)?;
    // SAFETY: room for one value, without another user.
    unsafe { memory.write(value) };
    // SAFETY: written just now, and never given back.
    Some(unsafe { &*memory })
}

/// Puts `count` values in a row where they stay; `None` when memory is exhausted.
#[must_use]
pub fn alloc_static_each<T: 'static>(
    count: usize,
    make: impl FnMut() -> T,
) -> Option<&'static [T]> {
    alloc_static_each_in(Place::Any, count, make)
}

/// As [`alloc_static_each`], in a certain place.
#[must_use]
pub fn alloc_static_each_in<T: 'static>(
    place: Place,
    count: usize,
    mut make: impl FnMut() -> T,
) -> Option<&'static [T]> {
    let memory: *mut T = room(place, count)?;
    for number in 0..count {
        // SAFETY: room for `count` values, without another user.
        unsafe { memory.wrapping_add(number).write(make()) };
    }
    // SAFETY: all written just now, and never given back.
    Some(unsafe { core::slice::from_raw_parts(memory, count) })
}

fn room<T>(place: Place, count: usize) -> Option<*mut T> {
    const { assert!(align_of::<T>() as u64 <= PAGE) };
    let bytes = size_of::<T>().checked_mul(count)? as u64;
    let pages = bytes.div_ceil(PAGE).max(1);
    let start = match place {
        Place::Any => take(pages, PAGE),
        Place::Aside => take_aside(pages).or_else(|| take(pages, PAGE)),
    }?;
    Some(core::ptr::with_exposed_provenance_mut(word(start)))
}

fn take_aside(pages: u64) -> Option<u64> {
    const ROW: u64 = 1024 * PAGE;
    let mut rows = (floor() / ROW * ROW..LIMIT).step_by(word(ROW));
    let start = {
        let mut free = FREE.lock();
        rows.find_map(|row| free.take(pages, PAGE, row + ROW / 2, row + ROW))?
    };
    own(start, pages);
    Some(start)
}
