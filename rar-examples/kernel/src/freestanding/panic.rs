//! The end by panic or exception: one CPU reports, the others are frozen.

use core::fmt;
use core::panic::PanicInfo;
use core::sync::atomic::{AtomicU32, Ordering};

use super::atomic_fn::{AtomicFn, FunctionPointer};
use super::cpu::trap_frame::TrapFrame;
use super::exit::{ExitCode, end};
use super::smp::cpu_table;
use super::{console, irq, log, nmi, percpu, screen};
use crate::println;

const NO_CPU: u32 = 0;

/// Number of the CPU that panicked first, plus one.
static PANICKED: AtomicU32 = AtomicU32::new(NO_CPU);
static HOOK: AtomicFn<PanicHook> = AtomicFn::new();

/// What ends the machine after the message of a panic. The other CPUs still run: the hook stops
/// them.
pub type PanicHook = fn(fmt::Arguments<'_>) -> !;

// SAFETY: a function pointer.
unsafe impl FunctionPointer for PanicHook {}

/// Names the function that ends the machine after a panic. Without one all CPUs halt.
pub fn set_panic_hook(hook: PanicHook) {
    HOOK.set(hook);
}

#[panic_handler]
fn on_panic(info: &PanicInfo<'_>) -> ! {
    match info.location() {
        Some(place) => die(format_args!("{place}: {}", info.message()), None),
        None => die(format_args!("{}", info.message()), None),
    }
}

/// Freezes the other CPUs, reports what happened, and ends the machine. A second panic on the way
/// ends it at once.
pub(crate) fn die(what: fmt::Arguments<'_>, frame: Option<&TrapFrame>) -> ! {
    irq::disable();
    let me = percpu::this().number() + 1;
    if let Err(first) = PANICKED.compare_exchange(NO_CPU, me, Ordering::AcqRel, Ordering::Acquire) {
        if first == me {
            end(ExitCode::Panic);
        }
        irq::halt_forever();
    }
    let hook = HOOK.get();
    let others = cpu_table::all().filter(|_| hook.is_none());
    for cpu in others.filter(|cpu| cpu.is_ready() && cpu.number() + 1 != me) {
        // Nothing can be done about a CPU that the message does not reach.
        let _ = nmi::send_nmi(cpu);
    }
    console::seize();
    screen::seize();
    println!(
        "PANIC on CPU {} (APIC id {}): {what}",
        me - 1,
        percpu::this().apic_id().get()
    );
    // SAFETY: ring 0; reading control registers has no effect.
    let cr3 = unsafe { x86::controlregs::cr3() };
    // SAFETY: as above.
    let cr4 = unsafe { x86::controlregs::cr4() };
    println!(
        "  cr3 {cr3:016x}  cr4 {:08x}  nmi {}",
        cr4.bits(),
        percpu::this().in_nmi()
    );
    if let Some(frame) = frame {
        println!("{frame}");
    }
    log::drain_after_panic();
    if let Some(hook) = hook {
        hook(format_args!("panic on CPU {}: {what}", me - 1));
    }
    end(ExitCode::Panic)
}

/// Stops this CPU if another one panicked. Called from the NMI handler.
pub(crate) fn freeze_if_wanted() {
    let panicked = PANICKED.load(Ordering::Acquire);
    if HOOK.get().is_none() && panicked != NO_CPU && panicked != percpu::this().number() + 1 {
        irq::halt_forever();
    }
}
