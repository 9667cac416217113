//! The order in which a scan visits its slots.

use core::fmt;

use crate::lab::{Lab, Page};
use crate::tests::unit::bench::{ANSWER_MILLISECONDS, Bench, without_driver};
use crate::tests::unit::entries::prepare;
use crate::trial::{Trial, Who, new_value};

const SLOTS: usize = 64;

/// How slots that were served by one scan follow each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Order {
    /// The observer was too slow: they were all final when it looked.
    AtOnce,
    Upwards,
    Downwards,
    /// Upwards from this slot to the last, then from the first.
    From(usize),
    /// None of these.
    Mixed,
}

/// *Observed*: the order in which the bytes of all slots become final at one signal.
pub(crate) fn scan<L: Lab>(t: &Trial<'_, L>) {
    without_driver(t, |bench| {
        let all = bench.slots().count();
        prepare(bench, u16::try_from(all).unwrap_or(0));
        let target = (t.initiator + 1) % t.lab.cpus();
        t.step(Who::Initiator, || {
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
        t.step(Who::Others, || {
            if t.me == target {
                for (_, page) in bench.slots() {
                    t.expect_gone(Page::Small(page), new_value(page));
                }
            }
        });
    });
}

/// Looks at all bytes again and again; returns at which look each was first seen to be final.
fn looks<L: Lab>(bench: &Bench<'_, '_, L>, target: u32) -> [u32; SLOTS] {
    let looks = core::cell::Cell::new([u32::MAX; SLOTS]);
    let number = core::cell::Cell::new(0);
    bench.wait(ANSWER_MILLISECONDS, || {
        number.set(number.get() + 1);
        let mut seen = looks.get();
        let mut is_done = true;
        for ((slot, _), first) in bench.slots().zip(&mut seen) {
            if *first == u32::MAX && bench.is_final(target, slot) {
                *first = number.get();
            }
            is_done &= *first != u32::MAX;
        }
        looks.set(seen);
        is_done
    });
    looks.get()
}

impl Order {
    fn of(looks: &[u32]) -> Self {
        let pairs = || looks.iter().zip(looks.iter().skip(1));
        let rises = pairs().filter(|(first, second)| first < second).count();
        let falls = pairs().filter(|(first, second)| first > second).count();
        // Where a scan that wraps around began.
        let fall = pairs().position(|(first, second)| first > second);
        match (rises, falls, fall) {
            (0, 0, _) => Self::AtOnce,
            (_, 0, _) => Self::Upwards,
            (0, falls, _) if falls > 1 => Self::Downwards,
            (_, 1, Some(last)) if looks.first() >= looks.last() => Self::From(last + 1),
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
    use super::Order;

    #[test]
    fn orders_by_what_is_seen_of_them() {
        for (looks, order) in [
            (&[1, 1, 1, 1][..], Order::AtOnce),
            (&[1, 1, 2, 5], Order::Upwards),
            (&[5, 2, 2, 1], Order::Downwards),
            (&[4, 4, 1, 3], Order::From(2)),
            (&[1, 3, 1, 3], Order::Mixed),
        ] {
            assert_eq!(Order::of(looks), order, "{looks:?}");
        }
    }
}
