//! All CPUs at once, through all slots.

use core::sync::atomic::Ordering::{Acquire, Release};

use rar_percpu::SlotIndex;

use crate::failure::Assertion::{Flushed, Once};
use crate::failure::Place;
use crate::platform::{Frame, Page, Platform};
use crate::test_run::{Participants, TestRun};
use crate::tests::unit::bench::{Bench, without_driver};
use crate::tests::unit::steps::prepare;
use crate::units::Ability;

/// How often each CPU uses each of its slots.
const ROUNDS: u64 = 8;
/// The frames of the page of a slot, in turn.
const FRAMES_OF_A_PAGE: u64 = 4;

/// The slots are divided among the CPUs, and each CPU flushes all others through its slots, one
/// after the other: no translation outlives its flush, and each unit executes every entry once.
pub(crate) fn all_slots<L: Platform>(t: &TestRun<'_, L>) {
    without_driver(t, |bench| {
        prepare(bench, 1);
        let recorded = bench.units.can(Ability::Record);
        let executed = || match recorded {
            true => bench.units.executed().entries,
            false => 0,
        };
        let before = executed();
        t.barrier();
        t.step(Participants::All, || {
            for turn in 0..ROUNDS * slots_of(bench, t.me).count() as u64 {
                flush_next(bench, turn);
                look_at_neighbour(bench);
                if t.shared.failure.is_set() {
                    return;
                }
            }
        });
        t.step(Participants::All, || {
            let foreign = bench.slots().count() - slots_of(bench, t.me).count();
            if recorded {
                let expected = ROUNDS * foreign as u64;
                t.assert(Once, Place::Number(t.me), expected, executed() - before);
            }
        });
    });
}

/// Points the page of the next slot to the next frame, flushes it on all other CPUs, and publishes
/// that.
fn flush_next<L: Platform>(bench: &Bench<'_, '_, L>, turn: u64) {
    let t = bench.t;
    if let Some((slot, page)) = slot_of_turn(bench, t.me, turn) {
        let value = turn + 1;
        let round = turn / slots_of(bench, t.me).count().max(1) as u64;
        let frame = u64::from(page) * FRAMES_OF_A_PAGE + round % FRAMES_OF_A_PAGE;
        let frame = Frame::Small(u16::try_from(frame).unwrap_or(0));
        t.platform.store_frame(frame, 0, value);
        t.map(Page::Small(page), frame);
        bench.flush_others(slot, bench.pages(page, 1));
        t.published(t.me).store(value, Release);
    }
}

/// This CPU must read the value of the next CPU's last flush.
fn look_at_neighbour<L: Platform>(bench: &Bench<'_, '_, L>) {
    let t = bench.t;
    let next = (t.me + 1) % t.platform.cpus();
    let published = t.published(next).load(Acquire);
    let Some(turn) = published.checked_sub(1) else {
        return;
    };
    if let Some((_, page)) = slot_of_turn(bench, next, turn) {
        let found = t.platform.load(Page::Small(page), 0).unwrap_or(0);
        if found < published {
            t.fail(Flushed, Place::Number(next), published, found);
        }
    }
}

fn slots_of<L: Platform>(
    bench: &Bench<'_, '_, L>,
    cpu: u32,
) -> impl Iterator<Item = (SlotIndex, u16)> + use<L> {
    let cpus = bench.t.platform.cpus();
    bench
        .slots()
        .filter(move |(_, number)| u32::from(*number) % cpus == cpu)
        // Page 0 is that of the positive control.
        .map(|(slot, number)| (slot, number + 1))
}

fn slot_of_turn<L: Platform>(
    bench: &Bench<'_, '_, L>,
    cpu: u32,
    turn: u64,
) -> Option<(SlotIndex, u16)> {
    let count = slots_of(bench, cpu).count() as u64;
    let number = turn.checked_rem(count)?;
    slots_of(bench, cpu)
        .zip(0..)
        .find(|(_, each)| *each == number)
        .map(|(found, _)| found)
}
