//! Who is online in the domain.

use core::fmt;

use rar_percpu::{Enabled, LifeCycleError, PhysAddrOf, PinnedCpu, RarCpu, SlotIndex, SoftwareCpu};
use rar_regs::{InterruptPolicy, NativeCpu, RarSupport};
use rar_shootdown::Machine as _;
use rar_suite::Lab as _;

use super::{CPUS, KernelLab};
use crate::freestanding::paging::MapError;
use crate::freestanding::{SpinLock, frames, percpu};
use crate::println;

/// Who answers for a CPU that is online.
enum Member {
    Software(SoftwareCpu<'static>),
    Unit(RarCpu<'static, NativeCpu, Enabled>),
}

/// For each CPU its place in the domain while it is online. Only that CPU takes its lock.
pub(super) struct Members(&'static [SpinLock<Option<Member>>]);

impl fmt::Debug for Members {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Members").finish_non_exhaustive()
    }
}

impl Members {
    pub(super) fn new() -> Result<Self, MapError> {
        frames::place_each(CPUS, || SpinLock::new(None))
            .map(Self)
            .ok_or(MapError::OutOfFrames)
    }

    fn mine(&self) -> &SpinLock<Option<Member>> {
        #[expect(
            clippy::indexing_slicing,
            reason = "CPUs are numbered below MAX_CPUS: the starter stops there"
        )]
        &self.0[percpu::this().id().index()]
    }
}

/// Table and vectors lie in frames, which are mapped one to one.
struct Identity;

// SAFETY: frames are contiguous RAM, mapped one to one, write-back, for ever.
unsafe impl PhysAddrOf for Identity {
    fn phys_addr_of(&self, virtual_address: *const (), _: usize) -> Option<u64> {
        Some(virtual_address.addr() as u64)
    }
}

pub(super) fn join(lab: &KernelLab) {
    let cpu = percpu::pin();
    let machine = lab.shootdown().machine();
    let joined = match machine.support() {
        None => SoftwareCpu::join(lab.domain(), &cpu, machine.tlb()).map(Member::Software),
        Some(support) => enable(lab, &cpu, support)
            .map(Member::Unit)
            .or_else(|error| {
                // Every test will tell: a request to this CPU is lost, and only the fallback flushes it.
                println!("CPU {} goes on without RAR: {error}", cpu.id());
                SoftwareCpu::join(lab.domain(), &cpu, machine.tlb()).map(Member::Software)
            }),
    };
    match joined {
        Ok(member) => *lab.members.mine().lock() = Some(member),
        Err(error) => lab.give_up(format_args!(
            "CPU {} does not come online: {error}",
            cpu.id()
        )),
    }
}

fn enable(
    lab: &KernelLab,
    cpu: &PinnedCpu<'_>,
    support: RarSupport,
) -> Result<RarCpu<'static, NativeCpu, Enabled>, LifeCycleError> {
    leave_something_behind(lab, cpu);
    // SAFETY: 1. All of this kernel runs in ring 0. 2. `support` was detected on this machine, and `detect` checks this CPU.
    let registers = unsafe { NativeCpu::new() };
    let unit = RarCpu::detect(lab.domain(), cpu, support, registers)?.configure(cpu, &Identity)?;
    // SAFETY: 1. Nothing resets the CPU in between. 2. Table and vectors are never given back. 3. No code of this kernel keeps translations by
    // disabling interrupts.
    unsafe {
        unit.enable(
            cpu,
            InterruptPolicy::IgnoreIf,
            lab.shootdown().machine().tlb(),
        )
    }
}

/// Firmware or an earlier kernel may have left anything in the memory of a CPU that is offline.
fn leave_something_behind(lab: &KernelLab, cpu: &PinnedCpu<'_>) {
    if let Some(state) = lab.domain().cpu(cpu.id()) {
        for slot in SlotIndex::first(SlotIndex::COUNT) {
            state.vector().arm(slot);
        }
    }
}

pub(super) fn leave(lab: &KernelLab) {
    let cpu = percpu::pin();
    let tlb = lab.shootdown().machine().tlb();
    let error = match lab.members.mine().lock().take() {
        None => None,
        Some(Member::Software(member)) => member.leave(&cpu, tlb).err().map(|left| left.error),
        Some(Member::Unit(unit)) => unit.disable(&cpu, tlb).err().map(|left| left.error),
    };
    if let Some(error) = error {
        lab.give_up(format_args!("CPU {} stays online: {error}", cpu.id()));
    }
}
