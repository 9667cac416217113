//! Which page and which frame is for what.

use rar_suite::{Frame, Page, Space};

/// The spaces of the small kernel.
pub(crate) const SPACES: [Space; 2] = [Space::First, Space::Second];
/// Pages 0 to 31 of each space are its own.
pub(crate) const USER: u16 = 32;
/// All pages that one CPU at a time changes: those of the space, then global ones.
pub(crate) const CHANGING: u16 = 36;
/// The bits of the pages of a space.
pub(crate) const USER_MASK: u64 = (1 << USER) - 1;
/// The bits of the global pages.
pub(crate) const KERNEL_MASK: u64 = ((1 << CHANGING) - 1) & !USER_MASK;
/// How many frames these pages share.
pub(crate) const POOL: u16 = 160;
/// The most CPUs of a soak: each has a word of its own in every frame.
pub(crate) const MOST_CPUS: u32 = 256;

/// The page of each CPU for storms: the first one.
const STORM_PAGES: u16 = 128;
/// Four frames for each of them.
const STORM_FRAMES: u16 = 512;
/// The first word of a frame that a CPU may store to.
const OWN_WORDS: u16 = 8;

pub(crate) const fn index(space: Space) -> usize {
    match space {
        Space::First => 0,
        Space::Second => 1,
    }
}

pub(crate) const fn other(space: Space) -> Space {
    match space {
        Space::First => Space::Second,
        Space::Second => Space::First,
    }
}

/// The word of a CPU in every frame.
pub(crate) fn own_word(cpu: u32) -> u16 {
    OWN_WORDS + u16::try_from(cpu).unwrap_or(0)
}

/// The page that a CPU changes in storms.
pub(crate) fn storm_page(cpu: u32) -> Page {
    Page::Small(STORM_PAGES + u16::try_from(cpu).unwrap_or(0))
}

/// Its frames in turn, so that a load through an outdated translation never finds the newest value.
pub(crate) fn storm_frame(cpu: u32, value: u64) -> Frame {
    let turn = u16::try_from(value % 4).unwrap_or(0);
    Frame::Small(STORM_FRAMES + 4 * u16::try_from(cpu).unwrap_or(0) + turn)
}

/// The numbers of the bits that are set.
pub(crate) fn bits(mask: u64) -> impl Iterator<Item = u16> {
    (0..64).filter(move |bit| mask >> bit & 1 == 1)
}
