//! The shim's contract besides RAR units: a second launch is refused, and a CPU that dies
//! is reported and can be started again.

use rar_kernel::{apic, clock, irq, println, smp};
use rar_kernel_lab::shim::{self, LaunchError};
use rar_kernel_lab::{
    cpuid_follows_cr4, guest_counters, hidden_memory, new_owner, single_steps_end,
};
use rar_percpu::CpuId;

/// How long a CPU may take to die.
const MILLISECONDS: u64 = 10_000;
/// The exit code of a shutdown, which ends a triple fault.
const SHUTDOWN: u64 = 0x7f;

/// Makes the checks and says what failed; the last CPU is lost on the way, so nothing else can
/// follow.
pub(crate) fn check() -> Result<(), &'static str> {
    if !shim::registers_survive() {
        return Err("a stay in the shim changed a register");
    }
    if !cpuid_follows_cr4() {
        return Err("CPUID does not show what CR4 has enabled");
    }
    if !single_steps_end() {
        return Err("an instruction that the shim carried out ended without its single step");
    }
    match shim::try_launch() {
        Some(Err(LaunchError::AlreadyLaunched)) => {}
        _ => return Err("a second launch is not refused as one"),
    }
    new_owner::overwrite_tables()?;
    guest_counters::check()?;
    let last = smp::cpus().map_or(1, smp::Cpus::online) - 1;
    let Some(id) = smp::apic_id(last).filter(|_| last > 0) else {
        return Ok(());
    };
    smp::run_on_all(die_if_last);
    let gone = || shim::gone(id.get());
    if !clock::wait_until(MILLISECONDS, || gone().is_some()) {
        return Err("a triple fault was not reported");
    }
    if gone() != Some(SHUTDOWN) {
        return Err("a triple fault was reported as something else");
    }
    let others = || smp::all().filter(|cpu| cpu.number() != last);
    if !clock::wait_until(MILLISECONDS, || smp::done(others())) {
        return Err("the other CPUs did not outlive a triple fault");
    }
    let waits = || shim::waits_for_startup(id.get());
    if waits() {
        return Err("a CPU that died is shown as one that waits for start-up");
    }
    apic::send_init(id).map_err(|_| "INIT was not sent")?;
    if !clock::wait_until(MILLISECONDS, waits) {
        return Err("a CPU that was reset is not shown as one that waits for start-up");
    }
    smp::restart(id)?;
    if gone().is_some() || waits() {
        return Err("a CPU that was started again is still reported as gone");
    }
    let hides = hidden_memory::lose(id, |number| number == last)?;
    if hides {
        smp::restart(id)?;
    }
    let hides = if hides {
        "hides memory"
    } else {
        "hides no memory without nested paging"
    };
    println!(
        "shim: registers survive it, a second launch was refused, \
         its counters are those of CPUID, it needs no tables of the kernel's, \
         CPU {last} died alone and was started again, it {hides}"
    );
    Ok(())
}

fn die_if_last(cpu: CpuId) {
    if cpu.get() + 1 == smp::cpus().map_or(1, smp::Cpus::online) {
        irq::triple_fault();
    }
}
