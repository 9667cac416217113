//! Units of CPUs that are halted or have interrupts disabled.

use core::sync::atomic::Ordering::Acquire;

use rar_percpu::CpuId;

use crate::platform::{Page, Platform, Scope};
use crate::test_run::{Participants, TestRun, new_value, old_value};
use crate::tests::remap::{map_and_touch, remap_and_control};
use crate::tests::unit::bench::{Bench, FIRST, GO, READY, SECOND, SERVING, without_driver};
use crate::tests::unit::steps::expect_page_0_flushed;
use crate::units::ENABLE;

/// A CPU in HLT serves signals.
///
/// *Observed*: documents list the states in which RAR is inhibited, and HLT is not among them.
pub(crate) fn halted<L: Platform>(t: &TestRun<'_, L>) {
    serve_without_software(t, |_| {
        while t.word(GO).load(Acquire) == 0 && !t.shared.failure.is_set() {
            t.platform.halt();
            t.platform.disable_interrupts();
        }
    });
}

/// With IGNORE_IF a CPU with interrupts disabled serves signals.
pub(crate) fn off<L: Platform>(t: &TestRun<'_, L>) {
    serve_without_software(t, |bench| {
        bench.await_moment(GO, 1);
        t.expect_gone(Page::Small(0), new_value(0));
    });
}

/// Without IGNORE_IF a CPU with interrupts disabled serves nothing until it enables them.
pub(crate) fn heeded<L: Platform>(t: &TestRun<'_, L>) {
    hold(t, 1, |bench| {
        bench.order(FIRST, bench.pages(0, 1), bench.others());
        bench.signal(bench.others());
        bench.expect_untouched(FIRST, bench.others());
        bench.announce(GO);
        bench.await_success(FIRST, bench.others());
    });
}

/// Two held signals merge into one, which serves both entries.
pub(crate) fn merged<L: Platform>(t: &TestRun<'_, L>) {
    hold(t, 2, |bench| {
        for (slot, page) in [(FIRST, 0), (SECOND, 1)] {
            bench.order(slot, bench.pages(page, 1), bench.others());
            bench.signal(bench.others());
        }
        bench.expect_untouched(SECOND, bench.others());
        bench.announce(GO);
        bench.await_success(FIRST, bench.others());
        bench.await_success(SECOND, bench.others());
    });
}

/// The targets disable interrupts and do `meanwhile` until the initiator has seen their answers.
fn serve_without_software<'a, L: Platform>(
    t: &TestRun<'a, L>,
    meanwhile: impl Fn(&Bench<'_, 'a, L>),
) {
    without_driver(t, |bench| {
        map_and_touch(t, 0, 1, Scope::Space);
        remap_and_control(t, 0, 1, Scope::Space);
        t.step(Participants::All, || {
            if t.is_initiator() {
                bench.await_moment(READY, t.platform.cpus() - 1);
                bench.flush_others(FIRST, bench.pages(0, 1));
                bench.announce(GO);
                for cpu in bench.others() {
                    t.platform.wake(CpuId::new(cpu));
                }
            } else {
                bench.program(SERVING);
                t.platform.disable_interrupts();
                bench.announce(READY);
                meanwhile(bench);
                t.platform.enable_interrupts();
            }
        });
        expect_page_0_flushed(bench);
    });
}

/// The units obey IF, which is 0 on the targets while the initiator sends. The targets enable
/// interrupts when the initiator says so.
fn hold<'a, L: Platform>(t: &TestRun<'a, L>, pages: u16, send: impl Fn(&Bench<'_, 'a, L>)) {
    without_driver(t, |bench| {
        map_and_touch(t, 0, pages, Scope::Space);
        remap_and_control(t, 0, pages, Scope::Space);
        t.step(Participants::All, || {
            if t.is_initiator() {
                bench.await_moment(READY, t.platform.cpus() - 1);
                send(bench);
            } else {
                t.platform.disable_interrupts();
                bench.program(ENABLE);
                bench.announce(READY);
                bench.await_moment(GO, 1);
                t.expect_kept(Page::Small(0), old_value(0));
                t.platform.enable_interrupts();
            }
        });
        t.step(Participants::Others, || {
            for page in 0..pages {
                t.expect_gone(Page::Small(page), new_value(page));
            }
        });
    });
}
