//! Superfluous signals, and the intermediate states of action bytes.

use core::cell::Cell;
use core::fmt;
use core::sync::atomic::Ordering::{Acquire, Release};

use crate::failure::Assertion::Once;
use crate::failure::Place;
use crate::platform::{Page, Platform};
use crate::test_run::{Participants, TestRun, new_value, old_value};
use crate::tests::unit::bench::{Bench, FIRST, SECOND, without_driver};
use crate::tests::unit::steps::prepare;
use crate::units::Ability;

/// A repeated signal, and one without work, do no harm: the entry is executed once, its neighbour
/// stays cached, and the next entry is served.
pub(crate) fn signals<L: Platform>(t: &TestRun<'_, L>) {
    without_driver(t, |bench| {
        prepare(bench, 2);
        t.step(Participants::Others, || {
            t.published(t.me).store(executed(bench), Release);
        });
        t.step(Participants::Initiator, || {
            bench.order(FIRST, bench.pages(0, 1), bench.others());
            bench.signal(bench.others());
            bench.signal(bench.others());
            bench.await_success(FIRST, bench.others());
            bench.signal(bench.others());
            bench.signal(bench.others());
            bench.wait_quietly(|| false);
            bench.await_success(FIRST, bench.others());
        });
        t.step(Participants::Others, || {
            if bench.units.can(Ability::Record) {
                let before = t.published(t.me).load(Acquire);
                t.assert(Once, Place::Number(t.me), 1, executed(bench) - before);
            }
            t.expect_kept(Page::Small(1), old_value(1));
            t.expect_gone(Page::Small(0), new_value(0));
        });
        t.step(Participants::Initiator, || {
            bench.flush_others(SECOND, bench.pages(1, 1))
        });
        t.step(Participants::Others, || {
            t.expect_gone(Page::Small(1), new_value(1))
        });
    });
}

fn executed<L: Platform>(bench: &Bench<'_, '_, L>) -> u64 {
    match bench.units.can(Ability::Record) {
        true => bench.units.executed().entries,
        false => 0,
    }
}

/// *Observed*: every value that a byte takes after it was armed, in many flushes of one target.
///
/// Older Intel code had 0x02 between PENDING and the final value.
pub(crate) fn values<L: Platform>(t: &TestRun<'_, L>) {
    const ROUNDS: u16 = 128;
    without_driver(t, |bench| {
        prepare(bench, ROUNDS);
        let target = (t.initiator + 1) % t.platform.cpus();
        t.step(Participants::Initiator, || {
            let seen = Cell::new(Values([0; 4]));
            for page in 0..ROUNDS {
                bench.order(FIRST, bench.pages(page, 1), [target].into_iter());
                bench.signal([target].into_iter());
                bench.wait_for_answer(|| {
                    seen.set(seen.get().with(bench.byte(target, FIRST)));
                    bench.is_final(target, FIRST)
                });
                bench.await_success(FIRST, [target].into_iter());
            }
            t.observe(format_args!("bytes seen as{}", seen.get()));
        });
        t.step(Participants::Others, || {
            for page in (0..ROUNDS).filter(|_| t.me == target) {
                t.expect_gone(Page::Small(page), new_value(page));
            }
        });
    });
}

/// A set of bytes.
#[derive(Clone, Copy)]
struct Values([u64; 4]);

impl Values {
    fn with(mut self, byte: u8) -> Self {
        if let Some(word) = self.0.get_mut(usize::from(byte / 64)) {
            *word |= 1 << (byte % 64);
        }
        self
    }
}

impl fmt::Display for Values {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let has = |byte: &u8| {
            let word = self.0.get(usize::from(byte / 64));
            word.is_some_and(|word| word >> (byte % 64) & 1 != 0)
        };
        (0..=u8::MAX)
            .filter(has)
            .try_for_each(|byte| write!(f, " {byte:#04x}"))
    }
}
