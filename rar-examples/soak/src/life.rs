//! The life of the small kernel: scene after scene.

use core::sync::atomic::Ordering;

use rar_suite::{Disturbances, Outcome, Platform, Record, Space};
use rar_vocabulary::{Soak, Text};

use crate::cpu::Cpu;
use crate::failure::Failure;
use crate::follower::Follower;
use crate::layout::{MOST_CPUS, bit};
use crate::leader::Leader;
use crate::mood::Mood;
use crate::options::{Limit, SoakOptions};
use crate::random::Random;
use crate::shared::Shared;

/// The name of a soak in records.
const NAME: &str = "soak";
/// A record of progress comes about once in that many milliseconds.
const PROGRESS: u64 = 1_000;
/// One of how many scenes is a storm.
const STORMS: u32 = 6;
/// The longest reason, in bytes.
const LONGEST: usize = 240;
/// Stands for no CPU in particular.
const ALL: u64 = u64::MAX;

/// What the CPUs of a soak share. One value, for example in a `static`; it serves one soak.
#[derive(Debug)]
pub struct Life {
    shared: Shared,
}

/// How a soak ended.
#[derive(Clone, Copy, Debug)]
pub struct Verdict {
    /// What was counted.
    pub counts: Soak,
    /// The first thing that went wrong.
    pub failure: Option<Failure>,
}

impl Verdict {
    /// Returns whether nothing went wrong.
    #[must_use]
    pub const fn passed(&self) -> bool {
        self.failure.is_none()
    }
}

impl Life {
    /// Returns a soak that has not run.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            shared: Shared::new(),
        }
    }

    /// Runs the soak. Every CPU calls it once, online, and all return the same verdict.
    ///
    /// One CPU at a time flushes, except in storms. The others cache the translations that are to
    /// change, and judge them afterwards. CPU 0 emits a [`Record::Soak`] about once a second, and
    /// the records that a test has.
    pub fn run<L: Platform>(&self, platform: &L, options: &SoakOptions) -> Verdict {
        let cpu = Cpu::new(&self.shared, platform);
        if cpu.cpus() > MOST_CPUS {
            platform.give_up(format_args!(
                "a soak has room for {MOST_CPUS} CPUs (got {})",
                cpu.cpus()
            ));
        }
        let started = milliseconds(platform);
        set_up(&cpu);
        let mut told = started;
        let (mut scene, mut last) = (0, 0);
        while !self.shared.ended.load(Ordering::Acquire) {
            play(&cpu, options, scene, last);
            scene += 1;
            cpu.settle_counts();
            cpu.barrier();
            // No CPU gives orders between the two barriers.
            last = self.shared.order.word();
            if cpu.me == 0 {
                let now = milliseconds(platform);
                let flushes = self.shared.tally.flushes();
                let is_over = match options.limit {
                    Limit::Milliseconds(most) => now.saturating_sub(started) >= most,
                    Limit::Flushes(most) => flushes >= most,
                };
                let ended = is_over || self.shared.failure.is_set();
                if ended || now.saturating_sub(told) >= PROGRESS {
                    told = now;
                    let counts = self.counts(&cpu, now.saturating_sub(started));
                    platform.emit(&Record::Soak(&counts));
                }
                self.shared.ended.store(ended, Ordering::Release);
            }
            cpu.barrier();
        }
        if platform.units().is_some() && !self.shared.failure.is_set() {
            refuse_units(&cpu, options, scene, last);
            cpu.settle_counts();
            cpu.barrier();
        }
        cpu.leave_lazy();
        let verdict = Verdict {
            counts: self.counts(&cpu, milliseconds(platform).saturating_sub(started)),
            failure: self.shared.failure.get(),
        };
        cpu.barrier();
        if cpu.me == 0 {
            tell_end(&cpu, &verdict);
        }
        cpu.barrier();
        verdict
    }

    fn counts<L: Platform>(&self, cpu: &Cpu<'_, L>, milliseconds: u64) -> Soak {
        let online = cpu.platform.shootdown().domain().online().len();
        let online = u32::try_from(online).unwrap_or(u32::MAX);
        self.shared.tally.read(milliseconds, online)
    }
}

impl Default for Life {
    fn default() -> Self {
        Self::new()
    }
}

fn milliseconds<L: Platform>(platform: &L) -> u64 {
    platform.now().as_nanos() / 1_000_000
}

/// Maps all pages; every CPU then runs in the first space.
fn set_up<L: Platform>(cpu: &Cpu<'_, L>) {
    if cpu.me == 0 {
        cpu.platform.emit(&Record::Start {
            backend: cpu.platform.backend().name(),
            cpus: cpu.cpus(),
            tests: 1,
            runs: 1,
            initiators: 1,
        });
        cpu.platform.emit(&Record::Begin {
            name: NAME,
            initiator: 0,
        });
        cpu.map_at_first();
        cpu.fill_pcids();
        let shared = cpu.shared;
        let first = bit(Space::First);
        shared.alive.store(first, Ordering::Release);
        shared.open.store(first, Ordering::Release);
    }
    cpu.map_storm_page(1);
    cpu.post().storm_published.store(1, Ordering::Release);
    cpu.barrier();
    cpu.enter(Space::First, &mut Random::new(0, 0, ALL));
    cpu.platform.flush_own_tlb();
    cpu.barrier();
}

/// One scene: its cast is the same on all CPUs, since it depends on the seed only. `last` is the
/// order that ended the scene before.
fn play<L: Platform>(cpu: &Cpu<'_, L>, options: &SoakOptions, scene: u64, last: u64) {
    let mut cast = Random::new(options.seed, scene, ALL);
    let is_storm = cast.one_in(STORMS) && cpu.cpus() > 1;
    let (leader, mood) = (cast.below(cpu.cpus()), Mood::choose(&mut cast));
    let mut random = Random::new(options.seed, scene, u64::from(cpu.me));
    if is_storm {
        cpu.storm(&mut random, mood != Mood::Calm);
    } else if cpu.me == leader {
        Leader::new(cpu, random, options, mood).lead();
    } else {
        Follower::new(cpu, random, mood).follow(last);
    }
}

/// The last scene, on a machine with units: they are refused.
fn refuse_units<L: Platform>(cpu: &Cpu<'_, L>, options: &SoakOptions, scene: u64, last: u64) {
    let mut cast = Random::new(options.seed, scene, ALL);
    let leader = cast.below(cpu.cpus());
    let random = Random::new(options.seed, scene, u64::from(cpu.me));
    if cpu.me == leader {
        let options = SoakOptions {
            fault_every: 0,
            offline_every: 0,
            ..*options
        };
        Leader::new(cpu, random, &options, Mood::Calm).refuse_units();
    } else {
        Follower::new(cpu, random, Mood::Calm).follow(last);
    }
}

/// Emits what a test emits at its end.
fn tell_end<L: Platform>(cpu: &Cpu<'_, L>, verdict: &Verdict) {
    cpu.platform.emit(&Record::Soak(&verdict.counts));
    let why: Text<LONGEST> = match &verdict.failure {
        Some(failure) => Text::of(format_args!("{failure}")),
        None => Text::new(),
    };
    let statistics = cpu.platform.shootdown().statistics();
    let (outcome, passed) = match verdict.passed() {
        true => (Outcome::Pass, 1),
        false => (Outcome::Fail, 0),
    };
    cpu.platform.emit(&Record::Test {
        name: NAME,
        question: None,
        backend: cpu.platform.backend().name(),
        cpus: cpu.cpus(),
        initiator: 0,
        flushes: verdict.counts.flushes(),
        controls: &[],
        fallbacks: statistics.fallbacks,
        resignals: statistics.resignals,
        disturbances: Disturbances::NONE,
        outcome,
        why: why.as_str(),
    });
    cpu.platform.emit(&Record::End {
        passed,
        failed: 1 - passed,
        skipped: 0,
        observed: 0,
    });
}
