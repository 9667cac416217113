//! Frames, and page tables that map them.

use core::mem::ManuallyDrop;
use core::sync::atomic::{AtomicU64, Ordering};

/// The size of a page.
pub const PAGE: u64 = 0x1000;

/// Bit `n`: frame `n` is in use.
static IN_USE: AtomicU64 = AtomicU64::new(0);

/// One of 64 frames of physical memory. Dropping it frees it.
#[derive(Debug, PartialEq, Eq)]
pub struct Frame(u64);

impl Frame {
    /// Allocates the free frame with the lowest number.
    #[must_use]
    pub fn allocate() -> Option<Self> {
        let lowest = |used: u64| !used & used.wrapping_add(1);
        let used = IN_USE.fetch_update(Ordering::AcqRel, Ordering::Acquire, |used| {
            (used != u64::MAX).then(|| used | lowest(used))
        });
        used.ok()
            .map(|used| Self(u64::from(lowest(used).trailing_zeros())))
    }

    /// Returns the frame's number.
    #[must_use]
    pub fn number(&self) -> u64 {
        self.0
    }

    /// Returns whether the frame of that number is free.
    #[must_use]
    pub fn is_free(number: u64) -> bool {
        IN_USE.load(Ordering::Acquire) & 1 << number == 0
    }
}

impl Drop for Frame {
    fn drop(&mut self) {
        IN_USE.fetch_and(!(1 << self.0), Ordering::AcqRel);
    }
}

/// Maps 64 pages, of any addresses that differ in bits 12 to 17, to frames that it owns.
#[derive(Debug)]
pub struct PageTable([AtomicU64; 64]);

impl PageTable {
    /// Returns a table that maps nothing.
    #[must_use]
    pub const fn new() -> Self {
        Self([const { AtomicU64::new(0) }; 64])
    }

    /// Maps the page at this address; returns the frame that it was mapped to.
    pub fn map(&self, address: u64, frame: Frame) -> Option<Frame> {
        self.exchange(address, ManuallyDrop::new(frame).0 + 1)
    }

    /// Unmaps the page at this address; returns the frame that it was mapped to.
    pub fn unmap(&self, address: u64) -> Option<Frame> {
        self.exchange(address, 0)
    }

    pub(crate) fn walk(&self, address: u64) -> Option<u64> {
        self.entry(address)?.load(Ordering::Acquire).checked_sub(1)
    }

    fn exchange(&self, address: u64, new: u64) -> Option<Frame> {
        let old = self.entry(address)?.swap(new, Ordering::AcqRel);
        old.checked_sub(1).map(Frame)
    }

    fn entry(&self, address: u64) -> Option<&AtomicU64> {
        let index = usize::try_from(address / PAGE % 64);
        self.0.get(index.unwrap_or(0))
    }
}

impl Default for PageTable {
    fn default() -> Self {
        Self::new()
    }
}
