//! A unit that latches a signal at once and serves it much later.

use core::sync::atomic::Ordering::Acquire;

use rar_percpu::CpuId;
use rar_shootdown::Machine as _;
use rar_vocabulary::payload_hash;

use crate::failure::Assertion::{AsAnnounced, Counter, Once, Untouched};
use crate::failure::Place;
use crate::platform::{Platform, Scope};
use crate::test_run::{Participants, TestRun};
use crate::tests::remap::{expect_new, map_and_touch, remap_and_control};
use crate::tests::unit::bench::{Bench, GO, SERVING};
use crate::units::{ENABLE, Register};

/// The unit of the CPU after the initiator obeys IF, which is 0 there: it holds the signal. The
/// fallback ends the flush, and the driver makes further ones. None of them may overwrite the entry
/// before the unit has read it.
pub(crate) fn serves<L: Platform>(t: &TestRun<'_, L>) {
    // A machine without units skips the test.
    let Some(units) = t.platform.units() else {
        return;
    };
    let bench = Bench { t, units };
    let late = (t.initiator + 1) % t.platform.cpus();
    let is_late = t.me == late;
    map_and_touch(t, 0, 2, Scope::Space);
    remap_and_control(t, 0, 2, Scope::Space);
    t.step(Participants::Others, || {
        if is_late {
            t.platform.disable_interrupts();
            bench.write(Register::Control, ENABLE);
        }
    });
    t.step(Participants::All, || {
        if t.is_initiator() {
            t.flush(t.pages(0, 1));
            for cpu in (0..t.platform.cpus()).filter(|cpu| *cpu != late) {
                // The suite runs on fewer CPUs than a set can name.
                let _fits = t.shared.chosen.insert(CpuId::new(cpu));
            }
            t.flush_on(t.pages(1, 1), &t.shared.chosen);
            bench.announce(GO);
        } else if is_late {
            answer_fallbacks(t);
        }
    });
    t.step(Participants::Others, || {
        if is_late {
            serve_now(&bench);
        }
    });
    // Also after a failed assertion: later tests need units that ignore IF.
    if is_late {
        t.platform.enable_interrupts();
        bench.write(Register::Control, SERVING);
    }
    t.barrier();
    t.step(Participants::Others, || {
        if is_late {
            // The unit has answered everything, so the driver uses it again.
            let _served = t.platform.shootdown().serve(&t.platform.pin());
            t.assert(Counter, Place::Number(2), 0, u64::from(t.is_demoted()));
        }
    });
    t.step(Participants::Initiator, || {
        t.platform.shootdown().domain().reclaim_slots();
        let quarantined = t.platform.shootdown().statistics().quarantined;
        t.assert(Counter, Place::Number(0), 0, quarantined as u64);
    });
    expect_new(t, 0, 2);
}

/// Polls for the fallback, which cannot interrupt this CPU, until the initiator has made both
/// flushes.
fn answer_fallbacks<L: Platform>(t: &TestRun<'_, L>) {
    let (cpu, shootdown) = (t.platform.pin(), t.platform.shootdown());
    t.wait_until("the flushes of others", || {
        let tlb = shootdown.machine().tlb();
        shootdown.domain().complete_generation(&cpu, tlb);
        t.word(GO).load(Acquire) != 0
    });
}

/// Lets the unit serve the held signal, and asserts that it reads the entry as it was at the time
/// of the signal.
fn serve_now<L: Platform>(bench: &Bench<'_, '_, L>) {
    let t = bench.t;
    let open = || {
        bench
            .slots()
            .filter(|(slot, _)| !bench.is_final(t.me, *slot))
    };
    // Control: the unit has read nothing yet.
    t.assert(Untouched, Place::Number(t.me), 1, open().count() as u64);
    t.assert(Counter, Place::Number(1), 1, u64::from(t.is_demoted()));
    let before = bench.units.executed();
    t.platform.enable_interrupts();
    bench.wait_for_answer(|| open().next().is_none());
    let executed = bench.units.executed();
    let new = executed.entries - before.entries;
    t.assert(Once, Place::Number(t.me), 1, new);
    if let Some(announced) = executed.announced {
        t.assert(AsAnnounced, Place::Number(t.me), announced, executed.last);
    }
    let [first, second, third, fourth, ..] = bench.pages(0, 1).encode().words();
    let ordered = payload_hash([first, second, third, fourth]);
    t.assert(AsAnnounced, Place::Number(t.me), ordered, executed.last);
}
