//! Histories of the simulator, each replayed through the model.
//!
//! Four CPUs: 0 and 1 start flushes, 2 and 3 are flushed. The driver is the one that ships, and
//! every access of it and of the units to shared memory is seen.

use std::sync::atomic::{AtomicU32, Ordering};

use rar_model::{Faults, Knobs};
use rar_payload::{PageRange, PageSize, Pcid, Request};
use rar_percpu::fake::pinned;
use rar_percpu::{CpuId, CpuSet, DEFAULT_WORDS};
use rar_shootdown::{Machine as _, Policy, Shootdown, TargetFn};
use rar_sim::machine::{Answering, Machine, MachineConfig, Member, steps};
use rar_sim::schedule::End;

use crate::model::Model;
use crate::recorder::{Driver, Recorder, TLB, page};
use crate::replay::{Divergence, Event, Seen, Visible, replay};
use crate::scenario::Scenario;
use crate::state::{Budget, Byte, INITIATORS, Responder, SLOTS, TARGETS};
const CPUS: u32 = (INITIATORS + TARGETS) as u32;

/// A history is stopped as hung after this many steps.
const MOST_STEPS: u64 = 400_000;

/// A kind of history.
#[derive(Clone, Copy, Debug)]
pub struct Kind {
    /// Its name.
    pub name: &'static str,
    backend: Answering,
    faults: Faults,
    /// CPU 3 goes offline and comes back.
    leaves: bool,
    /// What a history of the kind is about: some history has to show it.
    shows: fn(&Visible) -> bool,
    /// The unit breaks its contract: the history must not be one of the model.
    pub is_broken: bool,
}

const HEALTHY: Kind = Kind {
    name: "healthy",
    backend: Answering::Units,
    faults: Faults::NONE,
    leaves: false,
    shows: |seen| has_byte(seen, Byte::Pending),
    is_broken: false,
};

fn has_byte(seen: &Visible, byte: Byte) -> bool {
    seen.bytes.iter().flatten().any(|one| *one == byte)
}

/// All kinds.
pub const KINDS: &[Kind] = &[
    HEALTHY,
    Kind {
        name: "software",
        backend: Answering::Software,
        shows: |seen| has_byte(seen, Byte::Taken),
        ..HEALTHY
    },
    Kind {
        name: "refused",
        faults: Faults {
            fail_every: 3,
            ..Faults::NONE
        },
        shows: |seen| has_byte(seen, Byte::Failure),
        ..HEALTHY
    },
    Kind {
        name: "offline",
        leaves: true,
        shows: |seen| !seen.online[1] && seen.responders[1] == Responder::None,
        ..HEALTHY
    },
    Kind {
        name: "offline-software",
        backend: Answering::Software,
        leaves: true,
        shows: |seen| !seen.online[1] && seen.responders[1] == Responder::None,
        ..HEALTHY
    },
    Kind {
        name: "early-status",
        faults: Faults {
            early_status: u64::MAX,
            ..Faults::NONE
        },
        is_broken: true,
        ..HEALTHY
    },
    Kind {
        name: "success-without-flush",
        faults: Faults {
            lie: u64::MAX,
            ..Faults::NONE
        },
        is_broken: true,
        ..HEALTHY
    },
];

/// What is wrong with a history.
#[derive(Clone, Debug)]
pub enum Wrong {
    /// It is no run of the model.
    Differs(Box<Divergence>),
    /// It did not end in time, or a CPU did not come up.
    Endless,
}

impl std::fmt::Display for Wrong {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Differs(divergence) => divergence.fmt(f),
            Self::Endless => f.write_str("the history did not end"),
        }
    }
}

impl Kind {
    /// Returns the model that the histories have to follow.
    #[must_use]
    pub fn model(&self) -> Model {
        let responder = match self.backend {
            Answering::Units => Responder::Microcode,
            Answering::Software => Responder::Software,
        };
        Model {
            scenario: Scenario {
                name: "traces",
                responder,
                flushes: [2, 2],
                budget: Budget {
                    refused: if self.faults.fail_every > 0 { 8 } else { 0 },
                    leaves: u8::from(self.leaves),
                    ..Scenario::ALL[0].budget
                },
                ..Scenario::ALL[0]
            },
            mutant: None,
        }
    }

    /// Runs a history and returns what was seen of it; `None` if it hung.
    #[must_use]
    pub fn record(&self, seed: u64) -> Option<Vec<Event>> {
        let recorder: &'static Recorder = Box::leak(Box::default());
        let config = MachineConfig {
            backend: self.backend,
            knobs: vec![Knobs {
                faults: self.faults,
                ..Knobs::DEFAULT
            }],
            seed,
            preemption: 160,
            ..MachineConfig::new(CPUS)
        };
        let machine: &'static Machine<'static, TLB> =
            Box::leak(Box::new(Machine::new(recorder, config)));
        let driver: &'static Driver = Box::leak(Box::new(Shootdown::new(machine, Self::policy())));
        let support = machine
            .register_cpus(driver.domain())
            .ok()
            .and_then(|()| machine.detect().ok())?;
        driver.domain().limit_entries(SLOTS as u8);
        let _only_once = recorder.machine.set((machine, driver));
        let (ready, done) = (AtomicU32::new(0), AtomicU32::new(0));
        let body = |cpu: u32| {
            let member = machine.join(cpu, support).ok();
            if ready.fetch_add(1, Ordering::Relaxed) + 1 == CPUS {
                recorder.start();
            }
            while ready.load(Ordering::Relaxed) < CPUS {
                machine.relax();
            }
            if (cpu as usize) < INITIATORS {
                initiate(driver, recorder, cpu);
                done.fetch_add(1, Ordering::Relaxed);
                return;
            }
            if self.leaves && cpu + 1 == CPUS {
                (0..seed % 60).for_each(|_| machine.relax());
                leave_and_join(machine, cpu, member, support);
            }
            while done.load(Ordering::Relaxed) < INITIATORS as u32 {
                machine.relax();
            }
        };
        let end = machine.run(seed, &body, &mut |steps| steps < MOST_STEPS);
        let events = recorder.end();
        matches!(end, End::Complete(_)).then_some(events)
    }

    /// No history of these kinds comes near a deadline.
    fn policy() -> Policy {
        let mut policy = Policy::new();
        policy.answer_timeout = steps(50_000);
        policy.resignal_after = Some(steps(25_000));
        policy.fallback_timeout = steps(100_000);
        policy.slot_timeout = steps(50_000);
        policy
    }

    /// Returns whether the replay notices that a flush was taken out of a history.
    #[must_use]
    pub fn notices_a_missing_flush(&self, seed: u64) -> bool {
        let mut events = self.record(seed).unwrap_or_default();
        let flush = events.iter().position(|event| event.seen == Seen::Flush);
        flush.is_some_and(|flush| {
            events.remove(flush);
            replay(&self.model(), &events).is_err()
        })
    }

    /// Runs a history, and replays it through the model; returns how many events it has, and
    /// whether it shows what its kind is about.
    ///
    /// # Errors
    ///
    /// [`Wrong`], if it is no run of the model, or did not end.
    pub fn check(&self, seed: u64) -> Result<(usize, bool), Wrong> {
        let events = self.record(seed).ok_or(Wrong::Endless)?;
        let shows = events
            .iter()
            .any(|event| matches!(&event.seen, Seen::Memory(seen) if (self.shows)(seen)));
        match replay(&self.model(), &events) {
            Ok(_) => Ok((events.len(), shows)),
            Err(divergence) => Err(Wrong::Differs(Box::new(divergence))),
        }
    }
}

fn initiate(driver: &Driver, recorder: &Recorder, cpu: u32) {
    let targets = [2, 3].map(CpuId::new);
    let set = TargetFn(|_: &_| CpuSet::<DEFAULT_WORDS>::of(targets).unwrap_or_default());
    for flush in 0..crate::state::FLUSHES_EACH as u8 {
        let number = crate::state::flush_of(cpu as usize, flush);
        let (Ok(pcid), Ok(range)) = (
            Pcid::new(1),
            PageRange::new(page(number), 1, PageSize::Size4K),
        ) else {
            return;
        };
        recorder.label(cpu, Seen::PageTable);
        let flushed = driver
            .flush(&pinned(cpu), &[Request::Pages { pcid, range }], &set)
            .is_ok();
        recorder.label(cpu, Seen::Returned { flushed });
    }
}

fn leave_and_join(
    machine: &Machine<'_, TLB>,
    cpu: u32,
    member: Option<Member<'_, TLB>>,
    support: Option<rar_regs::RarSupport>,
) {
    let Some(member) = member else { return };
    machine.cpu(cpu).set_interrupts(false);
    if machine.leave(cpu, member).is_ok() {
        (0..10).for_each(|_| machine.relax());
        let _online = machine.join(cpu, support);
    }
    machine.cpu(cpu).set_interrupts(true);
}
