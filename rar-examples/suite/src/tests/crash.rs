//! A CPU that crashes and is declared dead; its number is used again.

use core::sync::atomic::AtomicBool;

use rar_percpu::{CpuId, PinnedCpu};

use crate::crash::Crash;
use crate::failure::Assertion::{Counter, FlushEnds, Order, Sent};
use crate::failure::Place;
use crate::other_means::counters;
use crate::platform::{Platform, Scope};
use crate::space::Space;
use crate::test_run::{Participants, TestRun};
use crate::tests::late::{Late, end, flush_in_vain};
use crate::tests::remap::{expect_new, map_and_touch, remap_and_control};
use crate::tests::silent::later_flushes_work;

/// How many flushes are made without the dead CPU.
const FLUSHES: u32 = 16;

/// A CPU crashes. The flush that waits for it fails at its deadline and names it. The CPU is
/// declared dead: the flush ends, and later ones wait for it no more. They use one signal, and
/// nothing else. A CPU that is started under the same number is flushed as any other.
///
/// The last CPU dies first, and then CPU 0 where it can.
pub(crate) fn target_dies<L: Platform>(t: &TestRun<'_, L>) {
    // A machine whose CPUs do not crash skips the test.
    let Ok(crash) = t.platform.crash() else {
        return;
    };
    let boot = crash.can_crash(CpuId::new(0)).then_some((1, 0));
    let deaths = [Some((0, t.platform.cpus() - 1)), boot];
    for (flusher, victim) in deaths.into_iter().flatten() {
        dies(t, crash, flusher, victim);
    }
}

fn dies<L: Platform>(t: &TestRun<'_, L>, crash: &dyn Crash, flusher: u32, victim: u32) {
    t.step(Participants::All, || t.platform.flush_own_tlb());
    map_and_touch(t, 0, 1, Scope::Space);
    remap_and_control(t, 0, 1, Scope::Space);
    t.step(Participants::All, || {
        if t.me == victim {
            crash.crash();
            t.platform.come_online();
            t.enter(Space::First);
        } else if t.me == flusher {
            outlive(t, crash, victim);
        }
    });
    t.step(Participants::All, || {
        let online = t.platform.shootdown().domain().online().len() as u64;
        t.assert(Order, Place::Number(t.me), t.platform.cpus().into(), online);
    });
    expect_new(t, 0, 1);
    later_flushes_work(t, flusher);
}

/// Flushes while the CPU dies, declares it dead, and starts it again: also after a failed
/// assertion, since later tests need all CPUs.
fn outlive<L: Platform>(t: &TestRun<'_, L>, crash: &dyn Crash, victim: u32) {
    let (cpu, dead) = (t.platform.pin(), CpuId::new(victim));
    let owned = AtomicBool::new(false);
    t.wait_until("the crash", || crash.has_crashed(dead));
    let late = flush_in_vain(t, &cpu, &owned, victim, 1);
    crash.bury(dead);
    end_at_once(t, &cpu, late, &owned);
    flush_without(t);
    crash.start(dead);
}

/// The flush that waited for a dead CPU has ended, without another message.
fn end_at_once<L: Platform>(
    t: &TestRun<'_, L>,
    cpu: &PinnedCpu<'_>,
    late: Option<Late<'_, '_, L>>,
    owned: &AtomicBool,
) {
    let before = t.platform.witness().sent();
    let is_done = late.as_ref().is_none_or(Late::<'_, '_, L>::is_done);
    t.assert(FlushEnds, Place::Number(2), 1, is_done.into());
    end(t, cpu, late, owned);
    let sent = t.platform.witness().sent().since(before);
    t.assert(Sent, Place::Number(0), 0, sent.signals + sent.interrupts);
    t.platform.shootdown().domain().reclaim_slots();
    let quarantined = t.platform.shootdown().statistics().quarantined;
    t.assert(Counter, Place::Number(5), 0, quarantined as u64);
}

/// Flushes on the CPUs that are left need one signal each. One that waited for a dead CPU would be
/// counted: as a fallback, as one without a slot, or as an error.
fn flush_without<L: Platform>(t: &TestRun<'_, L>) {
    let left = t.platform.shootdown().domain().online().len() as u64;
    let others = u64::from(t.platform.cpus()) - 1;
    t.assert(Order, Place::Number(t.platform.cpus()), others, left);
    let counted = counters(&t.platform.shootdown().statistics());
    let sent = t.platform.witness().sent();
    for _ in 0..FLUSHES {
        t.flush(t.pages(8, 1));
    }
    let sent = t.platform.witness().sent().since(sent);
    t.assert(Sent, Place::Number(1), FLUSHES.into(), sent.signals);
    t.assert(Sent, Place::Number(2), 0, sent.interrupts);
    let now = counters(&t.platform.shootdown().statistics());
    for (((_, then), (_, now)), number) in counted.into_iter().zip(now).zip(10..) {
        t.assert(Counter, Place::Number(number), then, now);
    }
}
