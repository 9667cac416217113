//! Many flushes in flight.

use rar_model::{Knobs, PageSize, Pass, Serviced, TableSize, Wake};
use rar_percpu::fake::pinned;
use rar_sim::machine::{Machine, Service};

use crate::rig::{Setup, run, run_in_trouble};
use crate::scene::{
    TAGS, flush, honest_units, is_page, make_stale, map, members, pages, statistics,
};

fn scanned<const TLB: usize>(machine: &Machine<'_, TLB>, cpu: u32) -> Pass {
    match machine.end_instruction(cpu) {
        Serviced::Scanned(pass) => pass,
        other => unreachable!("not scanned: {other:?}"),
    }
}

#[test]
fn all_64_slots_in_flight_are_served_by_one_scan() {
    for knobs in honest_units() {
        let setup = Setup::new(knobs).cpus(3).served(Service::Boundary);
        run::<256>(setup, |rig, _units| {
            map(rig, 66, PageSize::Size4K);
            make_stale(rig, |held| is_page(held, TAGS[0], 1, 64));
            let (initiator, targets) = (pinned(0), members(&[0, 1, 2]));
            let pending: Vec<_> = (1..=64)
                .map(|page| {
                    rig.shootdown
                        .start(&initiator, &[pages(page, 1)], &targets, page)
                })
                .collect();
            assert_eq!(rig.stale(0), [], "its own TLB at once");
            for cpu in [1, 2] {
                assert_eq!(rig.stale(cpu).len(), 64, "control");
                assert_eq!(
                    scanned(rig.machine, cpu),
                    Pass {
                        succeeded: 64,
                        failed: 0,
                        unanswered: 0,
                        wake: Wake::AsBefore
                    }
                );
                assert_eq!(rig.stale(cpu), []);
                assert_eq!(rig.contents(cpu).len(), 66 * 3 - 64, "neighbours");
                let record = rig.machine.cpu(cpu).record();
                let mut indices: Vec<_> = record.iter().map(|entry| entry.index).collect();
                indices.sort_unstable();
                assert_eq!(indices, (0..64).collect::<Vec<_>>());
            }
            assert_eq!(rig.machine.merged_signals(), 2 * 63);
            for (page, pending) in (1..).zip(pending) {
                assert_eq!(pending.wait(&pinned(0)).unwrap(), page);
            }
        });
    }
}

#[test]
fn one_flush_more_than_slots_goes_by_generation() {
    for entries in [1, 2, 63, 64] {
        let knobs = Knobs {
            table: TableSize::new(entries).unwrap(),
            ..Knobs::SPARING
        };
        run_in_trouble::<256>(
            Setup::new(knobs).served(Service::Boundary),
            |rig, _units| {
                map(rig, 70, PageSize::Size4K);
                let count = u64::from(entries) + 1;
                make_stale(rig, |held| is_page(held, TAGS[0], 0, count));
                let (initiator, targets) = (pinned(3), members(&[0, 1, 2, 3]));
                let pending: Vec<_> = (0..count)
                    .map(|page| {
                        rig.shootdown
                            .start(&initiator, &[pages(page, 1)], &targets, ())
                    })
                    .collect();
                for cpu in 0..3 {
                    assert_eq!(rig.stale(cpu).len() as u64, count, "control");
                    assert_eq!(scanned(rig.machine, cpu).succeeded, u32::from(entries));
                    assert_eq!(rig.stale(cpu), []);
                }
                pending
                    .into_iter()
                    .for_each(|pending| pending.wait(&initiator).unwrap());
                rig.assert_statistics(statistics(|expected| {
                    expected.slotless = 1;
                }));
            },
        );
    }
}

#[test]
fn slots_are_used_again_and_again() {
    for knobs in honest_units() {
        let small = Knobs {
            table: TableSize::new(3).unwrap(),
            ..knobs
        };
        run::<64>(Setup::new(small), |rig, _units| {
            map(rig, 5, PageSize::Size4K);
            for (round, initiator) in (0..40).zip((0..4).cycle()) {
                let page = round % 5;
                make_stale(rig, |held| is_page(held, TAGS[0], page, 1));
                flush(rig, initiator, &[pages(page, 1)], &[0, 1, 2, 3]);
                assert!((0..4).all(|cpu| rig.stale(cpu).is_empty()));
            }
        });
    }
}
