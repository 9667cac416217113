//! What the laboratory keeps about one CPU.

use core::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};

use rar_suite::DeafTo;

/// An interrupt that a CPU may pretend not to notice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Heard {
    /// The signal.
    Signal = 1 << 0,
    /// The fallback.
    Fallback = 1 << 1,
}

const BOTH: u8 = Heard::Signal as u8 | Heard::Fallback as u8;

/// What the laboratory keeps about one CPU: on a line of its own, since others wait for what is
/// here.
#[derive(Debug)]
#[repr(align(64))]
pub(crate) struct CpuNotes {
    /// Which interrupts the CPU serves.
    deaf_to: AtomicU8,
    /// How often its self-interrupt was handled.
    pub(crate) own: AtomicU64,
    /// How many entries its unit had executed when it flushed everything last.
    pub(crate) executed: AtomicU64,
    /// The control register of its unit before it was made deaf; zero if it is not.
    pub(crate) control: AtomicU64,
    /// Whether the CPU has a unit, and answers by the handler of the signal nevertheless.
    by_handler: AtomicBool,
    /// How many interrupts it has handled that ask for nothing.
    pub(crate) bare_ipis: AtomicU64,
}

impl CpuNotes {
    pub(crate) const fn new() -> Self {
        Self {
            deaf_to: AtomicU8::new(BOTH),
            own: AtomicU64::new(0),
            executed: AtomicU64::new(0),
            control: AtomicU64::new(0),
            by_handler: AtomicBool::new(false),
            bare_ipis: AtomicU64::new(0),
        }
    }

    /// Returns whether the CPU serves this interrupt.
    pub(crate) fn hears(&self, kind: Heard) -> bool {
        self.deaf_to.load(Ordering::Acquire) & kind as u8 != 0
    }

    /// Sets whether the handler of the signal answers for the CPU although the CPU has a unit.
    pub(crate) fn set_by_handler(&self, by_handler: bool) {
        self.by_handler.store(by_handler, Ordering::Release);
    }

    /// Returns whether it does so although the CPU has a unit.
    pub(crate) fn has_switched_to_software(&self) -> bool {
        self.by_handler.load(Ordering::Acquire)
    }

    /// Sets which interrupts the CPU serves.
    pub(crate) fn set_deaf_to(&self, deaf_to: DeafTo) {
        let kinds = match deaf_to {
            DeafTo::Nothing => BOTH,
            DeafTo::Signals => Heard::Fallback as u8,
            DeafTo::Everything => 0,
        };
        self.deaf_to.store(kinds, Ordering::Release);
    }
}
