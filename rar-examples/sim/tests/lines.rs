//! The driver moves no more cache lines than the other designs and than the protocol demands.
#![cfg(rar_observed)]

use rar_sim::lines::{Design, Figures, Point, measure};
use rar_sim::meter::Kind;

/// What the protocol does not demand: the overhead of each design.
const OWN: [Kind; 7] = [
    Kind::Slot,
    Kind::Identity,
    Kind::Generation,
    Kind::Sets,
    Kind::Calls,
    Kind::Statistics,
    Kind::Other,
];

/// By how much two figures of competing initiators may differ by chance, since each access changes
/// the interleaving.
const CHANCE: f64 = 1.03;

fn own(figures: &Figures) -> f64 {
    OWN.iter().map(|kind| figures.of(*kind)).sum()
}

fn small_grid() -> impl Iterator<Item = Point> {
    Point::grid()
        .into_iter()
        .filter(|point| point.targets < 255)
}

#[test]
fn a_flush_moves_nothing_but_entries_and_vectors() {
    for point in small_grid() {
        for design in [Design::Driver, Design::Sparing] {
            let figures = measure(design, point);
            assert_eq!(own(&figures), 0.0, "{design:?} {point}: {figures:?}");
        }
    }
}

#[test]
fn a_single_initiator_moves_what_the_protocol_demands_and_no_more() {
    for point in small_grid().filter(|point| point.initiators == 1) {
        let [floor, bitmap, locks, calls] =
            [Design::Floor, Design::Bitmap, Design::Locks, Design::Calls]
                .map(|design| measure(design, point).per_flush());
        for design in [Design::Driver, Design::Sparing] {
            let ours = measure(design, point).per_flush();
            assert_eq!(ours, floor, "{design:?} {point}");
            assert!(ours <= bitmap && ours <= locks, "{design:?} {point}");
            assert!(ours < calls, "{design:?} {point}");
        }
    }
}

#[test]
fn initiators_that_meet_move_less_than_by_any_other_design() {
    for point in small_grid().filter(|point| point.initiators > 1) {
        let [floor, bitmap, locks, calls] =
            [Design::Floor, Design::Bitmap, Design::Locks, Design::Calls]
                .map(|design| measure(design, point));
        let ours = measure(Design::Driver, point).per_flush();
        // The two published designs use the vectors as the driver does; the rest is their overhead.
        assert!(own(&bitmap) > 0.9, "{point}: {bitmap:?}");
        for other in [bitmap, locks, floor] {
            let other = other.per_flush();
            assert!(
                ours <= other * CHANCE,
                "{point}: got {ours}, expected {other}"
            );
        }
        assert!(ours < calls.per_flush(), "{point}: {calls:?}");
        // The bound of a single initiator: 5 a target, and its own entry.
        let bound = f64::from(5 * point.targets + 1);
        assert!(ours <= bound * 1.1, "{point}: got {ours}, expected {bound}");
    }
}

/// CPU 0 and CPU 64 begin at the same slot. Only the line of its state moves back and forth.
#[test]
fn initiators_with_one_home_slot_pay_for_the_state_of_it() {
    let apart = Point::new(2, 127);
    let one_home = Point { apart: 64, ..apart };
    assert_eq!(own(&measure(Design::Driver, apart)), 0.0);
    let figures = measure(Design::Driver, one_home);
    assert!(own(&figures) > 0.0 && own(&figures) < 6.0, "{figures:?}");
}
