//! Entries that are armed during a scan, without a signal of their own.

use crate::platform::{Page, Platform};
use crate::test_run::{Participants, TestRun, new_value};
use crate::tests::unit::bench::{Bench, without_driver};
use crate::tests::unit::steps::prepare;

const ROUNDS: u32 = 16;

/// How often the first and the last slot were served, among the scans in which they were armed in
/// time.
#[derive(Clone, Copy, Debug, Default)]
struct Served {
    scans: u32,
    first: u32,
    last: u32,
}

/// *Observed*: whether the first and the last slot are served if they are armed while the scan is
/// between them.
pub(crate) fn armed_within<L: Platform>(t: &TestRun<'_, L>) {
    without_driver(t, |bench| {
        let all = bench.slots().count();
        prepare(bench, u16::try_from(all).unwrap_or(0));
        let target = (t.initiator + 1) % t.platform.cpus();
        t.step(Participants::Initiator, || {
            let mut served = Served::default();
            for _ in 0..ROUNDS {
                round(bench, target, &mut served);
            }
            let Served { scans, first, last } = served;
            match scans {
                0 => t.observe(format_args!(
                    "no scan was slow enough to arm an entry within it"
                )),
                _ => t.observe(format_args!(
                    "armed within a scan, of {scans} the first slot was served {first} times, \
                     the last {last} times"
                )),
            }
        });
        t.step(Participants::Others, || {
            for (_, page) in bench.slots().filter(|_| t.me == target) {
                t.expect_gone(Page::Small(page), new_value(page));
            }
        });
    });
}

fn round<L: Platform>(bench: &Bench<'_, '_, L>, target: u32, served: &mut Served) {
    let one = || [target].into_iter();
    let all = bench.slots().count();
    let ends = || bench.slots().step_by(all.saturating_sub(1).max(1));
    let middle = || bench.slots().skip(1).take(all.saturating_sub(2));
    for (slot, page) in ends() {
        bench.order(slot, bench.pages(page, 1), [].into_iter());
    }
    for (slot, page) in middle() {
        bench.order(slot, bench.pages(page, 1), one());
    }
    bench.signal(one());
    bench.wait_for_answer(|| middle().any(|(slot, _)| bench.is_final(target, slot)));
    for (slot, _) in ends() {
        bench.arm(slot, one());
    }
    let in_time = middle().any(|(slot, _)| !bench.is_final(target, slot));
    for (slot, _) in middle() {
        bench.await_success(slot, one());
    }
    bench.wait_quietly(|| ends().all(|(slot, _)| bench.is_final(target, slot)));
    if in_time {
        served.scans += 1;
        let mut done = ends().map(|(slot, _)| u32::from(bench.is_final(target, slot)));
        served.first += done.next().unwrap_or(0);
        served.last += done.next().unwrap_or(0);
    }
    // No signal may be left for the next round: an entry armed now shows that this one was served.
    for (slot, _) in ends() {
        bench.arm(slot, one());
    }
    bench.signal(one());
    for (slot, _) in ends() {
        bench.await_success(slot, one());
    }
    bench.wait_quietly(|| false);
}
