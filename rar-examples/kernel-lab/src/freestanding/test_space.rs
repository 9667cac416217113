//! The pages under test, and the spaces that map them.

use core::ops::Range;
use core::sync::atomic::{AtomicU16, AtomicU64, AtomicUsize, Ordering};

use rar_kernel::frames::PAGE;
use rar_kernel::paging::{AddressSpace, MapError, PageSize, PageTable};
use rar_kernel::{Kernel, kernel};
use rar_payload::Pcid;
use rar_suite::{PAGES, Page};

/// Small pages only, in a top entry of its own. QEMU's INVLPG empties a power-of-two block that
/// covers all large pages in use; those lie below 1 TiB, this far above.
const SMALL_PAGES: u64 = 0x4000_0000_0000;
/// The large page, in the top entry behind the identity map.
const LARGE_PAGE: u64 = 0x0080_0000_0000;
const LARGE_LENGTH: u64 = 1 << 21;
/// Bit 63 of what is moved to CR3.
const KEEP_TRANSLATIONS: u64 = 1 << 63;
/// The G bit of an entry.
const GLOBAL: u64 = 1 << 8;

const _: () = assert!(PAGES == 512, "the small pages fill one page table");

fn has_pcids() -> bool {
    kernel().is_some_and(Kernel::has_pcid)
}

/// Returns the addresses that a page under test covers.
pub(crate) fn span(page: Page) -> Range<u64> {
    let length = match page {
        Page::Small(_) => PAGE,
        Page::Large => LARGE_LENGTH,
    };
    address(page)..address(page) + length
}

/// Returns the address of a page under test.
pub(crate) fn address(page: Page) -> u64 {
    match page {
        Page::Small(number) => SMALL_PAGES + u64::from(number) * PAGE,
        Page::Large => LARGE_PAGE,
    }
}

/// One of the spaces: the kernel's, plus the test region.
#[derive(Debug)]
pub(crate) struct TestSpace {
    space: AddressSpace,
    pcid: AtomicU16,
    tables: [PageTable; 2],
    /// Which of the tables is in use.
    current: AtomicUsize,
    directory: &'static AtomicU64,
    large: &'static AtomicU64,
}

impl TestSpace {
    pub(crate) fn new(pcid: Pcid) -> Result<Self, MapError> {
        let space = AddressSpace::sharing_kernel()?;
        let (in_use, directory) = space.last_table(SMALL_PAGES)?;
        Ok(Self {
            space,
            pcid: AtomicU16::new(pcid.get()),
            tables: [in_use, PageTable::new()?],
            current: AtomicUsize::new(0),
            directory,
            large: space.entry(LARGE_PAGE, PageSize::Size2M)?,
        })
    }

    pub(crate) fn pcid(&self) -> Pcid {
        Pcid::new(self.pcid.load(Ordering::Acquire)).unwrap_or(Pcid::ZERO)
    }

    /// Gives it another PCID, where PCIDs are on.
    pub(crate) fn set_pcid(&self, pcid: Pcid) {
        if has_pcids() {
            self.pcid.store(pcid.get(), Ordering::Release);
        }
    }

    fn table(&self, which: usize) -> &PageTable {
        let [even, odd] = &self.tables;
        if which.is_multiple_of(2) { even } else { odd }
    }

    /// Returns the entry of a page in the table in use.
    pub(crate) fn entry(&self, page: Page) -> &AtomicU64 {
        match page {
            Page::Small(_) => self
                .table(self.current.load(Ordering::SeqCst))
                .entry(address(page)),
            Page::Large => self.large,
        }
    }

    /// Returns whether the mapping of a page is global.
    pub(crate) fn is_global(&self, page: Page) -> bool {
        self.entry(page).load(Ordering::Acquire) & GLOBAL != 0
    }

    /// Returns the entry of a small page in the table that is not in use.
    pub(crate) fn spare_entry(&self, page: u16) -> &AtomicU64 {
        self.table(self.current.load(Ordering::SeqCst) + 1)
            .entry(address(Page::Small(page)))
    }

    /// Puts the other table to use.
    pub(crate) fn swap(&self) {
        let which = self.current.load(Ordering::SeqCst) + 1;
        self.current.store(which, Ordering::SeqCst);
        self.directory
            .store(self.table(which).directory_entry(), Ordering::SeqCst);
    }

    /// Puts the table that is not in use to use for the large page.
    pub(crate) fn split_large(&self) {
        let spare = self.table(self.current.load(Ordering::SeqCst) + 1);
        self.large.store(spare.directory_entry(), Ordering::SeqCst);
    }

    fn cr3(&self) -> u64 {
        self.space.root() | u64::from(self.pcid().get())
    }

    /// Loads CR3 of this CPU, and keeps what is cached of the PCID, where PCIDs are on.
    pub(crate) fn enter_keeping(&self) {
        if !has_pcids() {
            return self.enter();
        }
        // SAFETY: the space shares all of the kernel's mappings, and what is cached of pages under
        // test is for the tests to judge.
        unsafe { x86::controlregs::cr3_write(self.cr3() | KEEP_TRANSLATIONS) };
    }

    /// Loads CR3 of this CPU with PCID 0.
    pub(crate) fn enter_without_pcid(&self) {
        self.space.enter();
    }

    /// Loads CR3 of this CPU.
    pub(crate) fn enter(&self) {
        // SAFETY: the space shares all of the kernel's mappings; bit 63 is clear, so that the
        // PCID's old entries go.
        unsafe { x86::controlregs::cr3_write(self.cr3()) };
    }
}
