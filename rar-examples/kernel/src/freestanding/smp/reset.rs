//! INIT for a CPU that goes on afterwards: it asks, or has crashed; another one resets and starts
//! it, and it finds its way back to its own stack.

use core::arch::global_asm;
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use super::cpu_table::all;
use super::starter;
use crate::freestanding::cpu::tables::load_idt;
use crate::freestanding::kernel::kernel;
use crate::freestanding::percpu::{self, PerCpu};
use crate::freestanding::{apic, clock, irq};
use crate::println;

global_asm!(include_str!("reset.s"), options(att_syntax));

unsafe extern "C" {
    fn rar_kernel_suspend(place: *mut u64, wait: extern "C" fn() -> !);
    fn rar_kernel_resume(stack: u64) -> !;
}

/// What [`ASKING`] says when no CPU asks for a reset.
const NO_CPU: u32 = 0;
/// A CPU prepares, or is being reset.
const BUSY: u32 = u32::MAX;
/// The CPU is back, and its helper has not seen it yet.
const BACK: u32 = u32::MAX - 1;
/// How long a CPU may take from its start to its own stack.
const BACK_MILLISECONDS: u64 = 10_000;

/// The number, plus one, of the CPU that waits for INIT.
static ASKING: AtomicU32 = AtomicU32::new(NO_CPU);
/// The number, plus one, of the CPU that has crashed.
static CRASHED: AtomicU32 = AtomicU32::new(NO_CPU);
/// Where the CPU's registers are, and its page tables.
static STACK: AtomicU64 = AtomicU64::new(0);
static ROOT: AtomicU64 = AtomicU64::new(0);

/// Resets this CPU by INIT; returns when it runs again, as it was before, except what INIT does to
/// its local APIC and its RAR unit.
///
/// Another CPU must call [`help`] meanwhile.
pub fn reset() {
    leave_stack(wait_for_init);
}

/// Crashes this CPU: it halts with interrupts disabled, for any number of NMIs. Returns when
/// another CPU has called [`start_crashed`], as after [`reset`].
pub fn crash() {
    leave_stack(halt_crashed);
}

/// Lets this CPU do something that only INIT and start-up end; returns after both.
fn leave_stack(wait: extern "C" fn() -> !) {
    while ASKING
        .compare_exchange(NO_CPU, BUSY, Ordering::Acquire, Ordering::Relaxed)
        .is_err()
    {
        core::hint::spin_loop();
    }
    // SAFETY: CR3 is readable in ring 0.
    ROOT.store(unsafe { x86::controlregs::cr3() }, Ordering::Relaxed);
    // SAFETY: the place is this CPU's while it holds `ASKING`; `on_reset` returns here, on this
    // stack, and everything that a call must keep is kept on it.
    unsafe { rar_kernel_suspend(STACK.as_ptr(), wait) };
    ASKING.store(BACK, Ordering::Release);
}

extern "C" fn halt_crashed() -> ! {
    irq::disable();
    // Release pairs with the Acquire in `has_crashed`: stack and root are there.
    CRASHED.store(percpu::this().number() + 1, Ordering::Release);
    irq::halt_forever()
}

/// Returns whether this CPU has crashed.
#[must_use]
pub fn has_crashed(number: u32) -> bool {
    CRASHED.load(Ordering::Acquire) == number + 1
}

/// Starts a CPU that has crashed, by INIT and start-up; it goes on behind [`crash`].
///
/// # Errors
///
/// Says why it does not.
pub fn start_crashed(cpu: &'static PerCpu) -> Result<(), &'static str> {
    let crashed = cpu.number() + 1;
    if CRASHED
        .compare_exchange(crashed, NO_CPU, Ordering::Acquire, Ordering::Relaxed)
        .is_err()
    {
        return Err("it has not crashed");
    }
    bring_back(cpu)
}

extern "C" fn wait_for_init() -> ! {
    irq::disable();
    // Release pairs with the exchange in `help`: stack and root are there.
    ASKING.store(percpu::this().number() + 1, Ordering::Release);
    loop {
        core::hint::spin_loop();
    }
}

/// Resets and starts the CPU that asks for it, if there is one. For CPUs that wait for others.
pub fn help() {
    let asking = ASKING.load(Ordering::Relaxed);
    if [NO_CPU, BUSY, BACK].contains(&asking) {
        return;
    }
    let number = asking - 1;
    if ASKING
        .compare_exchange(asking, BUSY, Ordering::Acquire, Ordering::Relaxed)
        .is_err()
    {
        return;
    }
    let Some(cpu) = all().find(|cpu| cpu.number() == number) else {
        return;
    };
    percpu::this().make_detour();
    if let Err(why) = bring_back(cpu) {
        // The test that waits for it reports the rest.
        println!("CPU {number} is lost after INIT: {why}");
    }
}

/// Resets and starts the CPU that holds [`ASKING`], and waits until it is back on its stack.
fn bring_back(cpu: &'static PerCpu) -> Result<(), &'static str> {
    starter::start_again(cpu, STACK.load(Ordering::Relaxed), on_reset)?;
    let back = || ASKING.load(Ordering::Acquire) == BACK;
    if !clock::wait_until(BACK_MILLISECONDS, back) {
        return Err("it does not come back");
    }
    // The next CPU may ask when neither this one nor that one looks at the statics and the
    // trampoline any more.
    ASKING.store(NO_CPU, Ordering::Release);
    Ok(())
}

/// The first Rust code of a CPU after its reset, below what [`rar_kernel_suspend`] left on its own
/// stack.
extern "C" fn on_reset(cpu: &'static PerCpu) -> ! {
    // SAFETY: the memory of this CPU, as before.
    unsafe { percpu::enter(cpu) };
    // SAFETY: loaded on this CPU before, and interrupts are disabled.
    unsafe { cpu.tables().load_again() };
    load_idt();
    if let Some(kernel) = kernel() {
        kernel.control().set();
    }
    if let Some(apic) = apic::get() {
        apic.start();
    }
    // SAFETY: the page tables that this CPU ran on.
    unsafe { x86::controlregs::cr3_write(ROOT.load(Ordering::Relaxed)) };
    // SAFETY: what `leave_stack` calls never returns, so what was saved is still there.
    unsafe { rar_kernel_resume(STACK.load(Ordering::Relaxed)) }
}
