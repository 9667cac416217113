//! Units of CPUs that sleep.

use core::sync::atomic::Ordering::{Acquire, Release};

use rar_percpu::CpuId;

use crate::platform::{Page, Platform, Scope};
use crate::test_run::{Participants, TestRun, new_value};
use crate::tests::remap::{map_and_touch, remap_and_control};
use crate::tests::unit::bench::{Bench, FIRST, GO, READY, SERVING, without_driver};

/// *Observed*: whether a CPU in HLT is served, and whether the service ends HLT.
pub(crate) fn halted<L: Platform>(t: &TestRun<'_, L>) {
    without_driver(t, |bench| {
        flush_asleep(bench, 0, format_args!("HLT"), || t.platform.halt());
    });
}

/// *Observed*: the same of MWAIT, for the first sub-state of each C-state that the CPU has. MWAIT
/// may end for reasons of its own.
pub(crate) fn mwait<L: Platform>(t: &TestRun<'_, L>) {
    without_driver(t, |bench| {
        let states = bench.units.mwait_states();
        let has = |state: &u32| *state == 1 || states >> (4 * state) & 0xf != 0;
        for (state, page) in (1..8).filter(has).zip(0..) {
            let hint = (state - 1) << 4;
            flush_asleep(bench, page, format_args!("C{state}"), || {
                bench.units.mwait(hint);
            });
        }
    });
}

/// Flushes a page of sleeping CPUs, and reports how many were served and how many woke up early.
fn flush_asleep<L: Platform>(
    bench: &Bench<'_, '_, L>,
    page: u16,
    name: core::fmt::Arguments<'_>,
    sleep: impl Fn(),
) {
    let t = bench.t;
    t.empty_tlbs();
    map_and_touch(t, page, 1, Scope::Space);
    remap_and_control(t, page, 1, Scope::Space);
    t.step(Participants::Initiator, || {
        t.word(READY).store(0, Release);
        t.word(GO).store(0, Release);
    });
    t.step(Participants::All, || {
        if t.is_initiator() {
            bench.await_moment(READY, t.platform.cpus() - 1);
            // Time for the targets to fall asleep.
            bench.wait_quietly(|| false);
            let asleep = |cpu: &u32| t.published(*cpu).load(Acquire) == 0;
            let before = bench.others().filter(asleep).count();
            bench.order(FIRST, bench.pages(page, 1), bench.others());
            bench.signal(bench.others());
            bench.wait_for_answer(|| bench.others().all(|cpu| bench.is_final(cpu, FIRST)));
            let served = bench.others().filter(|cpu| bench.is_final(*cpu, FIRST));
            let served = served.count();
            bench.wait_quietly(|| false);
            let woken = before - bench.others().filter(asleep).count();
            t.observe(format_args!(
                "of {before} CPUs in {name} {served} served, {woken} woken"
            ));
            bench.announce(GO);
            for cpu in bench.others() {
                t.platform.wake(CpuId::new(cpu));
            }
            bench.await_success(FIRST, bench.others());
        } else {
            t.published(t.me).store(0, Release);
            bench.program(SERVING);
            t.platform.disable_interrupts();
            bench.announce(READY);
            while t.word(GO).load(Acquire) == 0 && !t.shared.failure.is_set() {
                sleep();
                t.platform.disable_interrupts();
                t.published(t.me).fetch_add(1, Release);
            }
            t.platform.enable_interrupts();
        }
    });
    t.step(Participants::Others, || {
        t.expect_gone(Page::Small(page), new_value(page));
    });
}
