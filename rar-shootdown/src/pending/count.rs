//! How the wait for a flush is counted, if flushes are.

use rar_percpu::PinnedCpu;

use super::{Pending, Trail};
use crate::counting::Counting;
use crate::machine::Machine;

impl<M: Machine<WORDS>, F, const WORDS: usize> Pending<'_, M, F, WORDS> {
    /// The targets were signalled.
    pub(crate) fn begin_count(&mut self) {
        let shootdown = self.shootdown;
        if shootdown.policy().counting == Counting::Waits && !self.unflushed().is_empty() {
            let trail = &mut self.trail;
            trail.get_or_insert_with(|| Trail::begin(shootdown.machine().now()));
        }
    }

    /// Every target has flushed.
    #[inline]
    pub(super) fn count_end(&mut self, cpu: &PinnedCpu<'_>) {
        if self.shootdown.counts_flushes() {
            self.count_wait(cpu);
        }
    }

    #[cold]
    fn count_wait(&mut self, cpu: &PinnedCpu<'_>) {
        let shootdown = self.shootdown;
        // Once, however often the end is looked at.
        let Some(trail) = self.trail.take() else {
            return;
        };
        let nanoseconds = trail.nanoseconds_until(shootdown.machine().now());
        shootdown.count_wait(cpu, nanoseconds);
    }
}
