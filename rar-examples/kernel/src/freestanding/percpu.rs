//! What belongs to one CPU, found through its GS base.

use core::arch::asm;
use core::cell::UnsafeCell;
use core::ptr::from_ref;
use core::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

use rar_percpu::{CpuId, NmiCpu, PinnedCpu};
use rar_regs::ApicId;

use super::cpu::msr::write_msr;
use super::cpu::tables::Tables;
use super::log::writer::Writer;

/// The memory of one CPU. The first field is its own address: GS:0 leads here.
#[repr(C)]
#[derive(Debug)]
pub struct PerCpu {
    this: UnsafeCell<*const PerCpu>,
    number: AtomicU32,
    apic_id: AtomicU32,
    in_nmi: AtomicU32,
    /// NMIs that were sent to the CPU, and that it has not taken.
    expected_nmis: AtomicU32,
    /// How often handlers and other work of the kernel came between.
    detours: AtomicU64,
    /// Kernel locks that the CPU holds.
    locks: AtomicU32,
    /// The CPU answers interrupts.
    ready: AtomicBool,
    /// Jobs this CPU has finished.
    jobs_done: AtomicU64,
    tables: Tables,
    log: Writer,
}

// SAFETY: `this` is written before the CPU starts and only read later; every other field is atomic
// or keeps its own rule.
unsafe impl Sync for PerCpu {}

impl PerCpu {
    /// Memory for a CPU that has not been named.
    pub(crate) const fn new() -> Self {
        Self {
            this: UnsafeCell::new(core::ptr::null()),
            number: AtomicU32::new(0),
            apic_id: AtomicU32::new(0),
            in_nmi: AtomicU32::new(0),
            expected_nmis: AtomicU32::new(0),
            detours: AtomicU64::new(0),
            locks: AtomicU32::new(0),
            ready: AtomicBool::new(false),
            jobs_done: AtomicU64::new(0),
            tables: Tables::new(),
            log: Writer::new(),
        }
    }

    /// Names the CPU.
    ///
    /// # Safety
    ///
    /// No CPU uses this memory yet.
    pub(crate) unsafe fn name(&'static self, number: u32) {
        // SAFETY: no CPU uses the memory yet.
        unsafe { self.this.get().write(from_ref(self)) };
        self.number.store(number, Ordering::Relaxed);
    }

    pub(crate) fn set_apic_id(&self, id: ApicId) {
        self.apic_id.store(id.get(), Ordering::Relaxed);
    }

    /// Returns the CPU's number: 0, 1, 2, ... without gaps.
    #[must_use]
    pub fn number(&self) -> u32 {
        self.number.load(Ordering::Relaxed)
    }

    /// Returns the CPU's number as the library type.
    #[must_use]
    pub fn id(&self) -> CpuId {
        CpuId::new(self.number())
    }

    /// Returns the number of the CPU's local APIC.
    #[must_use]
    pub fn apic_id(&self) -> ApicId {
        ApicId::new(self.apic_id.load(Ordering::Relaxed))
    }

    /// Returns whether the CPU answers interrupts.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        // Acquire pairs with the Release in `set_ready`: the CPU's tables and APIC are set up.
        self.ready.load(Ordering::Acquire)
    }

    pub(crate) fn set_ready(&self) {
        self.ready.store(true, Ordering::Release);
    }

    pub(crate) fn jobs_done(&self) -> &AtomicU64 {
        &self.jobs_done
    }

    pub(crate) fn tables(&self) -> &Tables {
        &self.tables
    }

    pub(crate) fn log(&self) -> &Writer {
        &self.log
    }

    /// Returns how many kernel locks the CPU holds.
    pub fn locks(&self) -> &AtomicU32 {
        &self.locks
    }

    /// Returns how often the CPU has left what it does, for the handler of an interrupt or to start
    /// another CPU.
    #[must_use]
    pub fn detours(&self) -> u64 {
        self.detours.load(Ordering::Relaxed)
    }

    /// Counts a detour of the CPU that runs this.
    pub(crate) fn make_detour(&self) {
        // No locked access: if an NMI counts in between, one of the two is enough to see.
        let before = self.detours.load(Ordering::Relaxed);
        self.detours
            .store(before.wrapping_add(1), Ordering::Relaxed);
    }

    pub(crate) fn in_nmi(&self) -> bool {
        self.in_nmi.load(Ordering::Relaxed) != 0
    }

    pub(crate) fn expected_nmis(&self) -> &AtomicU32 {
        &self.expected_nmis
    }

    pub(crate) fn nmi_depth(&self) -> &AtomicU32 {
        &self.in_nmi
    }
}

/// Points GS at a CPU's memory: from here on [`this`] works on this CPU.
///
/// # Safety
///
/// The memory was named and belongs to the CPU that runs this.
pub(crate) unsafe fn enter(cpu: &'static PerCpu) {
    // SAFETY: ring 0, IA32_GS_BASE exists on every 64-bit CPU, and nothing else of this kernel uses
    // GS.
    unsafe { write_msr(x86::msr::IA32_GS_BASE, from_ref(cpu).addr() as u64) };
}

/// Returns the memory of the CPU that runs this.
#[must_use]
pub fn this() -> &'static PerCpu {
    let this: *const PerCpu;
    // SAFETY: every CPU enters its memory before any other Rust code, and its first field is its
    // own address. Not `pure`: the answer depends on the CPU.
    unsafe { asm!("mov {}, gs:[0]", out(reg) this, options(nostack, preserves_flags, readonly)) };
    // SAFETY: the memory of a CPU is never given back, and everything in it is shared soundly.
    unsafe { &*this }
}

/// Returns the proof of being on this CPU: this kernel never moves code between CPUs.
#[must_use]
pub fn pin() -> PinnedCpu<'static> {
    // SAFETY: 1. `this` belongs to the CPU that runs. 2. There is no scheduler: code stays on its
    // CPU, and the proof cannot be sent.
    unsafe { PinnedCpu::new(this().id()) }
}

/// Returns the same proof in the handler of NMIs.
#[must_use]
pub fn pin_in_nmi() -> NmiCpu<'static> {
    // SAFETY: 1. As in `pin`. The proof permits less.
    unsafe { NmiCpu::new(this().id()) }
}
