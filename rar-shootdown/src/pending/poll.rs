//! One look at a flush in flight.

use core::task::Poll;

use rar_percpu::{PinnedCpu, Posted, Progress};

use super::Pending;
use crate::error::FlushError;
use crate::machine::Machine;

impl<M: Machine<WORDS>, F, const WORDS: usize> Pending<'_, M, F, WORDS> {
    /// Looks once at the targets, escalates if they are late, and returns whether every one has
    /// flushed.
    ///
    /// Time passes only in calls of `poll` and the waits: a flush that is not polled is never late.
    ///
    /// # Errors
    ///
    /// As [`wait`](Self::wait). Polling again asks the late CPUs once more.
    pub fn poll(&mut self, cpu: &PinnedCpu<'_>) -> Poll<Result<(), FlushError>> {
        let entries = self.ordinary_entries();
        match entries.and_then(Posted::look_on_single) {
            Some(progress) => self.poll_after(cpu, progress),
            None => self.poll_otherwise(cpu),
        }
    }

    /// As [`poll`](Self::poll), for several entries, or targets that end in another way.
    #[inline(never)]
    fn poll_otherwise(&mut self, cpu: &PinnedCpu<'_>) -> Poll<Result<(), FlushError>> {
        match self.ordinary_entries().map(Posted::look_on) {
            Some(progress) => self.poll_after(cpu, progress),
            None => self.poll_slowly(cpu, None),
        }
    }

    #[inline(always)]
    fn poll_after(
        &mut self,
        cpu: &PinnedCpu<'_>,
        progress: Progress,
    ) -> Poll<Result<(), FlushError>> {
        match progress {
            Progress::Succeeded => Poll::Ready(Ok(())),
            Progress::Open => {
                let now = self.shootdown.machine().now();
                if self.timer.may_skip(now) {
                    return Poll::Pending;
                }
                self.poll_slowly(cpu, Some(now))
            }
            Progress::Refused => self.poll_slowly(cpu, None),
        }
    }
}
