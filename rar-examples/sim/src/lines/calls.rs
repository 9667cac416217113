//! An ordinary shootdown: a function call for each target in the target's queue, and an interrupt
//! where the queue was empty.

use std::sync::atomic::Ordering;

use rar_percpu::observed::{AtomicU32, AtomicU64, fence};
use rar_percpu::{CpuId, CpuSet};

use super::ground::{Apart, Ground, Space};
use crate::machine::Vector;
use crate::meter::{Kind, Meter};
use crate::schedule::step;

/// How many interrupts one command sends: the CPUs of a cluster.
const CLUSTER: usize = 16;

/// The request of one initiator to one target. It has its own line, which no other pair moves.
#[derive(Debug, Default)]
#[repr(align(64))]
struct Call {
    /// The next call in the queue, as its number plus one.
    next: AtomicU64,
    function: AtomicU64,
    /// The initiator whose [`Information`] belongs to it, plus one.
    argument: AtomicU64,
    /// Set by the initiator, cleared by the target at the end.
    locked: AtomicU32,
}

/// What an initiator flushes, for all its targets.
#[derive(Debug, Default)]
struct Information {
    start: AtomicU64,
    end: AtomicU64,
    generation: AtomicU64,
}

/// All queues and calls.
#[derive(Debug)]
pub(super) struct Calls {
    cpus: usize,
    /// For each target the first call, as its number plus one.
    queues: Vec<Apart<AtomicU64>>,
    /// For each target: whether it runs a kernel thread and can be skipped.
    lazy: Vec<Apart<AtomicU32>>,
    /// By initiator, then by target.
    calls: Vec<Call>,
    information: Vec<Apart<Information>>,
}

impl Calls {
    /// Returns room for calls of the first `initiators` CPUs to all of `cpus`.
    pub(super) fn new(initiators: u32, cpus: u32) -> Self {
        let (initiators, cpus) = (initiators as usize, cpus as usize);
        Self {
            cpus,
            queues: (0..cpus).map(|_| Apart::default()).collect(),
            lazy: (0..cpus).map(|_| Apart::default()).collect(),
            calls: (0..initiators * cpus).map(|_| Call::default()).collect(),
            information: (0..initiators).map(|_| Apart::default()).collect(),
        }
    }

    pub(super) fn name_in(&self, meter: &mut Meter) {
        meter.name_object(self.queues.as_slice(), Kind::Calls);
        meter.name_object(self.calls.as_slice(), Kind::Calls);
        meter.name_object(self.lazy.as_slice(), Kind::Identity);
        meter.name_object(self.information.as_slice(), Kind::Payload);
    }

    fn number(&self, initiator: u32, target: usize) -> usize {
        initiator as usize * self.cpus + target
    }

    fn call(&self, number: usize) -> &Call {
        match self.calls.get(number) {
            Some(call) => call,
            None => unreachable!("a call for each pair"),
        }
    }

    fn queue(&self, target: usize) -> &AtomicU64 {
        match self.queues.get(target) {
            Some(queue) => &queue.0,
            None => unreachable!("a queue for each CPU"),
        }
    }

    /// Queues a call; returns whether the queue was empty.
    fn queue_call(&self, number: usize, target: usize) -> bool {
        let call = self.call(number);
        while call.locked.load(Ordering::Acquire) != 0 {
            step();
        }
        call.locked.store(1, Ordering::Relaxed);
        call.function.store(1, Ordering::Relaxed);
        call.argument
            .store((number / self.cpus) as u64 + 1, Ordering::Relaxed);
        let mut first = 0;
        loop {
            call.next.store(first, Ordering::Relaxed);
            // No load before the exchange: that would move the line twice.
            let exchanged = self.queue(target).compare_exchange(
                first,
                number as u64 + 1,
                Ordering::Release,
                Ordering::Relaxed,
            );
            match exchanged {
                Ok(_) => return first == 0,
                Err(found) => first = found,
            }
        }
    }

    /// The interrupt handler of a CPU.
    pub(super) fn serve(&self, cpu: u32) {
        let mut next = self.queue(cpu as usize).swap(0, Ordering::AcqRel);
        while let Some(number) = next.checked_sub(1) {
            let call = self.call(index(number));
            next = call.next.load(Ordering::Relaxed);
            let _function = call.function.load(Ordering::Relaxed);
            let about = call.argument.load(Ordering::Relaxed);
            let about = about.saturating_sub(1);
            if let Some(information) = self.information.get(index(about)) {
                let Information {
                    start,
                    end,
                    generation,
                } = &information.0;
                for word in [generation, start, end] {
                    word.load(Ordering::Relaxed);
                }
            }
            call.locked.store(0, Ordering::Release);
        }
    }

    /// Flushes: one more generation of the space, a call to each target, an interrupt to each whose
    /// queue was empty, and a wait for each call.
    pub(super) fn flush(&self, ground: &Ground<'_, '_>, me: u32, initiator: u32) {
        let Space {
            targets,
            generation,
        } = ground.space(me);
        let information = self.information.get(initiator as usize);
        if let Some(Apart(information)) = information {
            let newest = generation.0.fetch_add(1, Ordering::SeqCst) + 1;
            information.start.store(0x40_0000, Ordering::Relaxed);
            information.end.store(0x40_1000, Ordering::Relaxed);
            information.generation.store(newest, Ordering::Relaxed);
        }
        fence(Ordering::SeqCst);
        let mut targets: CpuSet = targets.snapshot();
        ground.machine.domain().keep_online(&mut targets);
        targets.remove(CpuId::new(me));
        let is_lazy = |target: usize| {
            let lazy = self.lazy.get(target);
            lazy.is_some_and(|lazy| lazy.0.load(Ordering::Relaxed) != 0)
        };
        targets.retain(|target| !is_lazy(target.index()));
        let mut interrupted = Vec::new();
        for target in targets.iter() {
            if self.queue_call(self.number(initiator, target.index()), target.index()) {
                interrupted.push(target.get());
            }
        }
        for cluster in interrupted.chunks(CLUSTER) {
            step();
            for target in cluster {
                ground.machine.cpu(*target).interrupt(Vector::Own);
            }
        }
        for target in targets.iter() {
            let call = self.call(self.number(initiator, target.index()));
            while call.locked.load(Ordering::Acquire) != 0 {
                step();
            }
        }
    }
}

/// A number that was an index when it was stored.
fn index(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}
