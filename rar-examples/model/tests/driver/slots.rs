//! Many flushes in flight.

use std::sync::atomic::Ordering;

use rar_model::{Knobs, PageSize, Pass, Serviced, TableSize, Wake};
use rar_percpu::fake::pinned;

use crate::driver_machine::{Board, Config, Service, run, run_in_trouble};
use crate::scene::{TAGS, honest_units, is_page, make_stale, map, members, pages, statistics};

fn scanned<const TLB: usize>(board: &Board<'_, TLB>, cpu: usize) -> Pass {
    match board.step(cpu) {
        Serviced::Scanned(pass) => pass,
        other => unreachable!("not scanned: {other:?}"),
    }
}

#[test]
fn all_64_slots_in_flight_are_served_by_one_scan() {
    for knobs in honest_units() {
        let config = Config {
            cpus: 3,
            ..Config::new(knobs).served(Service::Manual)
        };
        run::<256>(config, |rig, _units| {
            map(rig, 66, PageSize::Size4K);
            make_stale(rig, |held| is_page(held, TAGS[0], 1, 64));
            let (initiator, targets) = (pinned(0), members(&[0, 1, 2]));
            let pending: Vec<_> = (1..=64)
                .map(|page| {
                    rig.shootdown
                        .start(&initiator, &[pages(page, 1)], &targets, page)
                })
                .collect();
            assert_eq!(rig.board.stale(0), [], "its own TLB at once");
            for cpu in [1, 2] {
                assert_eq!(rig.board.stale(cpu).len(), 64, "control");
                assert_eq!(
                    scanned(rig.board, cpu),
                    Pass {
                        succeeded: 64,
                        failed: 0,
                        unanswered: 0,
                        wake: Wake::AsBefore
                    }
                );
                assert_eq!(rig.board.stale(cpu), []);
                assert_eq!(
                    rig.board.tlbs.contents(cpu).len(),
                    66 * 3 - 64,
                    "neighbours"
                );
                let mut indices: Vec<_> = rig.board.processors[cpu]
                    .record
                    .lock()
                    .unwrap()
                    .iter()
                    .map(|e| e.index)
                    .collect();
                indices.sort_unstable();
                assert_eq!(indices, (0..64).collect::<Vec<_>>());
            }
            assert_eq!(rig.board.merged.load(Ordering::Acquire), 2 * 63);
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
        run_in_trouble::<256>(Config::new(knobs).served(Service::Manual), |rig, _units| {
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
                assert_eq!(rig.board.stale(cpu).len() as u64, count, "control");
                assert_eq!(scanned(rig.board, cpu).succeeded, u32::from(entries));
                assert_eq!(rig.board.stale(cpu), []);
            }
            pending
                .into_iter()
                .for_each(|pending| pending.wait(&initiator).unwrap());
            rig.assert_statistics(statistics(|expected| {
                expected.slotless = 1;
            }));
        });
    }
}

#[test]
fn slots_are_used_again_and_again() {
    for knobs in honest_units() {
        let small = Knobs {
            table: TableSize::new(3).unwrap(),
            ..knobs
        };
        run::<64>(Config::new(small), |rig, _units| {
            map(rig, 5, PageSize::Size4K);
            for (round, initiator) in (0..40).zip((0..4).cycle()) {
                let page = round % 5;
                make_stale(rig, |held| is_page(held, TAGS[0], page, 1));
                rig.shootdown
                    .flush(
                        &pinned(initiator),
                        &[pages(page, 1)],
                        &members(&[0, 1, 2, 3]),
                    )
                    .unwrap();
                assert!((0..4).all(|cpu| rig.board.stale(cpu).is_empty()));
            }
        });
    }
}
