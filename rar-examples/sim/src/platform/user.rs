//! Loads in a loop: the user mode of the simulated machine.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use rar_percpu::CpuId;
use rar_suite::{Page, Platform as _, UserMode};

use super::SimPlatform;
use crate::schedule::step;

/// The spin of one CPU.
#[derive(Debug, Default)]
pub(super) struct Spin {
    rounds: AtomicU64,
    ending: AtomicBool,
}

impl SimPlatform<'_> {
    fn spin_of(&self, cpu: u32) -> &Spin {
        #[expect(clippy::indexing_slicing, reason = "one for each CPU of the machine")]
        &self.spins[cpu as usize]
    }
}

impl UserMode for SimPlatform<'_> {
    fn spin(&self, page: Page, value: u64, milliseconds: u64) -> u64 {
        let spin = self.spin_of(self.me());
        spin.ending.store(false, Ordering::Release);
        let (begin, limit) = (self.ticks(), milliseconds * self.ticks_per_millisecond());
        loop {
            let found = self.load(page, 0).unwrap_or(u64::MAX);
            let late = self.ticks().saturating_sub(begin) > limit;
            if found != value || late || spin.ending.load(Ordering::Acquire) {
                spin.rounds.store(0, Ordering::Release);
                return found;
            }
            spin.rounds.fetch_add(1, Ordering::Release);
        }
    }

    fn rounds(&self, cpu: CpuId) -> u64 {
        step();
        self.spin_of(cpu.get()).rounds.load(Ordering::Acquire)
    }

    fn leave(&self, cpu: CpuId) {
        self.spin_of(cpu.get())
            .ending
            .store(true, Ordering::Release);
    }
}
