//! Units of CPUs within a long-running instruction.

use core::cell::Cell;
use core::sync::atomic::Ordering::{Acquire, Release};

use crate::platform::{Page, Platform, Scope};
use crate::test_run::{Participants, TestRun, new_value};
use crate::tests::remap::{map_and_touch, remap_and_control};
use crate::tests::unit::bench::{Bench, FIRST, GO, SERVING, without_driver};
use crate::units::LongString;

const ROUNDS: u16 = 8;

/// *Observed*: how often a CPU in a long string instruction answers before the instruction ends.
pub(crate) fn within<L: Platform>(t: &TestRun<'_, L>) {
    without_driver(t, |bench| {
        map_and_touch(t, 0, 2 * ROUNDS, Scope::Space);
        remap_and_control(t, 0, 2 * ROUNDS, Scope::Space);
        t.step(Participants::All, || bench.program(SERVING));
        let target = (t.initiator + 1) % t.platform.cpus();
        for (turn, string, name) in [
            (0, LongString::Move, "REP MOVSB"),
            (1, LongString::Store, "REP STOSB"),
        ] {
            let pages = turn * ROUNDS..(turn + 1) * ROUNDS;
            t.step(Participants::Initiator, || t.word(GO).store(0, Release));
            t.step(Participants::All, || {
                if t.is_initiator() {
                    let (mut seen, mut within) = (0, 0);
                    for page in pages.clone() {
                        if let Some(served) = flush_within(bench, target, page) {
                            seen += 1;
                            within += u32::from(served);
                        }
                        bench.await_success(FIRST, [target].into_iter());
                    }
                    t.observe(format_args!(
                        "{name} was seen to run {seen} times, {within} served within"
                    ));
                    bench.announce(GO);
                } else if t.me == target {
                    while t.word(GO).load(Acquire) == 0 && !t.shared.failure.is_set() {
                        // Odd while the instruction runs.
                        t.published(t.me).fetch_add(1, Release);
                        bench.units.run_string(string);
                        t.published(t.me).fetch_add(1, Release);
                        t.platform.relax();
                    }
                }
            });
            t.step(Participants::Others, || {
                for page in pages.clone().filter(|_| t.me == target) {
                    t.expect_gone(Page::Small(page), new_value(page));
                }
            });
        }
    });
}

/// Signals when an instruction has just begun. Returns whether it still ran when the byte was
/// final; `None` if no start was seen, as where the CPUs run in turns longer than an instruction.
fn flush_within<L: Platform>(bench: &Bench<'_, '_, L>, target: u32, page: u16) -> Option<bool> {
    let t = bench.t;
    let count = || t.published(target).load(Acquire);
    let before = count();
    let begun = Cell::new(before);
    let runs = || begun.get() != before && begun.get() % 2 == 1;
    bench.order(FIRST, bench.pages(page, 1), [target].into_iter());
    bench.wait_for_answer(|| {
        begun.set(count());
        runs()
    });
    bench.signal([target].into_iter());
    bench.wait_for_answer(|| bench.is_final(target, FIRST));
    runs().then(|| count() == begun.get())
}
