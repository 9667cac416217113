//! Whether this processor's own instruction leaves alone what it does not name, and a hypervisor
//! everything.

use core::sync::atomic::Ordering;

use rar_kernel::{paging, probe};
use rar_suite::{Access, Frame, Mapping, PAGES, Page, Scope};

use super::instructions;
use super::test_frames::TestFrames;
use super::test_space::{TestSpace, address};

const OLD: u64 = 1;
const NEW: u64 = 2;
/// Every 32nd pair of pages is tried: one pair may share its place in a direct-mapped table with
/// something else.
const STEP: usize = 32;

/// Returns whether a page stays in the TLB of this CPU when the one before it is flushed, by the
/// laboratory's own instruction and not by the driver's TLB. No other CPU uses the space yet, and
/// the CPU is in the kernel's space afterwards.
pub(crate) fn spared(space: &TestSpace, frames: &TestFrames) -> bool {
    any_pair_keeps(space, frames, |page| {
        instructions::flush_page(address(page), space.pcid());
    })
}

/// Returns whether a page stays in the TLB of this CPU during CPUID, by which guests leave for
/// their hypervisor. A processor's own CPUID flushes nothing.
pub(crate) fn kept(space: &TestSpace, frames: &TestFrames) -> bool {
    any_pair_keeps(space, frames, |_| {
        core::arch::x86_64::__cpuid(0);
    })
}

/// Returns whether the second page of a pair is still cached after `between`, which gets the first.
fn any_pair_keeps(space: &TestSpace, frames: &TestFrames, between: impl Fn(Page)) -> bool {
    frames.word(Frame::Small(0), 0).store(OLD, Ordering::SeqCst);
    frames.word(Frame::Small(1), 0).store(NEW, Ordering::SeqCst);
    space.enter();
    let spared = (0..PAGES)
        .step_by(STEP)
        .any(|page| try_pair(space, frames, [page, page + 1], &between) == Some(OLD));
    paging::enter_kernel_space();
    instructions::flush_everything();
    spared
}

/// Caches both pages of a pair; returns what the second reads after `between`, whose entry has
/// changed since it was cached.
fn try_pair(
    space: &TestSpace,
    frames: &TestFrames,
    pages: [u16; 2],
    between: impl Fn(Page),
) -> Option<u64> {
    let [flushed, kept] = pages.map(Page::Small);
    let map = |page, frame| {
        let mapping = Mapping {
            frame: Frame::Small(frame),
            access: Access::Write,
            scope: Scope::Space,
        };
        let leaf = frames.leaf(Some(mapping));
        space.entry(page).store(leaf, Ordering::SeqCst);
    };
    // SAFETY: addresses of the test region, which lead to frames of the tests.
    let load = |page| unsafe { probe::load(address(page)) }.ok();
    for page in [flushed, kept] {
        map(page, 0);
        load(page)?;
    }
    map(kept, 1);
    between(flushed);
    let found = load(kept);
    for page in [flushed, kept] {
        space.entry(page).store(0, Ordering::SeqCst);
    }
    found
}
