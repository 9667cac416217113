//! The shim's memory for one CPU: what the processor and the host use, and what other CPUs may look at.
#![expect(unsafe_code, reason = "memory that the processor writes")]

use core::cell::UnsafeCell;
use core::fmt;
use core::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

use rar_model::RarUnit;

use crate::mailbox::Mailbox;
use crate::record::Record;
use crate::unit::Announcements;
use crate::vcpu::{Own, Vcpu};
use crate::vmcb::Vmcb;
use crate::world::World;

const STACK: usize = 32 << 10;
/// In [`Cpu::gone`]: the host itself faulted, with the vector in the low bits.
pub(crate) const HOST_FAULT: u64 = 1 << 32;
const ALIVE: u64 = 0;

/// One CPU of the shim, as other CPUs see it.
#[derive(Debug)]
pub struct Cpu {
    unit: UnitCell,
    pub(crate) mailbox: Mailbox,
    pub(crate) announcements: Announcements,
    deaf: AtomicBool,
    gone: AtomicU64,
    record: Record,
}

impl Cpu {
    /// Returns the record of what the CPU's unit has executed.
    #[must_use]
    pub fn record(&self) -> &Record {
        &self.record
    }

    /// Lets the CPU lose every request from now on, or hear them again: for tests of what a driver does then.
    pub fn set_deaf(&self, deaf: bool) {
        self.deaf.store(deaf, Ordering::Release);
    }

    pub(crate) fn is_deaf(&self) -> bool {
        self.deaf.load(Ordering::Acquire)
    }

    /// Returns why the guest of this CPU is gone: the exit code (0x7F: a triple fault), or `None` while it lives.
    #[must_use]
    pub fn gone(&self) -> Option<u64> {
        self.gone.load(Ordering::Acquire).checked_sub(1)
    }

    pub(crate) fn note_gone(&self, code: u64) {
        self.gone.store(code.wrapping_add(1), Ordering::Release);
    }

    /// The CPU was reset: a new guest begins.
    pub(crate) fn note_reset(&self) {
        self.gone.store(ALIVE, Ordering::Release);
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
        // Acquire pairs with the Release in `prepare`.
        if !self.ready.load(Ordering::Acquire) {
            return None;
        }
        // SAFETY: nothing writes it after `ready`.
        unsafe { &*self.unit.get() }.as_ref()
    }
}

/// The shim's memory for one CPU, for example in a static array. It is the shim's for ever once a CPU is launched with it.
#[repr(C, align(4096))]
pub struct CpuMemory {
    vmcb: UnsafeCell<Vmcb>,
    host_save: UnsafeCell<[u8; 4096]>,
    gates: UnsafeCell<[[u64; 2]; 256]>,
    stack: UnsafeCell<[u8; STACK]>,
    world: UnsafeCell<World>,
    own: UnsafeCell<Option<Own>>,
    taken: AtomicBool,
    apic_id: AtomicU32,
    cpu: Cpu,
}

// SAFETY: everything but `cpu`, `apic_id` and `taken` belongs to the one CPU that won `taken`; those are made to be shared.
unsafe impl Sync for CpuMemory {}
// SAFETY: the raw pointer in `world` is the address of this very memory, set at the launch.
unsafe impl Send for CpuMemory {}

impl fmt::Debug for CpuMemory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CpuMemory")
            .field("cpu", &self.cpu)
            .finish_non_exhaustive()
    }
}

impl CpuMemory {
    /// Returns memory that no CPU has taken.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            vmcb: UnsafeCell::new(Vmcb::ZERO),
            host_save: UnsafeCell::new([0; 4096]),
            gates: UnsafeCell::new([[0; 2]; 256]),
            stack: UnsafeCell::new([0; STACK]),
            world: UnsafeCell::new(World::ZERO),
            own: UnsafeCell::new(None),
            taken: AtomicBool::new(false),
            apic_id: AtomicU32::new(0),
            cpu: Cpu {
                unit: UnitCell {
                    ready: AtomicBool::new(false),
                    unit: UnsafeCell::new(None),
                },
                mailbox: Mailbox::new(),
                announcements: Announcements::new(),
                deaf: AtomicBool::new(false),
                gone: AtomicU64::new(ALIVE),
                record: Record::new(),
            },
        }
    }

    /// Returns what other CPUs may look at; `None` before a CPU was launched with this memory.
    #[must_use]
    pub fn cpu(&self) -> Option<&Cpu> {
        self.cpu.unit().map(|_| &self.cpu)
    }

    /// Takes the memory for the CPU that asks; returns whether it was free.
    pub(crate) fn take(&self) -> bool {
        !self.taken.swap(true, Ordering::AcqRel)
    }

    pub(crate) fn give_back(&self) {
        self.taken.store(false, Ordering::Release);
    }

    /// Returns the APIC id of the CPU that has taken it. Ordered by the place of the memory among the shim's.
    pub(crate) fn apic_id(&self) -> u32 {
        self.apic_id.load(Ordering::Relaxed)
    }

    pub(crate) fn set_apic_id(&self, id: u32) {
        self.apic_id.store(id, Ordering::Relaxed);
    }

    pub(crate) fn vmcb(&self) -> *mut Vmcb {
        self.vmcb.get()
    }

    pub(crate) fn world(&self) -> *mut World {
        self.world.get()
    }

    pub(crate) fn gates(&self) -> *mut [[u64; 2]; 256] {
        self.gates.get()
    }

    pub(crate) fn host_save(&self) -> *const u8 {
        self.host_save.get().cast()
    }

    pub(crate) fn stack_top(&self) -> *mut u8 {
        self.stack.get().cast::<u8>().wrapping_add(STACK)
    }

    /// Fills in what the CPU keeps to itself, and its unit.
    ///
    /// # Safety
    ///
    /// The CPU that has taken the memory calls it, before its guest runs.
    pub(crate) unsafe fn prepare(&self, own: Own, unit: RarUnit) {
        // SAFETY: nobody else uses it (the caller's promise).
        unsafe { *self.own.get() = Some(own) };
        // SAFETY: nobody reads it before `ready`.
        unsafe { *self.cpu.unit.unit.get() = Some(unit) };
        self.cpu.unit.ready.store(true, Ordering::Release);
    }

    /// Returns the CPU as its host sees it.
    ///
    /// # Safety
    ///
    /// The host of this CPU calls it, outside its guest, and lets go of the result before it calls again.
    pub(crate) unsafe fn vcpu(&self) -> Option<Vcpu<'_>> {
        // SAFETY: the caller's promise: nothing else refers to the parts that belong to this CPU.
        let own = unsafe { &mut *self.own.get() }.as_mut()?;
        Some(Vcpu {
            // SAFETY: as above; the processor uses it only in the guest.
            vmcb: unsafe { &mut *self.vmcb.get() },
            // SAFETY: as above.
            world: unsafe { &mut *self.world.get() },
            own,
            cpu: &self.cpu,
            unit: self.cpu.unit()?,
        })
    }
}

impl Default for CpuMemory {
    fn default() -> Self {
        Self::new()
    }
}
