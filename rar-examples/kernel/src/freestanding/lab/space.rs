//! The pages under test, the frames they lead to, and the two spaces that map them.

use core::arch::asm;
use core::ops::Range;
use core::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use rar_payload::Pcid;
use rar_suite::{Access, FRAMES, Frame, LARGE_FRAMES, LongString, Mapping, PAGES, Page, Reach};

use crate::freestanding::address::word;
use crate::freestanding::frames::{self, PAGE};
use crate::freestanding::kernel;
use crate::freestanding::paging::{
    AddressSpace, MapError, PageSize, PageTable, USER, leaf, map_alias,
};

/// Small pages only, in a top entry of its own. QEMU's INVLPG empties a power-of-two block that covers all large pages in use; those
/// lie below 1 TiB, this far above.
const SMALL_PAGES: u64 = 0x4000_0000_0000;
/// The large page, in the top entry behind the identity map.
const LARGE_PAGE: u64 = 0x0080_0000_0000;
/// Where tests reach the small frames without going through a page under test. QEMU keeps translations in a direct-mapped table, so
/// the aliases have other low page numbers (0x400 on) than the pages under test (0 on), which they would evict.
const ALIAS: u64 = 0xFFFF_8040_0040_0000;
const LARGE_LENGTH: u64 = 1 << 21;
/// Bit 63 of what is moved to CR3.
const KEEP_TRANSLATIONS: u64 = 1 << 63;
/// The G bit of an entry.
const GLOBAL: u64 = 1 << 8;

const _: () = assert!(PAGES == 512, "the small pages fill one page table");

/// Returns the addresses that a page under test covers.
pub(super) fn span(page: Page) -> Range<u64> {
    let length = match page {
        Page::Small(_) => PAGE,
        Page::Large => LARGE_LENGTH,
    };
    address(page)..address(page) + length
}

/// Returns the address of a page under test.
pub(super) fn address(page: Page) -> u64 {
    match page {
        Page::Small(number) => SMALL_PAGES + u64::from(number) * PAGE,
        Page::Large => LARGE_PAGE,
    }
}

/// One of the two spaces: the kernel's, plus the test region.
#[derive(Debug)]
pub(super) struct TestSpace {
    space: AddressSpace,
    pcid: Pcid,
    tables: [PageTable; 2],
    /// Which of the tables is in use.
    current: AtomicUsize,
    directory: &'static AtomicU64,
    large: &'static AtomicU64,
}

impl TestSpace {
    pub(super) fn new(pcid: Pcid) -> Result<Self, MapError> {
        let space = AddressSpace::sharing_kernel()?;
        let (in_use, directory) = space.last_table(SMALL_PAGES)?;
        Ok(Self {
            space,
            pcid,
            tables: [in_use, PageTable::new()?],
            current: AtomicUsize::new(0),
            directory,
            large: space.entry(LARGE_PAGE, PageSize::Size2M)?,
        })
    }

    pub(super) fn pcid(&self) -> Pcid {
        self.pcid
    }

    fn table(&self, which: usize) -> &PageTable {
        let [even, odd] = &self.tables;
        if which.is_multiple_of(2) { even } else { odd }
    }

    /// Returns the entry of a page in the table in use.
    pub(super) fn entry(&self, page: Page) -> &AtomicU64 {
        match page {
            Page::Small(_) => self
                .table(self.current.load(Ordering::SeqCst))
                .entry(address(page)),
            Page::Large => self.large,
        }
    }

    /// Returns whether the mapping of a page is global.
    pub(super) fn is_global(&self, page: Page) -> bool {
        self.entry(page).load(Ordering::Acquire) & GLOBAL != 0
    }

    /// Returns the entry of a small page in the table that is not in use.
    pub(super) fn spare_entry(&self, page: u16) -> &AtomicU64 {
        self.table(self.current.load(Ordering::SeqCst) + 1)
            .entry(address(Page::Small(page)))
    }

    /// Puts the other table to use.
    pub(super) fn swap(&self) {
        let which = self.current.load(Ordering::SeqCst) + 1;
        self.current.store(which, Ordering::SeqCst);
        self.directory
            .store(self.table(which).directory_entry(), Ordering::SeqCst);
    }

    fn cr3(&self) -> u64 {
        self.space.root() | u64::from(self.pcid.get())
    }

    /// Loads CR3 of this CPU, and keeps what is cached of the PCID. Only where PCIDs are on.
    pub(super) fn enter_keeping(&self) {
        // SAFETY: the space shares all of the kernel's mappings, and what is cached of pages under test is for the tests to judge.
        unsafe { x86::controlregs::cr3_write(self.cr3() | KEEP_TRANSLATIONS) };
    }

    /// Loads CR3 of this CPU.
    pub(super) fn enter(&self) {
        // SAFETY: the space shares all of the kernel's mappings; bit 63 is clear, so that the PCID's old entries go.
        unsafe { x86::controlregs::cr3_write(self.cr3()) };
    }
}

/// The frames that tests own: the small ones reached through aliases, the large ones through the identity map.
#[derive(Debug)]
pub(super) struct TestFrames {
    small: u64,
    large: u64,
}

impl TestFrames {
    pub(super) fn take() -> Result<Self, MapError> {
        let small = frames::take(u64::from(FRAMES), PAGE).ok_or(MapError::OutOfFrames)?;
        let large = frames::take(
            u64::from(LARGE_FRAMES) * (LARGE_LENGTH / PAGE),
            LARGE_LENGTH,
        )
        .ok_or(MapError::OutOfFrames)?;
        for number in 0..u64::from(FRAMES) {
            map_alias(ALIAS + number * PAGE, small + number * PAGE)?;
        }
        Ok(Self { small, large })
    }

    /// Returns the aliases of the small frames.
    pub(super) fn aliases() -> impl Iterator<Item = u64> {
        (ALIAS..).step_by(word(PAGE)).take(usize::from(FRAMES))
    }

    /// Moves one large frame to the other, or fills it, by one instruction.
    pub(super) fn run_string(&self, string: LongString) {
        let [from, to] = [0, 1].map(|number| self.physical(Frame::Large(number)));
        match string {
            // SAFETY: frames of these tests, mapped one to one for ever and 2 MiB long; no other test uses them at the same time. The
            // direction flag is clear, as the ABI has it.
            LongString::Move => unsafe {
                asm!(
                    "rep movsb",
                    inout("rcx") LARGE_LENGTH => _,
                    inout("rsi") from => _,
                    inout("rdi") to => _,
                    options(nostack, preserves_flags),
                );
            },
            // SAFETY: as above.
            LongString::Store => unsafe {
                asm!(
                    "rep stosb",
                    inout("rcx") LARGE_LENGTH => _,
                    inout("rdi") to => _,
                    in("al") 0_u8,
                    options(nostack, preserves_flags),
                );
            },
        }
    }

    fn physical(&self, frame: Frame) -> u64 {
        match frame {
            Frame::Small(number) => self.small + u64::from(number % FRAMES) * PAGE,
            Frame::Large(number) => self.large + u64::from(number % LARGE_FRAMES) * LARGE_LENGTH,
        }
    }

    /// Returns a word of a frame.
    pub(super) fn word(&self, frame: Frame, number: u16) -> &AtomicU64 {
        let start = match frame {
            Frame::Small(number) => ALIAS + u64::from(number % FRAMES) * PAGE,
            Frame::Large(_) => self.physical(frame),
        };
        let word: *const AtomicU64 =
            core::ptr::with_exposed_provenance(word(start + 8 * u64::from(number) % PAGE));
        // SAFETY: memory taken from the free frames and never given back, aligned, mapped for ever; Rust reaches it only as atomics, and the
        // stores of tests through the region are single instructions of 8 bytes.
        unsafe { &*word }
    }

    /// Returns the entry for a mapping; zero is not present.
    pub(super) fn leaf(&self, mapping: Option<Mapping>) -> u64 {
        let Some(mapping) = mapping else { return 0 };
        let global = mapping.reach == Reach::Global
            && kernel().is_some_and(|kernel| kernel.has_global_pages());
        let user = match mapping.access {
            Access::User => USER,
            Access::Read | Access::Write => 0,
        };
        let bits = leaf(
            self.physical(mapping.frame),
            mapping.access != Access::Read,
            global,
            matches!(mapping.frame, Frame::Large(_)),
        );
        bits | user
    }
}
