//! The order in which a scan visits its slots.

use core::fmt;

use crate::platform::{Page, Platform};
use crate::test_run::{Participants, TestRun, new_value};
use crate::tests::unit::bench::{Bench, without_driver};
use crate::tests::unit::steps::prepare;

const SLOTS: usize = 64;

/// The order in which one scan served the slots.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Order {
    /// The observer was too slow: all bytes were final at its first read.
    AtOnce,
    Upwards,
    Downwards,
    /// Ascending from this slot to the last, then from the first.
    From(usize),
    /// None of these.
    Mixed,
}

/// *Observed*: the order in which the bytes of all slots become final at one signal.
pub(crate) fn scan<L: Platform>(t: &TestRun<'_, L>) {
    without_driver(t, |bench| {
        let all = bench.slots().count();
        prepare(bench, u16::try_from(all).unwrap_or(0));
        let target = (t.initiator + 1) % t.platform.cpus();
        t.step(Participants::Initiator, || {
            for (slot, page) in bench.slots() {
                bench.order(slot, bench.pages(page, 1), [target].into_iter());
            }
            bench.signal([target].into_iter());
            let looks = looks(bench, target);
            for (slot, _) in bench.slots() {
                bench.await_success(slot, [target].into_iter());
            }
            let order = Order::of(looks.get(..all).unwrap_or_default());
            t.observe(format_args!("{order}"));
        });
        t.step(Participants::Others, || {
            if t.me == target {
                for (_, page) in bench.slots() {
                    t.expect_gone(Page::Small(page), new_value(page));
                }
            }
        });
    });
}

/// What the observer saw of a byte. All reads of all bytes are numbered from 1, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Sight {
    /// The last read that found it not final; 0 if none did.
    pending: u32,
    /// The first read that found it final.
    done: u32,
}

impl Sight {
    /// Whether this byte was final while the other was not. Nothing less shows an order, since the
    /// unit can overtake an observer that reads one byte after the other.
    fn is_before(&self, other: &Self) -> bool {
        self.done < other.pending
    }
}

/// Reads all bytes repeatedly, upwards and downwards in turn, so that either order is visible.
fn looks<L: Platform>(bench: &Bench<'_, '_, L>, target: u32) -> [Sight; SLOTS] {
    const UNSEEN: Sight = Sight {
        pending: 0,
        done: u32::MAX,
    };
    let mut slots = [None; SLOTS];
    for (place, (slot, _)) in slots.iter_mut().zip(bench.slots()) {
        *place = Some(slot);
    }
    let sights = core::cell::Cell::new([UNSEEN; SLOTS]);
    let reads = core::cell::Cell::new(0);
    let is_upwards = core::cell::Cell::new(true);
    bench.wait_for_answer(|| {
        let mut seen = sights.get();
        let mut is_done = true;
        let mut look = |slot, sight: &mut Sight| {
            if sight.done != u32::MAX {
                return;
            }
            reads.set(reads.get() + 1);
            if bench.is_final(target, slot) {
                sight.done = reads.get();
            } else {
                sight.pending = reads.get();
                is_done = false;
            }
        };
        let mut look_at = |(slot, sight): (&Option<_>, &mut Sight)| {
            if let Some(slot) = slot {
                look(*slot, sight);
            }
        };
        let bytes = slots.iter().zip(&mut seen);
        if is_upwards.replace(!is_upwards.get()) {
            bytes.for_each(&mut look_at);
        } else {
            bytes.rev().for_each(&mut look_at);
        }
        sights.set(seen);
        is_done
    });
    sights.get()
}

impl Order {
    fn of(sights: &[Sight]) -> Self {
        let pairs = || sights.iter().zip(sights.iter().skip(1));
        let rises = pairs()
            .filter(|(first, second)| first.is_before(second))
            .count();
        let is_fall = |(first, second): (&Sight, &Sight)| second.is_before(first);
        let falls = pairs().filter(|pair| is_fall(*pair)).count();
        // Where a scan that wraps around began.
        let fall = pairs().position(is_fall);
        let wraps = sights
            .first()
            .zip(sights.last())
            .is_some_and(|(first, last)| !first.is_before(last));
        match (rises, falls, fall) {
            (0, 0, _) => Self::AtOnce,
            (_, 0, _) => Self::Upwards,
            (0, falls, _) if falls > 1 => Self::Downwards,
            (_, 1, Some(last)) if wraps => Self::From(last + 1),
            _ => Self::Mixed,
        }
    }
}

impl fmt::Display for Order {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AtOnce => f.write_str("all slots are final at one look"),
            Self::Upwards => f.write_str("slots become final upwards"),
            Self::Downwards => f.write_str("slots become final downwards"),
            Self::From(first) => write!(f, "slots become final upwards from slot {first}"),
            Self::Mixed => f.write_str("slots become final neither upwards nor downwards"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Order, Sight};

    /// What an observer sees that reads four bytes upwards, which become final at these reads.
    fn sights(looks: [u32; 4]) -> [Sight; 4] {
        let mut place = 0;
        looks.map(|look| {
            place += 1;
            Sight {
                pending: if look == 1 { 0 } else { 4 * (look - 1) + place },
                done: 4 * look + place,
            }
        })
    }

    #[test]
    fn orders_by_what_is_seen_of_them() {
        for (looks, order) in [
            ([1, 1, 1, 1], Order::AtOnce),
            ([1, 1, 2, 5], Order::Upwards),
            ([7, 5, 3, 1], Order::Downwards),
            ([4, 4, 1, 3], Order::From(2)),
            ([1, 5, 1, 5], Order::Mixed),
            // The second byte was read after the first had become final unseen.
            ([2, 1, 2, 3], Order::Upwards),
        ] {
            assert_eq!(Order::of(&sights(looks)), order, "{looks:?}");
        }
    }
}
