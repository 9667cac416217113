//! Who is online in the domain.

use rar_percpu::{Enabled, LifeCycleError, PhysAddrOf, PinnedCpu, RarCpu, SlotIndex, SoftwareCpu};
use rar_regs::{InterruptPolicy, NativeCpu, RarSupport};
use rar_shootdown::Machine as _;
use rar_suite::Lab as _;

use super::{CPUS, DOMAIN, KernelLab};
use crate::freestanding::{SpinLock, percpu};
use crate::println;

/// Who answers for a CPU that is online.
enum Member {
    Software(SoftwareCpu<'static>),
    Unit(RarCpu<'static, NativeCpu, Enabled>),
}

/// For each CPU its place in the domain while it is online. Only that CPU takes its lock.
static MEMBERS: [SpinLock<Option<Member>>; CPUS] = [const { SpinLock::new(None) }; CPUS];

fn mine() -> &'static SpinLock<Option<Member>> {
    #[expect(
        clippy::indexing_slicing,
        reason = "CPUs are numbered below MAX_CPUS: the starter stops there"
    )]
    &MEMBERS[percpu::this().id().index()]
}

/// Statics of this kernel are mapped one to one.
struct Identity;

// SAFETY: statics lie in the image, which is contiguous RAM, mapped one to one, write-back, for ever.
unsafe impl PhysAddrOf for Identity {
    fn phys_addr_of(&self, virtual_address: *const (), _: usize) -> Option<u64> {
        Some(virtual_address.addr() as u64)
    }
}

pub(super) fn join(lab: &KernelLab) {
    let cpu = percpu::pin();
    let machine = lab.shootdown().machine();
    let joined = match machine.support() {
        None => SoftwareCpu::join(&DOMAIN, &cpu, machine.tlb()).map(Member::Software),
        Some(support) => enable(lab, &cpu, support)
            .map(Member::Unit)
            .or_else(|error| {
                // Every test will tell: a request to this CPU is lost, and only the fallback flushes it.
                println!("CPU {} goes on without RAR: {error}", cpu.id());
                SoftwareCpu::join(&DOMAIN, &cpu, machine.tlb()).map(Member::Software)
            }),
    };
    match joined {
        Ok(member) => *mine().lock() = Some(member),
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
    leave_something_behind(cpu);
    // SAFETY: 1. All of this kernel runs in ring 0. 2. `support` was detected on this machine, and `detect` checks this CPU.
    let registers = unsafe { NativeCpu::new() };
    let unit = RarCpu::detect(&DOMAIN, cpu, support, registers)?.configure(cpu, &Identity)?;
    // SAFETY: 1. Nothing resets the CPU in between. 2. Table and vectors are statics. 3. No code of this kernel keeps translations by
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
fn leave_something_behind(cpu: &PinnedCpu<'_>) {
    if let Some(state) = DOMAIN.cpu(cpu.id()) {
        for slot in SlotIndex::first(SlotIndex::COUNT) {
            state.vector().arm(slot);
        }
    }
}

pub(super) fn leave(lab: &KernelLab) {
    let cpu = percpu::pin();
    let tlb = lab.shootdown().machine().tlb();
    let error = match mine().lock().take() {
        None => None,
        Some(Member::Software(member)) => member.leave(&cpu, tlb).err().map(|left| left.error),
        Some(Member::Unit(unit)) => unit.disable(&cpu, tlb).err().map(|left| left.error),
    };
    if let Some(error) = error {
        lab.give_up(format_args!("CPU {} stays online: {error}", cpu.id()));
    }
}
