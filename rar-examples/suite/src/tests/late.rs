//! What the tests of hung and of dead CPUs share: a flush that does not end.

use core::sync::atomic::AtomicBool;
use core::sync::atomic::Ordering::{AcqRel, Relaxed};
use core::task::Poll;
use core::time::Duration;

use rar_percpu::{DEFAULT_WORDS, PinnedCpu};
use rar_shootdown::{FlushError, Instant, Pending, Statistics};

use crate::failure::Assertion::{Counter, Deadline, FlushEnds, FlushFails, StillOwned};
use crate::failure::Place;
use crate::platform::Platform;
use crate::test_run::TestRun;
use crate::tests::silent::Owned;

/// A flush that ended in an error, and still owns what must not be freed.
pub(crate) type Late<'t, 'o, L> = Pending<'t, <L as Platform>::Machine, Owned<'o>, DEFAULT_WORDS>;

/// Flushes page 0 on the CPUs of the first space while `late` of them answer nothing. The lowest
/// number of these is `first`. Asserts that the flush ends at its deadline, not before, with an
/// error that names them, and that it keeps what it owns.
pub(crate) fn flush_in_vain<'t, 'o, L: Platform>(
    t: &TestRun<'t, L>,
    cpu: &PinnedCpu<'_>,
    owned: &'o AtomicBool,
    first: u32,
    late: u32,
) -> Option<Late<'t, 'o, L>> {
    let shootdown = t.platform.shootdown();
    let before = shootdown.statistics();
    t.shared.flushes.fetch_add(1, AcqRel);
    let started = t.platform.now();
    let request = [t.pages(0, 1)];
    let mut flush = shootdown.start(cpu, &request, &t.shared.first, Owned(owned));
    let (ended, ran) = wait(t, cpu, &mut flush);
    let Err(error) = ended else {
        t.fail(FlushFails, Place::Number(first), 1, 0);
        return None;
    };
    expect_named(t, &error, first, late);
    expect_at_deadline(t, nanoseconds_between(started, t.platform.now()), ran);
    let after = shootdown.statistics();
    expect_counted(t, &before, &after, late);
    t.assert(StillOwned, Place::Number(0), 0, owned.load(Relaxed).into());
    Some(flush)
}

/// Waits as [`Pending::wait`] does. Returns how the flush ended, and how many nanoseconds this CPU
/// ran meanwhile: of a pause of the host no more than the driver counts, too.
fn wait<L: Platform>(
    t: &TestRun<'_, L>,
    cpu: &PinnedCpu<'_>,
    flush: &mut Late<'_, '_, L>,
) -> (Result<(), FlushError>, u64) {
    let shootdown = t.platform.shootdown();
    let most = nanoseconds(shootdown.policy().answer_timeout) / 16;
    let (mut watch, mut ran) = (t.watch(), 0);
    loop {
        if let Poll::Ready(ended) = flush.poll(cpu) {
            return (ended, ran);
        }
        let _served = shootdown.serve(cpu);
        t.platform.relax();
        let last = watch.last();
        ran += nanoseconds_between(last, watch.now()).min(most);
    }
}

fn expect_named<L: Platform>(t: &TestRun<'_, L>, error: &FlushError, first: u32, late: u32) {
    let FlushError::NoAnswer {
        cpu,
        late: counted,
        entry,
    } = error
    else {
        t.fail(FlushFails, Place::Number(first), 1, 0);
        return;
    };
    let named = u64::from(cpu.get());
    t.assert(FlushFails, Place::Number(0), u64::from(first), named);
    // The byte is PENDING.
    let byte = entry.map_or(u64::MAX, |(_, byte)| u64::from(byte.0));
    t.assert(FlushFails, Place::Number(1), 0x01, byte);
    let counted = *counted as u64;
    t.assert(FlushFails, Place::Number(2), u64::from(late), counted);
}

/// The driver counts of a pause a 16th of a deadline at most. So a busy host makes a wait longer,
/// but not longer for a CPU that counts no more of it, and never shorter.
fn expect_at_deadline<L: Platform>(t: &TestRun<'_, L>, took: u64, ran: u64) {
    let policy = t.platform.shootdown().policy();
    let limit = nanoseconds(policy.answer_timeout + policy.fallback_timeout);
    if took < limit {
        t.fail(Deadline, Place::Number(0), limit, took);
    }
    if ran > 2 * limit {
        t.fail(Deadline, Place::Number(1), limit, ran);
    }
}

fn nanoseconds_between(from: Instant, to: Instant) -> u64 {
    to.as_nanos().saturating_sub(from.as_nanos())
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// The fallback asked each late CPU once, one NMI went to all of them, and no CPU was demoted: a
/// CPU that does not answer the fallback is not a CPU with a silent unit.
fn expect_counted<L: Platform>(
    t: &TestRun<'_, L>,
    before: &Statistics,
    after: &Statistics,
    late: u32,
) {
    let counts = [
        (1, after.errors - before.errors),
        (u64::from(late), after.fallbacks - before.fallbacks),
        (1, after.nmis - before.nmis),
        (0, after.demotions - before.demotions),
        (1, after.quarantined as u64),
    ];
    for ((expected, counted), number) in counts.into_iter().zip(0..) {
        t.assert(Counter, Place::Number(number), expected, counted);
    }
}

/// Waits for the flush once more, now that it can end. Asserts that it gives back what it owns.
pub(crate) fn end<L: Platform>(
    t: &TestRun<'_, L>,
    cpu: &PinnedCpu<'_>,
    late: Option<Late<'_, '_, L>>,
    owned: &AtomicBool,
) {
    let Some(late) = late else { return };
    if late.wait(cpu).is_err() {
        t.fail(FlushEnds, Place::Number(1), 0, 1);
    }
    t.assert(StillOwned, Place::Number(1), 1, owned.load(Relaxed).into());
}
