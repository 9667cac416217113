//! Which page and which frame is for what.

use rar_suite::{Frame, LARGE_FRAMES, Page, Space};

/// Pages 0 to 31 of each space are its own.
pub(crate) const USER: u16 = 32;
/// All pages that one CPU at a time changes: those of the space, then global ones.
pub(crate) const CHANGING: u16 = 36;
/// Pages of 4 KiB at the start of the large page; their numbers follow.
pub(crate) const PARTS: u16 = 8;
/// All pages that one CPU at a time changes, and those parts.
pub(crate) const ALL: u16 = CHANGING + PARTS;
/// The bits of the parts.
pub(crate) const PARTS_MASK: u64 = ((1 << ALL) - 1) & !((1 << CHANGING) - 1);
/// The numbers of the parts of large frames follow those of the pool.
pub(crate) const FRAME_NUMBERS: u16 = POOL + PARTS * LARGE_FRAMES as u16;
/// Words of 4 KiB.
const WORDS: u16 = 512;
/// The bits of the pages of a space.
pub(crate) const USER_MASK: u64 = (1 << USER) - 1;
/// The bits of the global pages.
pub(crate) const KERNEL_MASK: u64 = ((1 << CHANGING) - 1) & !USER_MASK;
/// How many frames these pages share: more than all spaces can map.
pub(crate) const POOL: u16 = 640;
/// The most CPUs of a soak: each has a word of its own in every frame.
pub(crate) const MOST_CPUS: u32 = 256;

/// The spaces that CPUs run in during storms. They keep their PCIDs.
pub(crate) const STORM_SPACES: [Space; 2] = [Space::First, Space::Second];
/// The PCIDs that the other spaces have in turn: fewer than these, and in all ranges.
pub(crate) const PCIDS: [u16; 6] = [0x003, 0x012, 0x0ff, 0x401, 0x802, 0xfff];

/// What a freed page table leads to.
pub(crate) const POISON: Frame = Frame::Small(POOL);
/// What it shows: no tag has this bit.
pub(crate) const POISONED: u64 = 1 << 62;
/// The page of each CPU for storms: the first one.
const STORM_PAGES: u16 = 128;
/// Four frames for each of them.
const STORM_FRAMES: u16 = 1_024;
/// The first word of a frame that a CPU may store to.
const OWN_WORDS: u16 = 8;

const _: () = assert!(Space::COUNT * (USER as usize) + (CHANGING as usize) < POOL as usize);
const _: () = assert!(STORM_FRAMES as u32 + 4 * MOST_CPUS <= rar_suite::FRAMES as u32);

/// Where a page lies: the page of the platform, and its first word there.
pub(crate) const fn place_of(page: u16) -> (Page, u16) {
    match page.checked_sub(CHANGING) {
        None => (Page::Small(page), 0),
        Some(part) => (Page::Large, part * WORDS),
    }
}

/// Where a frame lies: the frame of the platform, and its first word there.
pub(crate) fn frame_place(frame: u16) -> (Frame, u16) {
    match frame.checked_sub(POOL) {
        None => (Frame::Small(frame), 0),
        Some(number) => {
            let large = u8::try_from(number / PARTS).unwrap_or(0);
            (Frame::Large(large), number % PARTS * WORDS)
        }
    }
}

/// The number of the frame of a part in a large frame.
pub(crate) const fn part_frame(large: u8, page: u16) -> u16 {
    POOL + large as u16 * PARTS + page.saturating_sub(CHANGING)
}

/// The bit of a space in a mask of spaces.
pub(crate) const fn bit(space: Space) -> u32 {
    1 << space.index()
}

/// The spaces of a mask.
pub(crate) fn spaces(mask: u32) -> impl Iterator<Item = Space> {
    Space::all().filter(move |space| mask & bit(*space) != 0)
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
    let mut rest = mask;
    core::iter::from_fn(move || {
        let bit = u16::try_from(rest.trailing_zeros()).ok();
        let found = bit.filter(|_| rest != 0);
        rest &= rest.wrapping_sub(1);
        found
    })
}
