//! One CPU of the shim, as other CPUs see it.
#![expect(unsafe_code, reason = "a unit that is made once")]

use core::cell::UnsafeCell;
use core::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

use rar_model::RarUnit;

use crate::apic::mailbox::Mailbox;
use crate::instruction::code::Code;
use crate::instruction::undecoded::Undecoded;
use crate::unit::record::Record;
use crate::unit::signalled_payloads::SignalledPayloads;

/// In [`Cpu::gone`]: the host itself faulted, with the vector in the low bits.
pub(crate) const HOST_FAULT: u64 = 1 << 32;
/// In [`Cpu::gone`]: the exit code of an access to memory that the guest does not have.
pub(crate) const NESTED_PAGE_FAULT: u64 = 0x400;
const ALIVE: u64 = 0;

/// Where a guest was when it touched memory that it does not have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stray {
    /// The physical address that it wanted.
    pub address: u64,
    /// RIP: the instruction that did it.
    pub instruction: u64,
}

/// One CPU of the shim, as other CPUs see it.
#[derive(Debug)]
pub struct Cpu {
    unit: UnitCell,
    pub(crate) mailbox: Mailbox,
    pub(crate) signalled_payloads: SignalledPayloads,
    apic_id: AtomicU32,
    deaf: AtomicBool,
    gone: AtomicU64,
    /// Address and instruction; of a CPU that is gone by a nested page fault.
    stray: [AtomicU64; 2],
    undecoded: Undecoded,
    resting: AtomicBool,
    waits_for_startup: AtomicBool,
    record: Record,
}

impl Cpu {
    /// A CPU that was not launched.
    pub(crate) const fn new() -> Self {
        Self {
            unit: UnitCell {
                ready: AtomicBool::new(false),
                unit: UnsafeCell::new(None),
            },
            mailbox: Mailbox::new(),
            signalled_payloads: SignalledPayloads::new(),
            apic_id: AtomicU32::new(0),
            deaf: AtomicBool::new(false),
            gone: AtomicU64::new(ALIVE),
            stray: [const { AtomicU64::new(0) }; 2],
            undecoded: Undecoded::new(),
            resting: AtomicBool::new(false),
            waits_for_startup: AtomicBool::new(false),
            record: Record::new(),
        }
    }

    /// Returns its APIC id. Ordered by its place among the shim's CPUs.
    pub(crate) fn apic_id(&self) -> u32 {
        self.apic_id.load(Ordering::Relaxed)
    }

    pub(crate) fn set_apic_id(&self, id: u32) {
        self.apic_id.store(id, Ordering::Relaxed);
    }

    /// Sets its RAR unit.
    ///
    /// # Safety
    ///
    /// Called once, by the CPU itself.
    pub(crate) unsafe fn set_unit(&self, unit: RarUnit) {
        // SAFETY: no CPU reads it before `ready`, and no other call writes it.
        unsafe { *self.unit.unit.get() = Some(unit) };
        self.unit.ready.store(true, Ordering::Release);
    }

    /// Returns the record of what the CPU's unit has executed.
    #[must_use]
    pub fn record(&self) -> &Record {
        &self.record
    }

    /// Lets the CPU lose every request from now on, or take them again: for tests of what a driver
    /// does then.
    pub fn set_deaf(&self, deaf: bool) {
        self.deaf.store(deaf, Ordering::Release);
    }

    pub(crate) fn is_deaf(&self) -> bool {
        self.deaf.load(Ordering::Acquire)
    }

    /// Returns why the guest of this CPU is gone: the exit code (0x7f: a triple fault), or `None`
    /// while it lives.
    #[must_use]
    pub fn gone(&self) -> Option<u64> {
        self.gone.load(Ordering::Acquire).checked_sub(1)
    }

    /// Returns where the guest of this CPU was if it is gone because it touched memory that it does
    /// not have: what is [hidden](crate::Shim::hide), or what the shim does not reach.
    #[must_use]
    pub fn stray(&self) -> Option<Stray> {
        if self.gone()? != NESTED_PAGE_FAULT {
            return None;
        }
        let [address, instruction] = self
            .stray
            .each_ref()
            .map(|word| word.load(Ordering::Relaxed));
        Some(Stray {
            address,
            instruction,
        })
    }

    /// Before [`note_gone`](Self::note_gone), which shows it.
    pub(crate) fn note_stray(&self, stray: Stray) {
        let [address, instruction] = &self.stray;
        address.store(stray.address, Ordering::Relaxed);
        instruction.store(stray.instruction, Ordering::Relaxed);
    }

    /// Returns the instruction that the shim should have carried out for the guest and could not:
    /// the reason why it is gone, if it is.
    #[must_use]
    pub fn undecoded(&self) -> Option<Code> {
        self.undecoded.get()
    }

    pub(crate) fn note_undecoded(&self, code: &Code) {
        self.undecoded.set(code);
    }

    pub(crate) fn note_gone(&self, code: u64) {
        self.gone.store(code.wrapping_add(1), Ordering::Release);
    }

    /// The CPU was reset: a new guest begins.
    pub(crate) fn note_reset(&self) {
        self.undecoded.clear();
        self.gone.store(ALIVE, Ordering::Release);
    }

    /// Notes whether the guest rests: no interrupt can make it run.
    pub(crate) fn set_resting(&self, resting: bool) {
        // Two CPUs that come to rest together note it, then look at each other: SeqCst lets at
        // least one see both.
        self.resting.store(resting, Ordering::SeqCst);
    }

    pub(crate) fn is_resting(&self) -> bool {
        // As in `set_resting`.
        self.resting.load(Ordering::SeqCst)
    }

    pub(crate) fn set_waits_for_startup(&self, waits: bool) {
        self.waits_for_startup.store(waits, Ordering::Release);
    }

    /// Returns whether an INIT has stopped the guest of this CPU, and no start-up message has come:
    /// nothing of it runs. One that was posted and not taken yet does not count.
    #[must_use]
    pub fn waits_for_startup(&self) -> bool {
        // Acquire pairs with the Release in `set_waits_for_startup`: what the guest did before is
        // seen.
        self.waits_for_startup.load(Ordering::Acquire)
    }

    /// Returns the RAR unit; `None` before the launch.
    pub(crate) fn unit(&self) -> Option<&RarUnit> {
        self.unit.get()
    }
}

/// A unit that is made at the launch.
#[derive(Debug)]
struct UnitCell {
    ready: AtomicBool,
    unit: UnsafeCell<Option<RarUnit>>,
}

// SAFETY: written once, before `ready`; only read after it.
unsafe impl Sync for UnitCell {}

impl UnitCell {
    fn get(&self) -> Option<&RarUnit> {
        // Acquire pairs with the Release in `set_unit`.
        if !self.ready.load(Ordering::Acquire) {
            return None;
        }
        // SAFETY: nothing writes it after `ready`.
        unsafe { &*self.unit.get() }.as_ref()
    }
}
