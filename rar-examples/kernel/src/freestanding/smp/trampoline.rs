//! The page where a starting CPU begins, and the mailbox in it.

use core::arch::global_asm;
use core::mem::offset_of;
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use crate::freestanding::cpu::control::Control;
use crate::freestanding::int::{low32, word};
use crate::freestanding::paging::{self, MapError};
use crate::freestanding::percpu::PerCpu;

global_asm!(include_str!("../boot/trampoline.s"), options(att_syntax));

unsafe extern "C" {
    static rar_kernel_trampoline: u8;
    static rar_kernel_trampoline_mailbox: u8;
    static rar_kernel_trampoline_end: u8;
}

const IDLE: u32 = 0;
const ARMED: u32 = 1;
const CLAIMED: u32 = 2;

/// What the starting CPU reads: written by the starter, claimed by the CPU.
#[repr(C)]
struct Mailbox {
    state: AtomicU32,
    expected: AtomicU32,
    cr0: AtomicU32,
    cr3: AtomicU32,
    cr4: AtomicU32,
    efer: AtomicU32,
    stack: AtomicU64,
    argument: AtomicU64,
    function: AtomicU64,
    /// Three addresses that hold offsets into the page until the page's own address is added.
    to_32: [AtomicU32; 2],
    to_64: [AtomicU32; 2],
    gdt_limit: [u8; 2],
    gdt_base: [u8; 4],
}

const _: () = assert!(offset_of!(Mailbox, stack) == 24);
const _: () = assert!(offset_of!(Mailbox, to_32) == 48);
const _: () = assert!(offset_of!(Mailbox, gdt_base) == 66);

/// The trampoline page.
#[derive(Debug)]
pub(super) struct Trampoline {
    page: u64,
}

impl Trampoline {
    /// Copies the code to a page below 1 MiB and fills in what is the same for every CPU.
    ///
    /// # Safety
    ///
    /// The page is free RAM below 1 MiB, mapped one to one, and stays the trampoline's forever.
    pub(super) unsafe fn new(page: u64, control: Control, root: u64) -> Result<Self, MapError> {
        paging::map_trampoline(page)?;
        let source = &raw const rar_kernel_trampoline;
        let length = (&raw const rar_kernel_trampoline_end).addr() - source.addr();
        let target: *mut u8 = core::ptr::with_exposed_provenance_mut(word(page));
        // SAFETY: the code fits in a page (its offsets are 16 bits of real mode), and the page is
        // ours.
        unsafe { target.copy_from_nonoverlapping(source, length) };
        let trampoline = Self { page };
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
        Ok(trampoline)
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

    /// Lets the CPU with this APIC id in, once: it calls `function(cpu)` on the stack.
    pub(super) fn arm(
        &self,
        id: u32,
        stack: u64,
        cpu: &'static PerCpu,
        function: extern "C" fn(&'static PerCpu) -> !,
    ) {
        let mailbox = self.mailbox();
        mailbox.expected.store(id, Ordering::Relaxed);
        mailbox.stack.store(stack, Ordering::Relaxed);
        mailbox.argument.store(
            core::ptr::from_ref(cpu).expose_provenance() as u64,
            Ordering::Relaxed,
        );
        mailbox.function.store(
            (function as *const ()).expose_provenance() as u64,
            Ordering::Relaxed,
        );
        // Release pairs with the locked exchange of the CPU: it sees the rest.
        mailbox.state.store(ARMED, Ordering::Release);
    }

    /// Returns whether the CPU came in.
    pub(super) fn is_claimed(&self) -> bool {
        self.mailbox().state.load(Ordering::Acquire) == CLAIMED
    }

    /// Closes the mailbox; returns whether no CPU came in. From then on none can.
    pub(super) fn disarm(&self) -> bool {
        self.mailbox()
            .state
            .compare_exchange(ARMED, IDLE, Ordering::AcqRel, Ordering::Acquire)
            .is_ok()
    }
}
