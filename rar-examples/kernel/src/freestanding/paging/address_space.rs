//! The tree of tables of one space.

use core::sync::atomic::{AtomicU64, Ordering};

use super::entry::{self, LARGE, PRESENT};
use super::map_error::MapError;
use crate::freestanding::frames::{self, PAGE};
use crate::freestanding::int::word;

const LARGE_PAGE: u64 = 1 << 21;

/// The size of the page that an entry maps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PageSize {
    /// 4 KiB.
    Size4K,
    /// 2 MiB.
    Size2M,
}

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

/// Returns the table in a frame.
///
/// # Safety
///
/// The frame holds a page table of this kernel, below 4 GiB.
unsafe fn table(frame: u64) -> &'static Table {
    let table: *const Table = core::ptr::with_exposed_provenance(word(frame));
    // SAFETY: page tables are never freed, lie in the identity map and are only accessed as
    // atomics.
    unsafe { &*table }
}

fn new_table() -> Result<u64, MapError> {
    frames::take(1, PAGE).ok_or(MapError::OutOfFrames)
}

/// The entry of `address` in the table of `level`, 4 for the top and 1 for 4 KiB leaves.
fn entry(table: &'static Table, address: u64, level: u32) -> &'static AtomicU64 {
    let index = word(address >> (12 + 9 * (level - 1)) & 0x1ff);
    #[expect(clippy::indexing_slicing, reason = "nine bits index 512 entries")]
    &table[index]
}

impl AddressSpace {
    /// Makes a space with empty tables.
    pub(super) fn empty() -> Result<Self, MapError> {
        Ok(Self { root: new_table()? })
    }

    /// Makes a space whose top table has the same entries.
    pub(super) fn shared(self) -> Result<Self, MapError> {
        let space = Self::empty()?;
        // SAFETY: both are top tables made by `empty`.
        let (from, to) = (unsafe { table(self.root) }, unsafe { table(space.root) });
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

    /// Returns the entry that maps the page of this size at `address`, making tables on the way.
    /// The entry itself is not changed.
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

    /// Returns the last table on the way to a 4 KiB page, and the entry that leads to it: a store
    /// to that swaps the table.
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

    /// Maps whole pages one to one: 2 MiB where both ends allow, else 4 KiB. What is mapped already
    /// stays.
    pub(super) fn map_identity(self, start: u64, end: u64, bits: u64) -> Result<(), MapError> {
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
