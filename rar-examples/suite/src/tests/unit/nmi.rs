//! Units of CPUs in their handler of non-maskable interrupts.

use core::sync::atomic::Ordering::{Acquire, Release};

use crate::failure::Assertion::Arrived;
use crate::failure::Place;
use crate::platform::Platform;
use crate::test_run::{Participants, TestRun};
use crate::tests::unit::bench::{Bench, FIRST, READY, without_driver};
use crate::tests::unit::steps::{expect_page_0_flushed, prepare};

/// The byte of the CPU was PENDING when the handler ended.
const LATER: u64 = 1;
/// The byte was final earlier.
const WITHIN: u64 = 2;

/// *Observed*: whether a CPU in its NMI handler serves a signal at once or after the handler. It
/// must serve it eventually.
pub(crate) fn within<L: Platform>(t: &TestRun<'_, L>) {
    without_driver(t, |bench| {
        prepare(bench, 1);
        t.step(Participants::All, || {
            if t.is_initiator() {
                bench.await_moment(READY, t.platform.cpus() - 1);
                bench.order(FIRST, bench.pages(0, 1), bench.others());
                bench.signal(bench.others());
                bench.await_success(FIRST, bench.others());
            } else {
                stay(bench);
            }
        });
        t.step(Participants::Initiator, || {
            let count = |found| {
                let cpus = bench.others();
                cpus.filter(|cpu| t.published(*cpu).load(Acquire) == found)
                    .count()
            };
            t.observe(format_args!(
                "of {} CPUs in an NMI handler {} served within, {} after it",
                count(WITHIN) + count(LATER),
                count(WITHIN),
                count(LATER)
            ));
        });
        expect_page_0_flushed(bench);
    });
}

/// Stays in the handler until this CPU is served, or a timeout.
fn stay<L: Platform>(bench: &Bench<'_, '_, L>) {
    let t = bench.t;
    let taken = bench.units.run_in_nmi(&|| {
        bench.announce(READY);
        bench.wait(t.answer_milliseconds() / 2, || bench.is_final(t.me, FIRST));
        let served = bench.is_final(t.me, FIRST);
        let found = if served { WITHIN } else { LATER };
        t.published(t.me).store(found, Release);
    });
    if !taken {
        t.fail(Arrived, Place::Number(t.me), 1, 0);
    }
}
