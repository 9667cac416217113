//! The one orchestrator of this kernel, and what it needs of the machine.

use core::num::NonZero;
use core::ptr::{NonNull, with_exposed_provenance_mut};

use rar_kernel::{Once, clock, set_interrupt_handler};
use rar_shootdown::rar_percpu::NativeTlb;
use rar_shootdown::rar_regs::{LocalApic, NativeCpu};
use rar_shootdown::{NmiHandler, Policy, Shootdown, TscClock, X86Machine};

use crate::guard::Pinned;

/// Room for 64 CPUs: one word of a CPU set.
pub(crate) type KernelShootdown = Shootdown<X86Machine, 1>;

static SHOOTDOWN: Once<KernelShootdown> = Once::new();

/// The vector of the ordinary interrupt: the signal where software answers, the fallback where
/// microcode does.
const VECTOR: u8 = 0xe8;

/// Returns the orchestrator.
pub(crate) fn get() -> Option<&'static KernelShootdown> {
    SHOOTDOWN.get()
}

/// Makes the orchestrator, once, on the boot CPU, after the clock was calibrated and before any CPU
/// comes online.
pub(crate) fn start() -> Result<(), &'static str> {
    let khz = NonZero::new(clock::ticks_per_millisecond()).ok_or("the TSC has no frequency")?;
    let clock = TscClock::from_khz(khz);
    // SAFETY: 1. This kernel runs in ring 0. 2. The CPUs of one machine offer the same. 3. No
    // handler changes CR3 or CR4.
    let tlb = unsafe { NativeTlb::new() };
    // SAFETY: 1. Ring 0. 2. No `RarSupport` is used with it here.
    let registers = unsafe { NativeCpu::new() };
    // In xAPIC mode this kernel has mapped the registers one to one.
    let page = |address: u64| NonNull::new(with_exposed_provenance_mut(address as usize));
    // SAFETY: 1. Ring 0, and every CPU has a local APIC. 2. As said. 3. All CPUs are up with their
    // APICs in one mode, which this kernel changes no more.
    let apic = unsafe { LocalApic::detect(&registers, page) }.map_err(|_| "no local APIC")?;
    // SAFETY: 1. As above, on every CPU; the NMI handler sends nothing. 2. `serve` is the handler
    // of the vector, and the kernel ends the interrupt. 3. The NMI handler is another.
    let machine = unsafe { X86Machine::new(apic, tlb, clock, VECTOR, NmiHandler::Other) };
    set_interrupt_handler(VECTOR, |_| serve());
    SHOOTDOWN.set(Shootdown::new(machine, Policy::new()));
    Ok(())
}

/// What every spin of this kernel calls, and the handler of [`VECTOR`].
pub(crate) fn serve() {
    if let Some(shootdown) = get() {
        shootdown.serve(&Pinned::new().cpu());
    }
}
