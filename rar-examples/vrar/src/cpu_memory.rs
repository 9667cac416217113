//! The shim's memory for one CPU: what the processor and the host use, and what other CPUs share.
#![expect(unsafe_code, reason = "memory that the processor writes")]

use core::cell::UnsafeCell;
use core::fmt;
use core::sync::atomic::{AtomicBool, Ordering};

use rar_model::RarUnit;

use crate::cpu::Cpu;
use crate::guest::vcpu::{Vcpu, VcpuState};
use crate::processor::vmcb::Vmcb;
use crate::processor::world::World;

const STACK: usize = 32 << 10;

/// The shim's memory for one CPU, for example in a static array. It is the shim's forever once a
/// CPU is launched with it.
#[repr(C, align(4096))]
pub struct CpuMemory {
    vmcb: UnsafeCell<Vmcb>,
    host_save: UnsafeCell<[u8; 4096]>,
    gates: UnsafeCell<[[u64; 2]; 256]>,
    stack: UnsafeCell<[u8; STACK]>,
    world: UnsafeCell<World>,
    own: UnsafeCell<Option<VcpuState>>,
    taken: AtomicBool,
    cpu: Cpu,
}

// SAFETY: everything except `cpu` and `taken` belongs to the one CPU that won `taken`; those are
// made to be shared.
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
            cpu: Cpu::new(),
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

    /// Returns the part that other CPUs use.
    pub(crate) fn shared(&self) -> &Cpu {
        &self.cpu
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
    pub(crate) unsafe fn prepare(&self, own: VcpuState, unit: RarUnit) {
        // SAFETY: no other CPU uses it (the caller's promise).
        unsafe { *self.own.get() = Some(own) };
        // SAFETY: this CPU, once: `take` lets one CPU in.
        unsafe { self.cpu.set_unit(unit) };
    }

    /// Returns the CPU as its host sees it.
    ///
    /// # Safety
    ///
    /// The host of this CPU calls it, outside its guest, and lets go of the result before it calls
    /// again.
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
