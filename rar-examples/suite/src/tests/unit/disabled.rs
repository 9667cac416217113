//! A unit whose ENABLE is 0.

use crate::platform::{Page, Platform, Scope};
use crate::test_run::{Participants, TestRun, new_value, old_value};
use crate::tests::remap::{map_and_touch, remap_and_control};
use crate::tests::unit::bench::{FIRST, SERVING, without_driver};
use crate::tests::unit::steps::{expect_page_0_flushed, hold_a_signal, prepare};
use crate::units::{ENABLE, Register};

/// A disabled unit drops signals: nothing is served, also not after the unit is enabled.
pub(crate) fn drops<L: Platform>(t: &TestRun<'_, L>) {
    without_driver(t, |bench| {
        map_and_touch(t, 0, 1, Scope::Space);
        remap_and_control(t, 0, 1, Scope::Space);
        t.step(Participants::Others, || bench.program(0));
        t.step(Participants::Initiator, || {
            bench.order(FIRST, bench.pages(0, 1), bench.others());
            bench.signal(bench.others());
            bench.expect_untouched(FIRST, bench.others());
        });
        t.step(Participants::Others, || {
            t.expect_kept(Page::Small(0), old_value(0));
            bench.write(Register::Control, SERVING);
        });
        t.step(Participants::Initiator, || {
            bench.expect_untouched(FIRST, bench.others())
        });
        t.step(Participants::Others, || {
            t.expect_kept(Page::Small(0), old_value(0))
        });
        t.step(Participants::Initiator, || {
            bench.signal(bench.others());
            bench.await_success(FIRST, bench.others());
        });
        expect_page_0_flushed(bench);
    });
}

/// ENABLE is per CPU: one unit after the other is disabled, and the rest serve.
pub(crate) fn one<L: Platform>(t: &TestRun<'_, L>) {
    without_driver(t, |bench| {
        let cpus = t.platform.cpus();
        let pages = u16::try_from(cpus - 1).unwrap_or(0);
        prepare(bench, pages);
        for page in 0..pages {
            let disabled = (t.initiator + 1 + u32::from(page)) % cpus;
            let is_disabled = t.me == disabled;
            let rest = || bench.others().filter(move |cpu| *cpu != disabled);
            t.step(Participants::Others, || {
                if is_disabled {
                    bench.write(Register::Control, 0);
                }
            });
            t.step(Participants::Initiator, || {
                bench.order(FIRST, bench.pages(page, 1), bench.others());
                bench.signal(bench.others());
                bench.await_success(FIRST, rest());
                bench.expect_untouched(FIRST, [disabled].into_iter());
            });
            t.step(Participants::Others, || {
                if is_disabled {
                    t.expect_kept(Page::Small(page), old_value(page));
                    bench.write(Register::Control, SERVING);
                } else {
                    t.expect_gone(Page::Small(page), new_value(page));
                }
            });
            t.step(Participants::Initiator, || {
                bench.signal([disabled].into_iter());
                bench.await_success(FIRST, [disabled].into_iter());
            });
            t.step(Participants::Others, || {
                t.expect_gone(Page::Small(page), new_value(page));
            });
        }
    });
}

/// *Observed*: whether a signal that is held by IF = 0 survives ENABLE = 0.
pub(crate) fn with_pending<L: Platform>(t: &TestRun<'_, L>) {
    without_driver(t, |bench| {
        hold_a_signal(bench);
        t.step(Participants::Initiator, || {
            bench.expect_untouched(FIRST, bench.others());
        });
        t.step(Participants::Others, || {
            bench.write(Register::Control, 0);
            bench.write(Register::Control, ENABLE);
            t.platform.enable_interrupts();
        });
        t.step(Participants::Initiator, || {
            let served = || {
                let mut others = bench.others();
                others.any(|cpu| bench.is_final(cpu, FIRST))
            };
            bench.wait_quietly(served);
            t.observe(match served() {
                true => format_args!("a waiting signal outlives ENABLE = 0"),
                false => format_args!("a waiting signal is dropped by ENABLE = 0"),
            });
            bench.signal(bench.others());
            bench.await_success(FIRST, bench.others());
        });
        expect_page_0_flushed(bench);
    });
}
