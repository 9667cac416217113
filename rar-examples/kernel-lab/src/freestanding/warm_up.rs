//! Keeping QEMU's table of translations large, so that what a test has touched stays in it until it
//! is flushed.
//!
//! TCG keeps translations in a direct-mapped table for each CPU that begins with 256 entries. At a
//! full flush it doubles when more than 70% were used, and shrinks when less than 30% were used for
//! 100 ms (QEMU 7.2, accel/tcg/cputlb.c). In a small table 500 pages evict one another, and the
//! positive controls of the tests fail.

use core::sync::atomic::{AtomicU64, Ordering};

use rar_kernel::frames::{self, PAGE};
use rar_kernel::paging::{MapError, PageScope, PageSize, Permission, kernel_entry, leaf};
use rar_kernel::{clock, percpu, probe};
use rar_suite::MAX_CPUS;

use super::test_frames::TestFrames;

/// A page for each CPU with low page numbers (0xc00 on) that no alias and no page under test has.
const CANARIES: u64 = 0xffff_8040_00c0_0000;
const OLD: u64 = 1;
const NEW: u64 = 2;
/// Enough to grow from the smallest table; on a machine whose table does not grow the loop ends
/// here.
const MAXIMUM_ROUNDS: usize = 8;
/// Well below the 100 ms after which the table may shrink.
const INTERVAL_MILLISECONDS: u64 = 5;

/// What keeps the table large.
#[derive(Debug)]
pub(crate) struct WarmUp {
    /// Entries that lead to a page that holds [`OLD`], and to one that holds [`NEW`].
    leaves: [u64; 2],
    /// For each CPU: when it was done last.
    last: [AtomicU64; MAX_CPUS],
}

impl WarmUp {
    pub(crate) fn new(cpus: u32) -> Result<Self, MapError> {
        let mut leaves = [0; 2];
        for (place, value) in leaves.iter_mut().zip([OLD, NEW]) {
            let frame = frames::take(1, PAGE).ok_or(MapError::OutOfFrames)?;
            // SAFETY: a frame of our own in the identity map.
            let _mapped = unsafe { probe::store(frame, value) };
            *place = leaf(
                frame,
                Permission::Read,
                PageScope::OneSpace,
                PageSize::Size4K,
            );
        }
        for number in 0..u64::from(cpus) {
            kernel_entry(CANARIES + number * PAGE)?;
        }
        Ok(Self {
            leaves,
            last: [const { AtomicU64::new(0) }; MAX_CPUS],
        })
    }

    /// Empties the table of this CPU by `flush`, and makes it large if that was not done just now.
    ///
    /// The flush that makes it large is the last one: it begins QEMU's time anew without anything
    /// used, and another one after 100 ms, which are soon over on a busy host, would make the table
    /// small again.
    pub(crate) fn empty(&self, flush: impl Fn()) {
        let number = percpu::this().number();
        let Some(last) = self.last.get(percpu::this().id().index()) else {
            return flush();
        };
        let now = clock::now();
        if now.wrapping_sub(last.load(Ordering::Relaxed))
            < INTERVAL_MILLISECONDS * clock::ticks_per_millisecond()
        {
            return flush();
        }
        for _ in 0..MAXIMUM_ROUNDS {
            let survived = self.canary_survives(number, TestFrames::aliases());
            flush();
            if survived {
                break;
            }
        }
        last.store(clock::now(), Ordering::Relaxed);
    }

    /// Returns whether a translation is still cached after loads from all pages: its entry has
    /// changed, its value has not.
    fn canary_survives(&self, number: u32, pages: impl Iterator<Item = u64>) -> bool {
        let address = CANARIES + u64::from(number) * PAGE;
        let Ok(entry) = kernel_entry(address) else {
            return false;
        };
        let [old, new] = self.leaves;
        entry.store(old, Ordering::SeqCst);
        let first = load(address);
        for page in pages {
            load(page);
        }
        entry.store(new, Ordering::SeqCst);
        first == OLD && load(address) == OLD
    }
}

fn load(address: u64) -> u64 {
    // SAFETY: aligned addresses of plain memory that the laboratory mapped.
    unsafe { probe::load(address) }.unwrap_or(0)
}
