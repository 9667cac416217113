//! CPUs go offline and come online at random while all flush.

use core::cell::Cell;
use core::sync::atomic::Ordering::{AcqRel, Acquire};

use crate::failure::Assertion::Order;
use crate::failure::Place;
use crate::platform::{Page, Platform};
use crate::test_run::{Participants, TestRun};
use crate::tests::storm::{ENDED, look, page_of, rage};

/// How many CPUs are offline at this moment. The storm uses word 0 itself.
const AWAY: usize = 1;
/// How many flushes all CPUs have made.
const FLUSHES: usize = 2;
/// How often a CPU that was offline missed a flush.
const MISSED: usize = 3;
/// A CPU leaves after one of this many flushes.
const STAYS: u64 = 8;
/// For less than this many spins, and then until another CPU has made a flush.
const SPINS: u64 = 64;
/// And in any case after one of this many, so that none stays for the whole storm.
const STAYS_AT_MOST: u64 = 16;
/// The flushes of the shortest storm.
const LEAST: u64 = 20;

/// A storm in which each CPU leaves now and then, for a random time. A flush needs nothing but the
/// signal, and a CPU that comes back uses no old translation.
pub(crate) fn storm<L: Platform>(t: &TestRun<'_, L>) {
    let departures = Cell::new(0_u32);
    let flushes = (t.storm_flushes / 16).max(LEAST);
    let between = |value| {
        t.word(FLUSHES).fetch_add(1, AcqRel);
        if leaves(t.me, value) {
            be_away(t, random(t.me, value) / STAYS % SPINS);
            departures.set(departures.get() + 1);
        }
    };
    rage(t, flushes, || {}, between);
    t.step(Participants::All, || {
        let left = u64::from(departures.get() > 0);
        t.assert(Order, Place::Number(t.me), 1, left);
    });
    t.step(Participants::Initiator, || {
        let missed = u64::from(t.word(MISSED).load(Acquire) > 0);
        t.assert(Order, Place::Number(t.platform.cpus()), 1, missed);
    });
}

fn leaves(cpu: u32, value: u64) -> bool {
    random(cpu, value).is_multiple_of(STAYS)
        || value % STAYS_AT_MOST == u64::from(cpu) % STAYS_AT_MOST
}

/// Goes offline for some spins, and until another CPU has made a flush, if one is left to make it.
/// What the CPU caches meanwhile it must not use when it is online again.
fn be_away<L: Platform>(t: &TestRun<'_, L>, spins: u64) {
    let all = u64::from(t.platform.cpus());
    t.platform.go_offline();
    t.word(AWAY).fetch_add(1, AcqRel);
    let before = t.word(FLUSHES).load(Acquire);
    for cpu in 0..t.platform.cpus() {
        // A CPU that is offline may read any old value.
        let _cached = t.platform.load(Page::Small(page_of(cpu)), 0);
    }
    for _ in 0..spins {
        t.platform.relax();
    }
    let is_missed = || t.word(FLUSHES).load(Acquire) > before;
    let none_flushes = || t.word(AWAY).load(Acquire) + t.word(ENDED).load(Acquire) >= all;
    t.wait_until("a flush of another CPU", || {
        is_missed() || none_flushes() || t.shared.failure.is_set()
    });
    t.word(MISSED).fetch_add(is_missed().into(), AcqRel);
    t.word(AWAY).fetch_sub(1, AcqRel);
    t.platform.come_online();
    (0..t.platform.cpus()).for_each(|cpu| look(t, cpu));
}

/// Returns a number that looks random, the same in each run (splitmix64).
const fn random(cpu: u32, value: u64) -> u64 {
    let seed = (cpu as u64) << 32 | value & 0xffff_ffff;
    let mixed = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ mixed >> 31
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shortest_storm_lets_every_cpu_leave() {
        for cpu in 0..512 {
            // As `rage` counts.
            assert!((2..2 + LEAST).any(|value| leaves(cpu, value)), "CPU {cpu}");
        }
    }
}
