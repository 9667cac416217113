//! Two CPUs that have interrupts disabled and spin.

use core::cell::Cell;

use loom::thread;
use rar_percpu::{CpuSet, Domain, PinnedCpu};
use rar_shootdown::{Instant, Machine, Message, NotSent};

use crate::models::{Model, Tlbs};

loom::thread_local! {
    /// How often this CPU has spun.
    pub(crate) static SPINS: Cell<u32> = Cell::new(0);
}

/// CPUs with interrupts disabled: they hear nothing, and answer only what they serve by themselves.
pub(crate) struct InterruptsDisabled(pub(crate) Model);

impl Machine<1> for InterruptsDisabled {
    type Tlb = Tlbs;

    fn tlb(&self) -> &Tlbs {
        self.0.tlb()
    }

    fn send(
        &self,
        message: Message,
        _: &PinnedCpu<'_>,
        _: &Domain<1>,
        _: &CpuSet<1>,
    ) -> Result<(), NotSent> {
        match message {
            Message::Nmi => Err(NotSent::Unsupported),
            _ => Ok(()),
        }
    }

    fn now(&self) -> Instant {
        self.0.now()
    }

    /// Yields: who waits here waits for the other CPU to get on.
    fn relax(&self) {
        SPINS.with(|spins| spins.set(spins.get() + 1));
        thread::yield_now();
    }
}
