//! How long flushes take.
//!
//! Every point is proved: its targets use a stale translation before the timed flushes, and the new
//! one after them. Where the units keep a record, each must have executed one entry for each flush.

mod flush;
mod headline;
mod points;

use core::sync::atomic::Ordering::{AcqRel, Acquire, Release};

use rar_percpu::CpuId;
use rar_shootdown::Statistics;
use rar_vocabulary::{Disturbances, Measurement, Method, State};

use self::flush::{flush, others, watched};
use self::headline::Headline;
use self::points::{Means, Point, points};
use crate::failure::Assertion::{FlushEnds, Flushed, Mapped, Measured, Once};
use crate::failure::Place;
use crate::gaps::Span;
use crate::other_means::counters;
use crate::platform::{Page, Platform};
use crate::raw;
use crate::record::Record;
use crate::test_run::{Participants, TestRun, new_frame, new_value, old_frame, old_value};
use crate::units::Ability;
use crate::witness::Sent;

/// How long a point may take. It then ends with the samples taken so far, at least one of each
/// initiator.
const POINT_MILLISECONDS: u64 = 1_000;
/// How often the CPUs of a point try to show that they use stale translations: what comes from
/// outside may empty a TLB, above all below a hypervisor.
const MOST_PROOFS: u32 = 10;
/// The pause between two flushes of halted targets, in which they fall asleep again.
const SLEEP_MICROSECONDS: u64 = 20;
/// The same where the clock is too coarse for that.
const SLEEP_MOMENTS: u32 = 32;

/// How many CPUs are in the state that the point measures.
const READY: usize = 0;
/// How many initiators have all their samples.
const SATED: usize = 1;
/// How many initiators have made their last flush.
const ENDED: usize = 2;
/// How many flushes all initiators made, including those that were not timed.
const FLUSHES: usize = 3;

/// Measures every point that this machine supports.
pub(crate) fn run<L: Platform>(t: &TestRun<'_, L>) {
    let means = Means {
        cpus: t.platform.cpus(),
        units: t.platform.units().is_some(),
        nmi: t.platform.has_nmi(),
        ipi: t.platform.has_interrupts(),
        exit: t.platform.has_bare_exit(),
    };
    let mut headline = Headline::new();
    for (point, number) in points(means).zip(0..) {
        if !is_proved_stale(t, &point) {
            return;
        }
        // No CPU flushes before all are ready, and each CPU passes here before it is ready.
        let before = Before {
            statistics: t.platform.shootdown().statistics(),
            sent: t.platform.witness().sent(),
            answers: answers(t, &point),
            disturbances: t.disturbances(Span::Point),
        };
        t.step(Participants::All, || match point.role_of(t.me) {
            Role::Initiator => initiate(t, &point, &before),
            Role::Target => be_flushed(t, &point, &before),
            Role::Bystander => {}
        });
        t.step(Participants::All, || {
            // A method that is not a flush may flush nothing.
            if point.role_of(t.me) != Role::Bystander && point.method.flushes() {
                for page in 0..watched(point.pages) {
                    t.expect(Flushed, Page::Small(page), new_value(page));
                }
            }
        });
        t.step(Participants::Initiator, || {
            if let Some(measurement) = sum_up(t, &point, number, &before) {
                headline.see(&measurement);
                t.platform.emit(&Record::Measurement(&measurement));
            }
        });
    }
    if t.is_initiator() && !t.shared.failure.is_set() {
        t.observe(format_args!("{headline}"));
    }
}

/// What is compared after a point.
struct Before {
    statistics: Statistics,
    sent: Sent,
    answers: Option<u64>,
    disturbances: Disturbances,
}

/// What a CPU does at a point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    Initiator,
    Target,
    /// Waits for the others.
    Bystander,
}

impl Point {
    fn role_of(&self, cpu: u32) -> Role {
        if cpu < self.contenders {
            Role::Initiator
        } else if cpu <= self.targets {
            Role::Target
        } else {
            Role::Bystander
        }
    }

    /// How many CPUs do something.
    fn participants(&self) -> u64 {
        u64::from(self.contenders.max(self.targets + 1))
    }
}

/// Lets all CPUs to be flushed show that they use stale translations, again if a control is not
/// seen; returns, on every CPU, whether they have.
fn is_proved_stale<L: Platform>(t: &TestRun<'_, L>, point: &Point) -> bool {
    for proof in 1..=MOST_PROOFS {
        prove_stale(t, point);
        let (failed, idle) = (t.shared.failure.is_set(), t.shared.failure.shows_nothing());
        // No CPU goes on before all have seen that.
        t.barrier();
        if !idle || proof == MOST_PROOFS {
            return !failed;
        }
        if point.role_of(t.me) != Role::Bystander {
            t.shared.controls.drop_of(t.me);
        }
        if t.is_initiator() {
            t.shared.failure.clear();
        }
        t.barrier();
    }
    false
}

/// All CPUs to be flushed show that they use stale translations.
fn prove_stale<L: Platform>(t: &TestRun<'_, L>, point: &Point) {
    let (pages, me) = (watched(point.pages), CpuId::new(t.me));
    let is_flushed = point.role_of(t.me) != Role::Bystander;
    t.step(Participants::All, || {
        if is_flushed {
            // The suite runs on fewer CPUs than a set can name.
            let _fits = t.shared.chosen.insert(me);
        } else {
            raw::remove(&t.shared.chosen, me);
        }
    });
    t.step(Participants::Initiator, || {
        t.shared.samples.clear();
        t.shared.gaps.begin(Span::Point);
        for word in [READY, SATED, ENDED, FLUSHES] {
            t.word(word).store(0, Release);
        }
        for cpu in others(point.targets).iter() {
            t.platform.bare_ipis(cpu).store(0, Release);
        }
        for page in 0..pages {
            t.platform.store_frame(old_frame(page), 0, old_value(page));
            t.platform.store_frame(new_frame(page), 0, new_value(page));
            t.map(Page::Small(page), old_frame(page));
        }
    });
    t.step(Participants::All, || {
        t.platform.flush_own_tlb();
        if is_flushed {
            for page in 0..pages {
                t.expect(Mapped, Page::Small(page), old_value(page));
            }
        }
    });
    t.step(Participants::Initiator, || {
        for page in 0..pages {
            t.map(Page::Small(page), new_frame(page));
        }
    });
    t.step(Participants::All, || {
        if is_flushed {
            for page in 0..pages {
                t.expect_stale(Page::Small(page), old_value(page), new_value(page));
            }
        }
    });
}

fn initiate<L: Platform>(t: &TestRun<'_, L>, point: &Point, before: &Before) {
    t.word(READY).fetch_add(1, AcqRel);
    t.wait_until("the targets", || {
        t.word(READY).load(Acquire) >= point.participants() || t.shared.failure.is_set()
    });
    let share = (t.samples / point.contenders).max(1);
    let started = t.platform.ticks();
    let limit = POINT_MILLISECONDS * t.platform.ticks_per_millisecond();
    let has_time = || t.platform.ticks().saturating_sub(started) <= limit;
    let goes_on = || !t.shared.failure.is_set();
    let others = others(point.targets);
    let (mut timed, mut flushes) = (0, 0);
    while timed < share && (timed == 0 || has_time()) && goes_on() {
        if point.state == State::Halted {
            let_sleep(t);
        }
        let begin = t.platform.ticks();
        let ended = flush(t, point, &others, flushes);
        let end = t.platform.ticks();
        flushes += 1;
        if !ended {
            t.fail(FlushEnds, Place::Number(point.targets), 0, 1);
            break;
        }
        t.shared.samples.add(end.saturating_sub(begin));
        timed += 1;
    }
    t.word(SATED).fetch_add(1, AcqRel);
    // The other CPUs still flush.
    let all = u64::from(point.contenders);
    while t.word(SATED).load(Acquire) < all && has_time() && goes_on() {
        let ended = flush(t, point, &others, flushes);
        flushes += 1;
        if !ended {
            t.fail(FlushEnds, Place::Number(point.targets), 0, 1);
        }
    }
    t.shared.flushes.fetch_add(flushes, AcqRel);
    t.word(FLUSHES).fetch_add(flushes, AcqRel);
    t.word(ENDED).fetch_add(1, AcqRel);
    if point.state == State::Halted {
        (1..=point.targets).for_each(|cpu| t.platform.wake(CpuId::new(cpu)));
    }
    t.wait_until("the other initiators", || has_ended(t, point));
    assert_answers(t, point, before, flushes);
}

fn be_flushed<L: Platform>(t: &TestRun<'_, L>, point: &Point, before: &Before) {
    if matches!(point.state, State::Halted | State::InterruptsOff) {
        t.platform.disable_interrupts();
    }
    t.word(READY).fetch_add(1, AcqRel);
    if point.state == State::Halted {
        // Interrupts are off between the check and the halt, so that no wake-up is lost.
        while !has_ended(t, point) {
            t.platform.halt();
            t.platform.disable_interrupts();
        }
    } else {
        t.wait_until("the flushes", || has_ended(t, point));
    }
    t.platform.enable_interrupts();
    assert_answers(t, point, before, 0);
}

fn has_ended<L: Platform>(t: &TestRun<'_, L>, point: &Point) -> bool {
    t.word(ENDED).load(Acquire) >= u64::from(point.contenders)
}

fn let_sleep<L: Platform>(t: &TestRun<'_, L>) {
    let started = t.platform.ticks();
    let length = t.platform.ticks_per_millisecond() * SLEEP_MICROSECONDS / 1_000;
    // No other CPU may be awake to notice a gap.
    let mut watch = t.watch();
    (0..SLEEP_MOMENTS).for_each(|_| t.platform.relax());
    watch.now();
    while t.platform.ticks().saturating_sub(started) <= length {
        t.platform.relax();
        watch.now();
    }
}

/// How often this CPU has answered by this method, where the machine counts: in the record of its
/// unit, or in the handler of bare interrupts.
fn answers<L: Platform>(t: &TestRun<'_, L>, point: &Point) -> Option<u64> {
    match point.method {
        Method::Rar => {
            let units = t.platform.units()?;
            units.can(Ability::Record).then(|| units.executed().entries)
        }
        Method::BareIpi => Some(t.platform.bare_ipis(CpuId::new(t.me)).load(Acquire)),
        _ => None,
    }
}

/// Asserts, where the machine counts, that this CPU answered each flush except its own once.
fn assert_answers<L: Platform>(t: &TestRun<'_, L>, point: &Point, before: &Before, own: u64) {
    let spoiled = spoiled(t, before) > 0;
    if let (Some(before), Some(after)) = (before.answers, answers(t, point).filter(|_| !spoiled)) {
        let flushes = t.word(FLUSHES).load(Acquire);
        t.assert(Once, Place::Number(t.me), flushes - own, after - before);
    }
}

/// How often a flush used other means than the signal since then.
fn spoiled<L: Platform>(t: &TestRun<'_, L>, before: &Before) -> u64 {
    let of = |statistics| {
        counters(statistics)
            .iter()
            .map(|(_, count)| count)
            .sum::<u64>()
    };
    let counted = of(&t.platform.shootdown().statistics()).abs_diff(of(&before.statistics));
    // The machine sees what the driver does not count.
    counted.max(t.platform.witness().sent().since(before.sent).interrupts)
}

/// Returns what was measured at a point, if its numbers are in order.
fn sum_up<L: Platform>(
    t: &TestRun<'_, L>,
    point: &Point,
    number: u32,
    before: &Before,
) -> Option<Measurement> {
    let Some(sum) = t.shared.samples.distribution() else {
        t.fail(Measured, Place::Number(number), 1, 0);
        return None;
    };
    let values = [sum.min, sum.p50, sum.p99, sum.max];
    let counted = sum.histogram.samples();
    t.assert(
        Measured,
        Place::Number(number),
        u64::from(sum.samples),
        counted,
    );
    t.assert(
        Measured,
        Place::Number(number),
        1,
        u64::from(values.is_sorted()),
    );
    Some(Measurement {
        method: point.method,
        backend: t.platform.backend(),
        cpus: t.platform.cpus(),
        targets: point.targets,
        pages: point.pages,
        state: point.state,
        contenders: point.contenders,
        samples: sum.samples,
        ticks_per_millisecond: t.platform.ticks_per_millisecond(),
        min: sum.min,
        p50: sum.p50,
        p99: sum.p99,
        max: sum.max,
        histogram: sum.histogram,
        spoiled: spoiled(t, before),
        disturbances: t.disturbed_since(&before.disturbances, Span::Point),
    })
}
