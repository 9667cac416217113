//! How a CPU joins the domain and leaves it.

use rar_kernel::machine::send_fixed;
use rar_kernel::{irq, percpu, println};
use rar_percpu::{
    Enabled, LifeCycleError, PhysicalAddressOf, PinnedCpu, RarCpu, SlotIndex, SoftwareCpu,
};
use rar_regs::{InterruptPolicy, NativeCpu, RarSupport, SupportError};

use super::abort::{self, Cause};
use super::lab::KernelLab;
use super::lab_machine::LabMachine;
use super::members::Member;
use super::vector;

/// Table and vectors lie in frames, which are mapped one to one.
struct Identity;

// SAFETY: frames are contiguous RAM, mapped one to one, write-back, forever.
unsafe impl PhysicalAddressOf for Identity {
    fn physical_address_of(&self, virtual_address: *const (), _: usize) -> Option<u64> {
        Some(virtual_address.addr() as u64)
    }
}

/// The driver's TLB, which counts what it does.
fn tlb(lab: &KernelLab) -> &'static LabMachine {
    lab.shootdown.machine()
}

pub(crate) fn join(lab: &KernelLab) {
    lab.register();
    let cpu = percpu::pin();
    lab.notes(cpu.id()).set_by_handler(false);
    let machine = tlb(lab);
    let in_software =
        || SoftwareCpu::bring_online(lab.domain(), &cpu, tlb(lab)).map(Member::Software);
    let joined = match machine.support() {
        None => in_software(),
        Some(support) => enable(lab, &cpu, support)
            .map(Member::Unit)
            .or_else(|error| {
                match &error {
                    LifeCycleError::Support(error) => refuse_units(lab, &cpu, error),
                    LifeCycleError::UnitsRefused(_) => lab.notes(cpu.id()).set_by_handler(true),
                    // Every test detects it: the handler of the signal does nothing where units
                    // answer, and only the fallback flushes this CPU.
                    _ => println!("CPU {} goes on without RAR: {error}", cpu.id()),
                }
                in_software()
            }),
    };
    match joined {
        Ok(member) => {
            *lab.members.mine().lock() = Some(member);
            // Units may have been refused, and this CPU asked, before the member was there.
            if lab.domain().refuses_units() {
                switch_to_software(lab);
            }
        }
        Err(error) => give_up(format_args!(
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
    // SAFETY: 1. All of this kernel runs in ring 0. 2. `support` was detected on this machine, and
    // `detect` checks this CPU.
    let registers = unsafe { NativeCpu::new() };
    let unit = RarCpu::detect(lab.domain(), cpu, support, registers)?.configure(cpu, &Identity)?;
    // SAFETY: 1. Nothing resets the CPU in between. 2. Table and vectors are never given back. 3.
    // No code of this kernel keeps translations by disabling interrupts.
    unsafe { unit.bring_online(cpu, InterruptPolicy::IgnoreIf, tlb(lab)) }
}

/// Refuses the units of all CPUs, since this one has another RAR than the boot CPU, and asks those
/// that are online by their units to go on in software. Called before this CPU comes online.
fn refuse_units(lab: &KernelLab, cpu: &PinnedCpu<'_>, error: &SupportError) {
    let domain = lab.domain();
    tlb(lab).refuse_units(cpu.id());
    domain.refuse_units();
    // A CPU that is on its way up may be asked in vain: it looks for itself when it has come.
    let units = domain.answered_by_units();
    if let Err(error) = send_fixed(domain, &units, vector::SWITCH) {
        give_up(format_args!(
            "a CPU cannot be asked to give up its unit: {error}"
        ));
    }
    println!(
        "CPU {} has another RAR than the boot CPU: {error}; RAR is off on all CPUs, \
         and {} of them were using their units",
        cpu.id(),
        units.len()
    );
}

/// Firmware or an earlier kernel may have left anything in the memory of a CPU that is offline.
fn leave_something_behind(lab: &KernelLab, cpu: &PinnedCpu<'_>) {
    if let Some(state) = lab.domain().cpu(cpu.id()) {
        for slot in SlotIndex::all() {
            // SAFETY: 1. This CPU is offline: a flush that names it takes it for gone, whatever its
            // bytes say, and each byte is ended before it is online again.
            unsafe { state.vector().arm_unowned(slot) };
        }
    }
}

pub(crate) fn leave(lab: &KernelLab) {
    let cpu = percpu::pin();
    let member = lab.members.mine().lock().take();
    let _irq = irq::Disabled::new();
    let error = match member {
        None => None,
        // SAFETY: 1. Interrupts are disabled here; page tables of this kernel are never freed. 2.
        // What this CPU uses afterwards never changes, nor is it freed; except pages under test,
        // which lead to frames of the tests whatever translation is used.
        Some(Member::Software(member)) => unsafe { member.take_offline(&cpu, tlb(lab)) }
            .err()
            .map(|stayed| stayed.cause),
        // SAFETY: as above.
        Some(Member::Unit(unit)) => unsafe { unit.take_offline(&cpu, tlb(lab)) }
            .err()
            .map(|stayed| stayed.cause),
    };
    if let Some(error) = error {
        give_up(format_args!("CPU {} stays online: {error}", cpu.id()));
    }
}

/// Interrupts are disabled meanwhile, so that no handler finds the vector quiet and has it armed
/// again before the unit is enabled.
pub(crate) fn verify(lab: &KernelLab) {
    let cpu = percpu::pin();
    if let Some(Member::Unit(unit)) = &*lab.members.mine().lock()
        && let Err(error) = unit.verify(&cpu, tlb(lab))
    {
        give_up(format_args!(
            "the unit of CPU {} is lost: {error}",
            cpu.id()
        ));
    }
}

/// Has the handler of the signal answer for this CPU, which stays online.
pub(crate) fn switch_to_software(lab: &KernelLab) {
    let cpu = percpu::pin();
    let mut place = lab.members.mine().lock();
    let member = match place.take() {
        Some(Member::Unit(unit)) => {
            lab.notes(cpu.id()).set_by_handler(true);
            match unit.switch_to_software(&cpu, tlb(lab)) {
                Ok(member) => Some(Member::Software(member)),
                Err(stays) => give_up(format_args!(
                    "CPU {} keeps its unit: {}",
                    cpu.id(),
                    stays.cause
                )),
            }
        }
        other => other,
    };
    *place = member;
}

fn give_up(why: core::fmt::Arguments<'_>) -> ! {
    abort::give_up(Cause::Hung, why)
}
