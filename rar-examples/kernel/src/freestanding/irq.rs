//! Interrupts of this CPU: on, off, halted.

use core::arch::asm;

const INTERRUPT_FLAG: u64 = 1 << 9;

/// Returns whether this CPU takes interrupts.
#[must_use]
pub fn enabled() -> bool {
    let flags: u64;
    // SAFETY: reads RFLAGS through the stack, which a freestanding build does not use below RSP.
    unsafe { asm!("pushfq", "pop {}", out(reg) flags, options(nomem, preserves_flags)) };
    flags & INTERRUPT_FLAG != 0
}

/// Disables interrupts. Memory accesses stay on their side of it.
pub fn disable() {
    // SAFETY: ring 0. Not `nomem`: the compiler must not move accesses out of the section that
    // follows.
    unsafe { asm!("cli", options(nostack)) };
}

/// Enables interrupts. Memory accesses stay on their side of it.
pub fn enable() {
    // SAFETY: ring 0, and every vector has a handler from the start of a CPU on. Not `nomem`, as
    // above.
    unsafe { asm!("sti", options(nostack)) };
}

/// Enables interrupts and halts until one came; returns with interrupts enabled.
///
/// An interrupt that is already pending is taken at the halt: `STI` holds it back for exactly one
/// instruction (SDM vol. 2, "STI").
pub fn enable_and_halt() {
    // SAFETY: ring 0; as `enable`.
    unsafe { asm!("sti", "hlt", options(nostack)) };
}

/// Halts for good, without interrupts.
pub fn halt_forever() -> ! {
    loop {
        disable();
        // SAFETY: ring 0; nothing after it depends on being reached.
        unsafe { asm!("hlt", options(nomem, nostack)) };
    }
}

/// Ends the CPU that calls it by a triple fault: it shuts down, and on a machine without a shim all
/// others with it.
pub fn triple_fault() -> ! {
    let nothing = x86::dtables::DescriptorTablePointer::<u64> {
        limit: 0,
        base: core::ptr::null(),
    };
    // SAFETY: no exception or interrupt can be delivered from here on, which is what is wanted.
    unsafe { x86::dtables::lidt(&nothing) };
    // SAFETY: raises #UD, which cannot be handled.
    unsafe { asm!("ud2", options(noreturn)) }
}

/// Interrupts disabled while the value lives; then as before.
#[derive(Debug)]
#[must_use = "interrupts are enabled again when it is dropped"]
pub struct Disabled {
    enabled: bool,
    not_send: core::marker::PhantomData<*const ()>,
}

impl Disabled {
    /// Disables interrupts.
    pub fn new() -> Self {
        let enabled = enabled();
        disable();
        Self {
            enabled,
            not_send: core::marker::PhantomData,
        }
    }
}

impl Default for Disabled {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Disabled {
    fn drop(&mut self) {
        if self.enabled {
            enable();
        }
    }
}
