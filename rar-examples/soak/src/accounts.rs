//! The driver's counters: what a flush may use besides the signal.

use rar_suite::Platform;

use crate::cpu::Cpu;
use crate::doing::{COUNTERS, Doing};
use crate::failure::Kind;
use crate::tally::add;

/// Counters of the driver, in the order of [`COUNTERS`].
pub(crate) type Counters = [u64; COUNTERS.len()];

/// The indexes of some of them.
pub(crate) const FALLBACKS: usize = 0;
pub(crate) const BY_GENERATION: usize = 4;
pub(crate) const DEMOTIONS: usize = 6;
pub(crate) const ERRORS: usize = 7;

/// Returns how much each has counted since.
pub(crate) fn since(after: &Counters, before: &Counters) -> Counters {
    core::array::from_fn(|index| {
        let [after, before] = [after, before].map(|all| all.get(index).copied().unwrap_or(0));
        after.saturating_sub(before)
    })
}

/// Returns what one of them has counted.
pub(crate) fn of(counters: &Counters, index: usize) -> u64 {
    counters.get(index).copied().unwrap_or(0)
}

/// Returns whether all except these stay as they are.
pub(crate) fn only(counters: &Counters, allowed: &[usize]) -> bool {
    let mut counted = counters.iter().enumerate().filter(|(_, count)| **count > 0);
    counted.all(|(index, _)| allowed.contains(&index))
}

impl<L: Platform> Cpu<'_, L> {
    pub(crate) fn counters(&self) -> Counters {
        let counted = self.platform.shootdown().statistics();
        [
            counted.fallbacks,
            counted.resignals,
            counted.failures,
            counted.slotless,
            counted.by_generation,
            counted.unsent,
            counted.demotions,
            counted.errors,
        ]
    }

    /// Judges what was counted since `moment`, although no fault was injected.
    pub(crate) fn judge_counters(&self, counted: &Counters, moment: u64) {
        let first = counted.iter().position(|count| *count > 0);
        let Some(index) = first else { return };
        if self.lost_time_since(moment) {
            add(&self.shared.tally.pauses, 1);
            return;
        }
        add(&self.shared.tally.unexplained, 1);
        let doing = Doing::Counter(index);
        let place = (self.space(), 0);
        let count = of(counted, index);
        self.fail_as(Kind::OtherMeans, doing, self.me, place, 0, count);
    }
}
