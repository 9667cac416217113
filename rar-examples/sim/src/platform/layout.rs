//! Where the pages under test, their tables and their frames lie.

use rar_suite::{Access, FRAMES, Frame, LARGE_FRAMES, Mapping, Scope, Space};

use crate::page_tables::Entry;

/// The first page under test; its page table maps nothing else.
pub(super) const REGION: u64 = 0x4000_0000;
/// The one large page.
pub(super) const LARGE: u64 = 0x8000_0000;
const SMALL_FRAMES: u64 = 0x1_0000_0000;
const LARGE_FRAME_BASE: u64 = 0x2_0000_0000;
/// The page tables of the first space, one page each: root, page-directory pointers, two
/// directories, two tables.
const TABLES: u64 = 0x10_0000;
const TABLES_OF_ONE_SPACE: u64 = 0x10_000;

/// The page tables of a space: root, page-directory pointers, the two directories, the two tables
/// for small pages.
pub(super) fn tables(space: Space) -> [u64; 6] {
    let first = TABLES + space.index() as u64 * TABLES_OF_ONE_SPACE;
    [0, 1, 2, 3, 4, 5].map(|page| first + (page << 12))
}

pub(super) fn physical(frame: Frame) -> u64 {
    match frame {
        Frame::Small(number) => {
            assert!(number < FRAMES, "the tests own {FRAMES} frames");
            SMALL_FRAMES + (u64::from(number) << 12)
        }
        Frame::Large(number) => {
            assert!(
                number < LARGE_FRAMES,
                "the tests own {LARGE_FRAMES} large frames"
            );
            LARGE_FRAME_BASE + (u64::from(number) << 21)
        }
    }
}

pub(super) fn leaf(mapping: Option<Mapping>) -> u64 {
    let Some(mapping) = mapping else {
        return Entry::NONE.0;
    };
    let large = match mapping.frame {
        Frame::Small(_) => 0,
        Frame::Large(_) => Entry::LARGE,
    };
    let access = match mapping.access {
        Access::Read => 0,
        // No rule of RAR distinguishes user pages, so the simulated page tables do not either.
        Access::Write | Access::User => Entry::WRITABLE,
    };
    let scope = match mapping.scope {
        Scope::Space => 0,
        Scope::Global => Entry::GLOBAL,
    };
    // As the kernel here, so that a CPU has no reason to write to an entry.
    let used = Entry::ACCESSED | Entry::DIRTY;
    physical(mapping.frame) | Entry::PRESENT | used | large | access | scope
}
