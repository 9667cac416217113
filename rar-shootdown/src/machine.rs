//! What the operating system supplies.

use rar_percpu::{CpuSet, LocalTlb, PinnedCpu};

/// A moment on the machine's clock, in ticks of any fixed length that all CPUs agree on (for example the TSC).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Ticks(pub u64);

impl Ticks {
    /// Returns whether this moment is more than `duration` ticks after `start`.
    #[must_use]
    pub fn is_past(self, start: Self, duration: u64) -> bool {
        // A clock that steps back a little between CPUs must not look like an age.
        self.0.saturating_sub(start.0) > duration
    }
}

/// What a [`Shootdown`](crate::Shootdown) needs of the machine it runs on: one trait, implemented once per kernel.
///
/// The methods are called on the flush path, some with interrupts disabled and some from interrupt handlers. None may wait
/// for another CPU, take a lock that another CPU can hold while it waits, or start a flush.
pub trait Machine {
    /// The TLB of the CPU that the code runs on.
    type Tlb: LocalTlb;

    /// Returns the TLB of the CPU that the code runs on.
    fn tlb(&self) -> &Self::Tlb;

    /// Tells the targets to look at their action vectors.
    ///
    /// With RAR: interrupt commands with delivery mode 011b, in as few writes as the addressing allows. Without: an ordinary
    /// interrupt, whose handler calls [`Shootdown::serve`](crate::Shootdown::serve).
    ///
    /// Everything stored before must be visible to a target that gets the signal. The senders of `rar-regs` execute the fence that a
    /// write to an x2APIC register needs.
    fn signal<const WORDS: usize>(&self, cpu: &PinnedCpu<'_>, targets: &CpuSet<WORDS>);

    /// Interrupts the targets by the ordinary way, so that each calls [`Shootdown::serve`](crate::Shootdown::serve): the way out when the signal was not answered.
    fn interrupt<const WORDS: usize>(&self, cpu: &PinnedCpu<'_>, targets: &CpuSet<WORDS>);

    /// Returns the time.
    fn now(&self) -> Ticks;

    /// Lets a moment pass inside a spin: `PAUSE`.
    fn relax(&self) {
        core::hint::spin_loop();
    }
}
