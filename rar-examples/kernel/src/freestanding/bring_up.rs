//! What makes a CPU answer traps and interrupts.

use super::cpu::ist_stacks::IstStacks;
use super::cpu::tables::load_idt;
use super::kernel::Kernel;
use super::percpu::PerCpu;
use super::{apic, irq, left_behind};

/// Makes the CPU that runs this answer traps and interrupts: descriptor tables, control registers,
/// APIC.
///
/// # Safety
///
/// The memory belongs to this CPU, it has entered it, and interrupts are disabled.
pub(crate) unsafe fn become_ready(cpu: &'static PerCpu, kernel: &Kernel) {
    // SAFETY: the caller's promise.
    unsafe { take_traps(cpu) };
    // SAFETY: the caller's promise, and its traps work now.
    unsafe { answer(cpu, kernel) };
}

/// Makes the CPU that runs this survive traps.
///
/// # Safety
///
/// As for [`become_ready`].
#[expect(clippy::panic, reason = "a CPU without stacks cannot go on")]
pub(super) unsafe fn take_traps(cpu: &'static PerCpu) {
    let stacks = IstStacks::new().unwrap_or_else(|error| {
        panic!("no memory for the stacks of CPU {}: {error}", cpu.number())
    });
    // SAFETY: 1. the CPU's own tables, with interrupts disabled. 2. Stacks made just now.
    unsafe { cpu.tables().load(stacks.tops()) };
    load_idt();
}

/// Makes the CPU that runs this answer interrupts.
///
/// # Safety
///
/// As for [`become_ready`], after [`take_traps`].
pub(super) unsafe fn answer(cpu: &'static PerCpu, kernel: &Kernel) {
    // Loading a segment register does not touch the GS base unless it is GS itself, which is never
    // loaded.
    kernel.control().set();
    left_behind::look();
    if let Some(apic) = apic::get() {
        apic.start();
        cpu.set_apic_id(apic.id());
    }
    defmt::info!("CPU {} with {} is ready", cpu.id(), cpu.apic_id());
    cpu.set_ready();
    irq::enable();
}
