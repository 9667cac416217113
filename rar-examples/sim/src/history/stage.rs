//! What the CPUs of an episode have in common, and the flushes that they start.

use std::mem::ManuallyDrop;
use std::sync::Mutex;

use rar_payload::Request;
use rar_percpu::DEFAULT_WORDS;
use rar_percpu::fake::pinned;
use rar_regs::RarSupport;
use rar_shootdown::{Pending, Shootdown, TargetSet};

use super::counts::{Counts, count};
use super::world::World;
use crate::machine::{Machine, lock};

/// How many translations a CPU of a history caches: all that exist, so that nothing stale is
/// evicted.
pub const TLB: usize = 128;

/// What the CPUs of a history have in common.
pub(crate) struct Stage<'m> {
    pub(crate) world: &'m World<'m>,
    pub(crate) machine: &'m Machine<'m, TLB>,
    pub(crate) shootdown: &'m SimShootdown<'m>,
    pub(crate) support: Option<RarSupport>,
    pub(crate) counts: Counts,
    /// Flushes in flight without a waiting CPU.
    pub(crate) queue: Mutex<Vec<ManuallyDrop<Flight<'m>>>>,
}

/// The driver of a history.
pub type SimShootdown<'m> = Shootdown<&'m Machine<'m, TLB>>;

/// How many waits make a flush count as endless.
const WAITS: usize = 40;

/// A flush in flight that owns frames.
pub(crate) struct Flight<'m> {
    pending: Pending<'m, &'m Machine<'m, TLB>, Vec<u64>, DEFAULT_WORDS>,
    name: &'static str,
    /// The CPU that started it.
    cpu: u32,
}

impl<'m> Stage<'m> {
    /// Flushes, then frees `gone`. A failed flush is restarted and queued, with `gone`.
    pub(super) fn flush(
        &self,
        cpu: u32,
        requests: &[Request],
        targets: &impl TargetSet,
        gone: &[u64],
        name: &'static str,
    ) -> bool {
        count(&self.counts.flushes);
        let flushed = self.shootdown.flush(&pinned(cpu), requests, targets);
        if flushed.is_err() {
            count(&self.counts.errors);
            self.queue(self.start(cpu, requests, targets, gone.to_vec(), name));
            return false;
        }
        self.free(gone, name);
        true
    }

    pub(super) fn start(
        &self,
        cpu: u32,
        requests: &[Request],
        targets: &impl TargetSet,
        gone: Vec<u64>,
        name: &'static str,
    ) -> Flight<'m> {
        count(&self.counts.flushes);
        let pending = self.shootdown.start(&pinned(cpu), requests, targets, gone);
        Flight { pending, name, cpu }
    }

    /// Waits once. A flush that does not end is queued. Returns whether it ended.
    pub(super) fn wait(&self, cpu: u32, flight: Flight<'m>) -> bool {
        let Flight {
            pending,
            name,
            cpu: starter,
        } = flight;
        match pending.wait(&pinned(cpu)) {
            Ok(gone) => {
                self.free(&gone, name);
                true
            }
            Err(late) => {
                count(&self.counts.errors);
                self.queue(Flight {
                    pending: late.pending,
                    name,
                    cpu: starter,
                });
                false
            }
        }
    }

    pub(super) fn queue(&self, flight: Flight<'m>) {
        lock(&self.queue).push(ManuallyDrop::new(flight));
    }

    pub(super) fn take_from_queue(&self) -> Option<Flight<'m>> {
        let mut queue = lock(&self.queue);
        let oldest = (!queue.is_empty()).then(|| queue.remove(0));
        oldest.map(ManuallyDrop::into_inner)
    }

    /// Polls the oldest flush of the queue once.
    pub(super) fn poll(&self, cpu: u32) {
        let Some(Flight {
            pending,
            name,
            cpu: starter,
        }) = self.take_from_queue()
        else {
            return self.skip();
        };
        match pending.try_wait(&pinned(cpu)) {
            Ok(gone) => {
                if starter != cpu {
                    count(&self.counts.ended_elsewhere);
                }
                self.free(&gone, name);
            }
            Err(pending) => self.queue(Flight {
                pending,
                name,
                cpu: starter,
            }),
        }
    }

    /// Ends every queued flush: all CPUs serve by now.
    pub(super) fn empty_queue(&self, cpu: u32) {
        while let Some(Flight {
            mut pending, name, ..
        }) = self.take_from_queue()
        {
            for wait in 0.. {
                match pending.wait(&pinned(cpu)) {
                    Ok(gone) => {
                        self.free(&gone, name);
                        break;
                    }
                    Err(_) if wait == WAITS => {
                        count(&self.counts.stuck);
                        break;
                    }
                    Err(late) => pending = late.pending,
                }
            }
        }
    }

    /// Records `gone` as free, after a flush that returned.
    pub(super) fn free(&self, gone: &[u64], name: &'static str) {
        gone.iter()
            .for_each(|frame| self.world.oracle.frees(*frame, name));
    }

    pub(super) fn skip(&self) {
        count(&self.counts.skipped);
    }
}
