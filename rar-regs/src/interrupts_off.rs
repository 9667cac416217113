//! Maskable interrupts, off for a few instructions.

use x86::bits64::rflags::{self, RFlags};
use x86::irq;

/// RFLAGS.IF of the executing CPU. Tests put a fake in its place, as a process may not write the
/// flag.
pub(crate) trait InterruptFlag {
    fn is_on(&self) -> bool;
    fn switch_off(&self);
    fn switch_on(&self);
}

/// The flag itself. Used by functions that demand privilege level 0 only.
pub(crate) struct NativeFlag;

impl InterruptFlag for NativeFlag {
    fn is_on(&self) -> bool {
        rflags::read().contains(RFlags::FLAGS_IF)
    }

    fn switch_off(&self) {
        // SAFETY: each user of the type demands privilege level 0.
        unsafe { irq::disable() }
    }

    fn switch_on(&self) {
        // SAFETY: as above; `InterruptsOff` switches on only what it switched off.
        unsafe { irq::enable() }
    }
}

/// Interrupts are off while this lives. Dropping it restores the flag.
pub(crate) struct InterruptsOff<'a, F: InterruptFlag> {
    flag: &'a F,
    were_on: bool,
}

impl<'a, F: InterruptFlag> InterruptsOff<'a, F> {
    pub(crate) fn enter(flag: &'a F) -> Self {
        let were_on = flag.is_on();
        flag.switch_off();
        Self { flag, were_on }
    }
}

impl<F: InterruptFlag> Drop for InterruptsOff<'_, F> {
    fn drop(&mut self) {
        if self.were_on {
            self.flag.switch_on();
        }
    }
}
