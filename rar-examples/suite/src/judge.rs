//! How a run of a test ended.

use core::fmt::Write;
use core::sync::atomic::Ordering;
use core::time::Duration;

use rar_shootdown::Statistics;
use rar_vocabulary::{Disturbances, Outcome};

use crate::catalogue::Test;
use crate::gaps::Span;
use crate::other_means::{COUNTERS, counters};
use crate::platform::Platform;
use crate::record::Record;
use crate::test_run::TestRun;
use crate::unit_record::ProtocolViolations;
use crate::why::Why;
use crate::witness::Sent;

/// How the reason of a failure begins when all assertions of the test held, but a flush needed
/// other means than the signal.
pub const BY_OTHER_MEANS: &str = "the signal path alone was to do it";

/// What a run is compared with.
pub(crate) struct Before {
    statistics: Statistics,
    sent: Sent,
    violations: ProtocolViolations,
    disturbances: Disturbances,
}

impl Before {
    pub(crate) fn take<L: Platform>(run: &TestRun<'_, L>) -> Self {
        let platform = run.platform;
        Self {
            statistics: platform.shootdown().statistics(),
            sent: platform.witness().sent(),
            violations: platform.protocol_violations(),
            disturbances: run.disturbances(Span::Test),
        }
    }
}

/// Emits the record of a run. `obstacle` says why the run did not take place, if it did not.
pub(crate) fn judge<L: Platform>(
    run: &TestRun<'_, L>,
    test: &Test<L>,
    obstacle: Why,
    before: &Before,
) {
    let (platform, shared) = (run.platform, run.shared);
    let after = platform.shootdown().statistics();
    let violations = platform.protocol_violations();
    let others = other_means(run, test, before);
    let controls = shared.controls.list();

    let mut why = obstacle;
    let observation = run.take_observation();
    let outcome = if !why.as_str().is_empty() {
        Outcome::Skipped
    } else if shared.failure.is_set() {
        let _ = write!(why, "{}", shared.failure);
        Outcome::Fail
    } else if let Some(cpu) = controls.missing(run.initiator, platform.cpus()) {
        let _ = write!(why, "CPU {cpu} took no positive control");
        Outcome::Fail
    // A test below the driver may ask anything of units.
    } else if test.units.is_none() && violations.count != before.violations.count {
        let _ = write!(
            why,
            "the driver keeps the protocol of RAR units: {}",
            violations.what
        );
        Outcome::Fail
    } else if took_part(&others) {
        let _ = write!(why, "{BY_OTHER_MEANS}:");
        for (name, count) in others.iter().filter(|(_, count)| *count > 0) {
            let _ = write!(why, " {count} {name},");
        }
        Outcome::Fail
    } else if !observation.as_str().is_empty() {
        why = observation;
        Outcome::Observed
    } else {
        Outcome::Pass
    };
    let counter = match outcome {
        Outcome::Pass => &shared.passed,
        Outcome::Fail => &shared.failed,
        Outcome::Skipped => &shared.skipped,
        Outcome::Observed => &shared.observed,
    };
    counter.fetch_add(1, Ordering::AcqRel);
    let disturbances = run.disturbed_since(&before.disturbances, Span::Test);
    let before = &before.statistics;
    platform.emit(&Record::Test {
        name: test.name,
        question: test.question,
        backend: platform.backend().name(),
        cpus: platform.cpus(),
        initiator: run.initiator,
        flushes: shared.flushes.swap(0, Ordering::AcqRel),
        controls: controls.as_slice(),
        fallbacks: after.fallbacks.abs_diff(before.fallbacks),
        resignals: after.resignals.abs_diff(before.resignals),
        disturbances,
        outcome,
        why: why.as_str(),
    });
    shared.failure.clear();
}

/// Returns what came from outside since then, if that may be why the run fails.
pub(crate) fn spoiled<L: Platform>(
    run: &TestRun<'_, L>,
    test: &Test<L>,
    before: &Before,
) -> Option<Disturbances> {
    let failure = &run.shared.failure;
    let broken = failure.is_set() || took_part(&other_means(run, test, before));
    let came = run.disturbed_since(&before.disturbances, Span::Test);
    let by_interrupts = came.interrupts() > 0 && failure.may_be_disturbed();
    let by_gaps = is_long(run, test, came.longest_gap) && failure.may_be_late();
    (broken && (by_interrupts || by_gaps)).then_some(came)
}

/// Returns whether a gap of this length may be why a CPU was too late. A shorter one leaves it more
/// than half of the time that the test gives for an answer: a thousand times what it takes.
fn is_long<L: Platform>(run: &TestRun<'_, L>, test: &Test<L>, microseconds: u64) -> bool {
    let given = match test.units {
        Some(_) => Duration::from_millis(run.answer_milliseconds()),
        None => run.platform.shootdown().policy().answer_timeout,
    };
    Duration::from_micros(microseconds) >= given / 2
}

/// Returns whether nothing but the signal path worked since then, and the driver violated no
/// protocol of the units.
pub(crate) fn is_clean<L: Platform>(run: &TestRun<'_, L>, test: &Test<L>, before: &Before) -> bool {
    !took_part(&other_means(run, test, before))
        && (test.units.is_some()
            || run.platform.protocol_violations().count == before.violations.count)
}

/// Returns how often a flush took anything but one signal since then: what the driver counts, and
/// what the machine saw, since a driver may forget to count. All zero for a test that expects it.
fn other_means<L: Platform>(
    run: &TestRun<'_, L>,
    test: &Test<L>,
    before: &Before,
) -> [(&'static str, u64); COUNTERS + 2] {
    let sent = run.platform.witness().sent().since(before.sent);
    // A test below the driver sends any number of signals.
    let flushes = match test.units {
        Some(_) => u64::MAX,
        None => run.shared.flushes.load(Ordering::Acquire),
    };
    let counted = counters(&run.platform.shootdown().statistics());
    let mut counted = counted.into_iter().zip(counters(&before.statistics));
    core::array::from_fn(|number| {
        let (name, count) = match (counted.next(), number) {
            (Some(((name, after), (_, before))), _) => (name, after.abs_diff(before)),
            (None, COUNTERS) => ("ordinary interrupts seen by the machine", sent.interrupts),
            (None, _) => (
                "signals more than flushes",
                sent.signals.saturating_sub(flushes),
            ),
        };
        (name, if test.other_means.is_some() { 0 } else { count })
    })
}

/// Returns whether anything was counted.
fn took_part(others: &[(&str, u64)]) -> bool {
    others.iter().any(|(_, count)| *count > 0)
}
