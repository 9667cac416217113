//! Each kind of line is counted as its kind, and the figures follow from the design.

use rar_payload::{PageRange, PageSize, Pcid, Request};
use rar_percpu::CpuId;
use rar_percpu::fake::pinned;
use rar_shootdown::{AllOnline, Counting, Shootdown};

use super::ground::SimMachine;
use super::run::{measure_range, name_cpus, name_driver};
use super::{Design, Figures, Point, measure};
use crate::machine::{MachineConfig, Unwatched};
use crate::meter::{ByKind, Kind};
use crate::platform;
use crate::schedule::step;

/// Returns the transfers while CPU 0 repeats what CPU 1 has done, on a machine of two CPUs.
fn transfers(work: impl Fn(u32, &Shootdown<&SimMachine<'_>>, &SimMachine<'_>)) -> ByKind {
    let machine = SimMachine::new(&Unwatched, MachineConfig::new(2));
    let shootdown = Shootdown::new(&machine, platform::STEPS);
    machine.register_cpus(shootdown.domain()).unwrap();
    {
        let mut meter = machine.meter();
        name_driver(&mut meter, &shootdown);
        name_cpus(&mut meter, &machine);
    }
    let turn = std::cell::Cell::new(1);
    let body = |me: u32| {
        while turn.get() != me {
            step();
        }
        machine.meter().reset();
        work(me, &shootdown, &machine);
        turn.set(0);
    };
    machine.run(1, &body, &mut |steps| steps < 1_000_000);
    machine.meter().by_kind()
}

#[track_caller]
fn assert_only(kind: Kind, work: impl Fn(u32, &Shootdown<&SimMachine<'_>>, &SimMachine<'_>)) {
    let counts = transfers(work);
    assert!(counts.of(kind) > 0, "{kind:?}: {counts:?}");
    assert_eq!(counts.of(kind), counts.total(), "{kind:?}: {counts:?}");
}

#[test]
fn a_payload_is_a_payload() {
    assert_only(Kind::Payload, |_, shootdown, _| {
        for slot in rar_percpu::SlotIndex::all() {
            let _payload = shootdown.domain().table().load(slot);
        }
    });
}

#[test]
fn a_vector_is_a_vector() {
    assert_only(Kind::Vector, |_, _, machine| {
        assert!(machine.driver().cpus()[1].vector().is_quiet());
    });
}

#[test]
fn the_state_of_slots_is_that() {
    assert_only(Kind::Slot, |_, shootdown, _| {
        assert_eq!(shootdown.domain().free_and_quarantined_slots(), (64, 0));
    });
}

#[test]
fn the_apic_id_and_the_responder_are_an_identity() {
    assert_only(Kind::Identity, |_, _, machine| {
        assert!(machine.driver().cpus()[1].apic_id().is_some());
    });
    assert_only(Kind::Identity, |_, _, machine| {
        let _responder = machine.driver().cpus()[1].responder();
    });
}

#[test]
fn a_generation_is_no_identity_though_it_shares_its_line() {
    assert_only(Kind::Generation, |_, _, machine| {
        let _none = machine.driver().cpus()[1].generation().newest();
    });
}

#[test]
fn who_is_online_and_who_is_registered_are_sets() {
    assert_only(Kind::Sets, |_, shootdown, _| {
        assert!(!shootdown.domain().is_online(CpuId::new(1)));
        assert_eq!(shootdown.domain().registered().len(), 2);
    });
}

#[test]
fn counters_are_statistics_and_the_policy_is_not() {
    let range = PageRange::new(0, 1 << 20, PageSize::Size4K).unwrap();
    let pcid = Pcid::ZERO;
    let flush = |me: u32, shootdown: &Shootdown<&SimMachine<'_>>| {
        let requests = [Request::Pages { pcid, range }];
        shootdown.flush(&pinned(me), &requests, &AllOnline).unwrap();
    };
    let counts = transfers(|me, shootdown, _| (0..9).for_each(|_| flush(me, shootdown)));
    assert_eq!(counts.of(Kind::Statistics), 1, "fetched once: {counts:?}");
    let counts = transfers(|me, shootdown, _| {
        flush(me, shootdown);
        assert!(shootdown.statistics().collapsed > 0);
    });
    assert!(counts.of(Kind::Statistics) > 1, "another's: {counts:?}");
    assert_only(Kind::Other, |_, shootdown, _| {
        let (_policy, _machine) = (shootdown.policy(), shootdown.machine());
    });
}

#[test]
fn what_calls_move_is_a_call_a_generation_or_information() {
    let figures = measure(Design::Calls, Point::new(4, 8));
    let named = [Kind::Calls, Kind::Generation, Kind::Payload];
    let sum: u64 = named.iter().map(|kind| figures.transfers.of(*kind)).sum();
    assert_eq!(sum, figures.transfers.total(), "{figures:?}");
    assert!(
        named.iter().all(|kind| figures.of(*kind) > 0.0),
        "{figures:?}"
    );
}

/// The vector: to the initiator, to the target, exclusive there, and back. The entry: once to each
/// target, and exclusive to its initiator again.
#[test]
fn what_the_protocol_demands_can_be_counted_by_hand() {
    for targets in [1, 8, 63] {
        let figures = measure(Design::Floor, Point::new(1, targets));
        let targets = f64::from(targets);
        assert_eq!(figures.of(Kind::Vector), 4.0 * targets);
        assert_eq!(figures.of(Kind::Payload), targets + 1.0);
        assert_eq!(figures.per_flush(), 5.0 * targets + 1.0);
    }
}

#[test]
fn the_same_point_gives_the_same_figures() {
    let point = Point::new(4, 8);
    assert_eq!(
        measure(Design::Driver, point),
        measure(Design::Driver, point)
    );
}

/// Transfers of flushes that change statistics: each names more pages than its entries can.
fn of_large_ranges(in_pairs: bool, counting: Counting) -> Figures {
    let point = Point {
        in_pairs,
        ..Point::new(4, 8)
    };
    let range = PageRange::new(0x40_0000, 300, PageSize::Size4K).unwrap();
    let (figures, statistics) = measure_range(Design::Driver, point, range, counting);
    let flushes = u64::from(figures.flushes);
    assert!(statistics.collapsed >= flushes, "{statistics:?}");
    if counting == Counting::Rare {
        assert_eq!((statistics.flushes, statistics.waits.total()), (0, 0));
    } else {
        assert!(statistics.flushes >= flushes, "{statistics:?}");
        assert_eq!(statistics.targets, 8 * statistics.flushes);
        assert_eq!(statistics.whole_crowded, statistics.flushes);
    }
    if counting == Counting::Waits {
        assert_eq!(statistics.waits.total(), statistics.flushes);
    }
    figures
}

/// Each of four CPUs fetches each of its six lines once.
const FIRST_TOUCHES: u64 = 4 * 6;

/// Four CPUs count each of their 512 flushes at the same time, and no line of counts moves from one
/// to another: each is written by one CPU. Nor does a count move a line that others read.
#[test]
fn no_line_of_counts_is_written_by_two_cpus_or_shared_with_what_a_flush_reads() {
    for in_pairs in [false, true] {
        for counting in [Counting::Rare, Counting::Flushes, Counting::Waits] {
            let figures = of_large_ranges(in_pairs, counting);
            let moved = figures.transfers.of(Kind::Statistics);
            assert!(moved <= FIRST_TOUCHES, "{counting:?}: {figures:?}");
            for kind in [Kind::Other, Kind::Sets, Kind::Identity, Kind::Generation] {
                // A rarely read line has one first read.
                assert!(figures.of(kind) < 0.05, "{kind:?} {in_pairs}: {figures:?}");
            }
        }
    }
}
