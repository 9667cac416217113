//! The page where a starting CPU begins, and what it reads there.

use core::arch::global_asm;
use core::mem::offset_of;
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use crate::freestanding::cpu::control::Control;
use crate::freestanding::frames::{self, PAGE};
use crate::freestanding::int::{low32, word};
use crate::freestanding::notes::note;
use crate::freestanding::paging::{self, MapError};
use crate::{StartSlot, page_sum};

global_asm!(include_str!("../boot/trampoline.s"), options(att_syntax));

unsafe extern "C" {
    static rar_kernel_trampoline: u8;
    static rar_kernel_trampoline_mailbox: u8;
    static rar_kernel_trampoline_end: u8;
}

/// What the starting CPU reads: written by the starter.
#[repr(C)]
struct Mailbox {
    cr0: AtomicU32,
    cr3: AtomicU32,
    cr4: AtomicU32,
    efer: AtomicU32,
    slots: AtomicU64,
    slot_count: AtomicU32,
    unused: AtomicU32,
    /// Three addresses that hold offsets into the page until the page's own address is added.
    to_32: [AtomicU32; 2],
    to_64: [AtomicU32; 2],
    gdt_limit: [u8; 2],
    gdt_base: [u8; 4],
}

const _: () = assert!(offset_of!(Mailbox, slots) == 16);
const _: () = assert!(offset_of!(Mailbox, to_32) == 32);
const _: () = assert!(offset_of!(Mailbox, gdt_base) == 50);

/// The trampoline page, which does not change once it is made.
#[derive(Debug)]
pub(super) struct Trampoline {
    page: u64,
    /// What stands in it.
    kept: &'static [u64],
    sum: u64,
}

impl Trampoline {
    /// Copies the code to a page below 1 MiB and fills in what is the same for every CPU.
    ///
    /// # Safety
    ///
    /// The page is free RAM below 1 MiB, mapped one to one, and stays the trampoline's forever.
    pub(super) unsafe fn new(
        page: u64,
        control: Control,
        root: u64,
        slots: &'static [StartSlot],
    ) -> Result<Self, MapError> {
        paging::map_trampoline(page)?;
        let source = &raw const rar_kernel_trampoline;
        let length = (&raw const rar_kernel_trampoline_end).addr() - source.addr();
        let target: *mut u8 = core::ptr::with_exposed_provenance_mut(word(page));
        // SAFETY: the code fits in a page (its offsets are 16 bits of real mode), and the page is
        // ours.
        unsafe { target.copy_from_nonoverlapping(source, length) };
        let mut trampoline = Self {
            page,
            kept: &[],
            sum: 0,
        };
        let base = low32(page);
        let mailbox = trampoline.mailbox();
        for address in [&mailbox.to_32, &mailbox.to_64]
            .into_iter()
            .filter_map(|pointer| pointer.first())
        {
            address.fetch_add(base, Ordering::Relaxed);
        }
        let gdt_base: *mut u32 = target
            .wrapping_add(Self::mailbox_offset() + offset_of!(Mailbox, gdt_base))
            .cast();
        // SAFETY: inside the page; the field is not aligned.
        let offset = unsafe { gdt_base.read_unaligned() };
        // SAFETY: as above; no other CPU uses the page yet.
        unsafe { gdt_base.write_unaligned(offset + base) };
        mailbox
            .cr0
            .store(low32(Control::cr0().bits() as u64), Ordering::Relaxed);
        mailbox.cr3.store(low32(root), Ordering::Relaxed);
        mailbox
            .cr4
            .store(low32(Control::first_cr4().bits() as u64), Ordering::Relaxed);
        mailbox.efer.store(low32(control.efer()), Ordering::Relaxed);
        let address = slots.as_ptr().expose_provenance() as u64;
        mailbox.slots.store(address, Ordering::Relaxed);
        let count = u32::try_from(slots.len()).unwrap_or(0);
        mailbox.slot_count.store(count, Ordering::Relaxed);
        let mut words = trampoline.words().iter();
        let load = || words.next().map_or(0, |word| word.load(Ordering::Relaxed));
        trampoline.kept =
            frames::alloc_static_each(length.div_ceil(8), load).ok_or(MapError::OutOfFrames)?;
        trampoline.sum = page_sum(trampoline.kept.iter().copied());
        Ok(trampoline)
    }

    /// Writes the page again if something wrote to it: firmware is known to write to low memory.
    pub(super) fn mend(&self) {
        let words = || self.words().iter().take(self.kept.len());
        let got = page_sum(words().map(|word| word.load(Ordering::Relaxed)));
        if got == self.sum {
            return;
        }
        for (word, kept) in words().zip(self.kept) {
            word.store(*kept, Ordering::Relaxed);
        }
        note(format_args!(
            "trampoline at {:#x}: something wrote to it (sum {got:#x}, expected {:#x}); it is \
             written again",
            self.page, self.sum
        ));
    }

    fn words(&self) -> &[AtomicU64] {
        let page: *const AtomicU64 = core::ptr::with_exposed_provenance(word(self.page));
        // SAFETY: the page is mapped, aligned, and the trampoline's forever; firmware that
        // writes to it does so behind Rust's back.
        unsafe { core::slice::from_raw_parts(page, word(PAGE) / size_of::<u64>()) }
    }

    fn mailbox_offset() -> usize {
        (&raw const rar_kernel_trampoline_mailbox).addr()
            - (&raw const rar_kernel_trampoline).addr()
    }

    fn mailbox(&self) -> &Mailbox {
        let page: *const u8 = core::ptr::with_exposed_provenance(word(self.page));
        let mailbox = page.wrapping_add(Self::mailbox_offset()).cast::<Mailbox>();
        // SAFETY: the mailbox lies in the page, 16-byte aligned by the assembly; what changes in it
        // is atomic.
        unsafe { &*mailbox }
    }

    /// Returns the address of its page.
    pub(super) fn page(&self) -> u64 {
        self.page
    }

    /// Returns the page number that a start-up message carries.
    pub(super) fn vector(&self) -> u8 {
        u8::try_from(self.page >> 12).unwrap_or(0)
    }
}
