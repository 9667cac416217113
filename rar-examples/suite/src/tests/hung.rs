//! Every CPU except one hangs.

use core::sync::atomic::AtomicBool;
use core::sync::atomic::Ordering::{AcqRel, Acquire, Release};

use rar_percpu::CpuId;

use crate::failure::Assertion::{Flushed, Sent};
use crate::failure::Place;
use crate::platform::{DeafTo, Page, Platform, Scope};
use crate::raw;
use crate::test_run::{Participants, TestRun, new_value};
use crate::tests::late::{end, flush_in_vain};
use crate::tests::remap::{expect_new, map_and_touch, remap_and_control};
use crate::tests::silent::later_flushes_work;

/// How many CPUs hang.
const HUNG: usize = 0;
/// Set when they may go on.
const RELEASED: usize = 1;
/// How many of them go on.
const BACK: usize = 2;

/// All CPUs except one loop with interrupts disabled and answer nothing, not even an NMI. The flush
/// of that one ends at its deadline, with an error that counts all of them, and the CPU goes on: it
/// uses the new translation, and flushes what the others do not use. When they come back the flush
/// ends, and later ones need only the signal.
///
/// The last CPU stays alone, so that the boot CPU hangs, too.
pub(crate) fn all_others<L: Platform>(t: &TestRun<'_, L>) {
    let alone = t.platform.cpus() - 1;
    map_and_touch(t, 0, 1, Scope::Space);
    remap_and_control(t, 0, 1, Scope::Space);
    t.step(Participants::All, || {
        if t.me == alone {
            go_on_alone(t);
        } else {
            hang(t);
        }
    });
    expect_new(t, 0, 1);
    later_flushes_work(t, alone);
}

fn go_on_alone<L: Platform>(t: &TestRun<'_, L>) {
    let others = u64::from(t.platform.cpus()) - 1;
    let cpu = t.platform.pin();
    let owned = AtomicBool::new(false);
    t.wait_until("the others to hang", || {
        t.word(HUNG).load(Acquire) == others
    });
    let late = flush_in_vain(t, &cpu, &owned, 0, t.platform.cpus() - 1);
    // This CPU goes on.
    t.expect(Flushed, Page::Small(0), new_value(0));
    // The suite runs on fewer CPUs than a set can name.
    let _fits = t.shared.chosen.insert(CpuId::new(t.me));
    let before = t.platform.witness().sent();
    t.flush_on(t.pages(4, 1), &t.shared.chosen);
    raw::remove(&t.shared.chosen, CpuId::new(t.me));
    let sent = t.platform.witness().sent().since(before);
    t.assert(Sent, Place::Number(0), 0, sent.signals + sent.interrupts);
    t.word(RELEASED).store(1, Release);
    t.wait_until("the others to go on", || {
        t.word(BACK).load(Acquire) == others
    });
    end(t, &cpu, late, &owned);
}

/// Hangs, and answers nothing until it is released.
fn hang<L: Platform>(t: &TestRun<'_, L>) {
    t.platform.set_deaf_to(DeafTo::Everything);
    t.platform.disable_interrupts();
    t.word(HUNG).fetch_add(1, AcqRel);
    t.wait_until("the end of the hang", || {
        t.word(RELEASED).load(Acquire) != 0
    });
    t.platform.set_deaf_to(DeafTo::Nothing);
    t.platform.enable_interrupts();
    t.word(BACK).fetch_add(1, AcqRel);
}
