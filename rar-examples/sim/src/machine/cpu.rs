//! One CPU: its RAR unit, its interrupt state, its TLB.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError, RwLock};

use rar_model::{Activity, Execution, Knobs, RarUnit};

use super::caches::{Caches, Mmu};
use super::lock;

/// How many entries each record of a CPU keeps.
const MOST_RECORDS: usize = 4096;

/// The one guest of a CPU.
const VPID: u16 = 1;

/// An ordinary interrupt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Vector {
    /// Another CPU armed this CPU's action vector; on a machine without RAR.
    Signal = 1,
    /// Another CPU asks for a flush generation.
    Fallback = 2,
    /// Only ends a halt.
    Wake = 4,
    /// The CPU's own.
    Own = 8,
    /// Asks for a flush generation. Delivered also while interrupts are disabled.
    Nmi = 16,
    /// The CPU only counts it.
    Bare = 32,
}

/// One CPU of a [`Machine`](super::Machine).
#[derive(Debug)]
pub struct Cpu<const TLB: usize> {
    pub(crate) unit: RwLock<RarUnit>,
    /// The number of its local APIC.
    pub apic_id: u32,
    pub(crate) mmu: Mutex<Mmu<TLB>>,
    /// RFLAGS.IF.
    interrupts_on: AtomicBool,
    /// The interrupts that wait, one bit each.
    waiting: AtomicU32,
    /// The kernel ignores these.
    pub(crate) deaf_to: AtomicU8,
    pub(crate) in_microcode: AtomicBool,
    in_guest: AtomicBool,
    dead: AtomicBool,
    /// Whether the kernel signals it by an ordinary interrupt instead of its unit.
    in_software: AtomicBool,
    record: Mutex<VecDeque<Execution>>,
    executed: AtomicU64,
    /// How many bare interrupts it has taken.
    pub(crate) bare_ipis: AtomicU64,
    /// How often an access to a register raised #GP(0).
    pub(crate) faults: AtomicU32,
    /// The last register writes that did not fault.
    writes: Mutex<VecDeque<(u32, u64)>>,
}

impl<const TLB: usize> Cpu<TLB> {
    pub(crate) fn new(knobs: Knobs, apic_id: u32) -> Self {
        Self {
            unit: RwLock::new(RarUnit::new(knobs)),
            apic_id,
            mmu: Mutex::new(Mmu::new()),
            interrupts_on: AtomicBool::new(true),
            waiting: AtomicU32::new(0),
            deaf_to: AtomicU8::new(0),
            in_microcode: AtomicBool::new(false),
            in_guest: AtomicBool::new(false),
            dead: AtomicBool::new(false),
            in_software: AtomicBool::new(false),
            record: Mutex::new(VecDeque::new()),
            executed: AtomicU64::new(0),
            bare_ipis: AtomicU64::new(0),
            faults: AtomicU32::new(0),
            writes: Mutex::new(VecDeque::new()),
        }
    }

    /// Calls `body` with the RAR unit.
    pub fn with_unit<R>(&self, body: impl FnOnce(&RarUnit) -> R) -> R {
        body(&self.unit.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Replaces the decisions of the unit.
    pub fn set_knobs(&self, knobs: Knobs) {
        let mut unit = self.unit.write().unwrap_or_else(PoisonError::into_inner);
        unit.set_knobs(knobs);
    }

    /// Resets the unit to its state after power-on.
    pub fn power_cycle(&self) {
        let mut unit = self.unit.write().unwrap_or_else(PoisonError::into_inner);
        *unit = RarUnit::new(*unit.knobs());
    }

    /// Stops the CPU, or lets it run again. A dead CPU takes no interrupt, and its unit does
    /// nothing.
    pub fn set_dead(&self, dead: bool) {
        self.dead.store(dead, Ordering::Release);
    }

    pub(crate) fn is_dead(&self) -> bool {
        self.dead.load(Ordering::Acquire)
    }

    /// Says whether the kernel signals the CPU by an ordinary interrupt, on a machine of units.
    pub(crate) fn set_answered_in_software(&self, is_so: bool) {
        self.in_software.store(is_so, Ordering::Release);
    }

    pub(crate) fn is_answered_in_software(&self) -> bool {
        self.in_software.load(Ordering::Acquire)
    }

    /// Sets the activity of the CPU.
    pub fn set_activity(&self, activity: Activity) {
        self.with_unit(|unit| unit.set_activity(activity));
    }

    /// Returns RFLAGS.IF.
    #[must_use]
    pub fn interrupts_on(&self) -> bool {
        self.interrupts_on.load(Ordering::Acquire)
    }

    /// Sets RFLAGS.IF and returns what it was.
    pub fn set_interrupts(&self, on: bool) -> bool {
        self.interrupts_on.swap(on, Ordering::AcqRel)
    }

    /// Enters or leaves a guest. While a guest runs, accesses use its translations, not the host's.
    pub fn set_guest(&self, on: bool) {
        self.in_guest.store(on, Ordering::Release);
        self.with_tlb(|tlb| {
            if on {
                tlb.enter_guest(VPID, 0);
            } else {
                tlb.leave_guest();
            }
        });
    }

    /// Drops what an earlier guest has cached.
    pub fn forget_guest(&self) {
        self.with_tlb(|tlb| tlb.forget_guest(VPID));
    }

    /// Returns the VPID of the guest that runs, 0 if none does.
    pub(crate) fn vpid(&self) -> u16 {
        if self.is_in_guest() { VPID } else { 0 }
    }

    pub(crate) fn is_in_guest(&self) -> bool {
        self.in_guest.load(Ordering::Acquire)
    }

    /// Requests an interrupt.
    pub fn interrupt(&self, vector: Vector) {
        self.waiting.fetch_or(vector as u32, Ordering::AcqRel);
    }

    /// Takes all interrupts that wait.
    pub(crate) fn take_interrupts(&self) -> u32 {
        self.waiting.swap(0, Ordering::AcqRel)
    }

    /// Takes the one interrupt that cannot be masked; returns whether it waited.
    pub(crate) fn take_nmi(&self) -> bool {
        let nmi = Vector::Nmi as u32;
        self.waiting.fetch_and(!nmi, Ordering::AcqRel) & nmi != 0
    }

    /// Returns whether an interrupt waits.
    #[must_use]
    pub fn interrupt_waits(&self) -> bool {
        self.waiting.load(Ordering::Acquire) != 0
    }

    /// Returns what the unit executed, the last few thousand entries.
    #[must_use]
    pub fn record(&self) -> VecDeque<Execution> {
        lock(&self.record).clone()
    }

    /// Returns how many entries the unit has executed.
    #[must_use]
    pub fn executed(&self) -> u64 {
        self.executed.load(Ordering::Acquire)
    }

    pub(crate) fn note(&self, execution: Execution) {
        push_last(&mut lock(&self.record), execution);
        self.executed.fetch_add(1, Ordering::AcqRel);
    }

    /// Returns the register writes that did not fault, each with its register: the last few
    /// thousand.
    #[must_use]
    pub fn writes(&self) -> Vec<(u32, u64)> {
        lock(&self.writes).iter().copied().collect()
    }

    pub(crate) fn note_write(&self, msr: u32, value: u64) {
        push_last(&mut lock(&self.writes), (msr, value));
    }

    /// Returns how often an access to a register raised #GP(0).
    #[must_use]
    pub fn faults(&self) -> u32 {
        self.faults.load(Ordering::Acquire)
    }

    /// Calls `body` with the TLB.
    pub fn with_tlb<R>(&self, body: impl FnOnce(&mut Caches<TLB>) -> R) -> R {
        body(&mut lock(&self.mmu).tlb)
    }
}

fn push_last<T>(record: &mut VecDeque<T>, newest: T) {
    if record.len() == MOST_RECORDS {
        record.pop_front();
    }
    record.push_back(newest);
}
