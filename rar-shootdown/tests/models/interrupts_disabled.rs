//! Two CPUs that have interrupts disabled and spin.

use core::cell::Cell;

use loom::thread;
use rar_percpu::{CpuSet, PinnedCpu};
use rar_shootdown::{Machine, Ticks};

use crate::models::{Model, Tlbs};

loom::thread_local! {
    /// How often this CPU has spun.
    pub(crate) static SPINS: Cell<u32> = Cell::new(0);
}

/// CPUs with interrupts disabled: they hear nothing, and answer only what they serve by themselves.
pub(crate) struct InterruptsDisabled(pub(crate) &'static Model);

impl Machine for InterruptsDisabled {
    type Tlb = Tlbs;

    fn tlb(&self) -> &Tlbs {
        self.0.tlb()
    }

    fn signal<const W: usize>(&self, _: &PinnedCpu<'_>, _: &CpuSet<W>) {}

    fn interrupt<const W: usize>(&self, _: &PinnedCpu<'_>, _: &CpuSet<W>) {}

    fn now(&self) -> Ticks {
        self.0.now()
    }

    /// Yields: who waits here waits for the other CPU to get on.
    fn relax(&self) {
        SPINS.with(|spins| spins.set(spins.get() + 1));
        thread::yield_now();
    }
}
