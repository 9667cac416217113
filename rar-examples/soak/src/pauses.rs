//! Pauses: times in which the host does not run a CPU.

use core::sync::atomic::Ordering;

use rar_suite::Platform;

use crate::cpu::Cpu;

/// When this CPU looked at its clock last.
pub(crate) struct LastLook(u64);

impl<L: Platform> Cpu<'_, L> {
    pub(crate) fn first_look(&self) -> LastLook {
        LastLook(self.platform.now().as_nanos())
    }

    /// Looks at the clock in a loop that waits: returns the time, and notes if this CPU did not run
    /// for long since the last look.
    pub(crate) fn look_again(&self, last: &mut LastLook) -> u64 {
        let now = self.platform.now().as_nanos();
        if now.saturating_sub(last.0) >= self.long_gap() {
            self.post().lost_time.store(now, Ordering::Release);
        }
        last.0 = now;
        now
    }

    /// Returns whether a CPU did not run for long since then, as far as each has noted it: all have
    /// if they have obeyed an order, or come to a barrier, in between.
    pub(crate) fn lost_time_since(&self, moment: u64) -> bool {
        (0..self.cpus()).any(|cpu| {
            let lost = self.shared.post(cpu).lost_time.load(Ordering::Acquire);
            lost >= moment
        })
    }

    /// How long a CPU may be away, in nanoseconds, before its late answer is no surprise.
    fn long_gap(&self) -> u64 {
        let given = self.platform.shootdown().policy().answer_timeout;
        u64::try_from(given.as_nanos() / 4).unwrap_or(u64::MAX)
    }
}
