//! Broken units, and slow ones.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use rar_model::{ACKED, Faults, Knobs, PageSize, PhysicalMemory};
use rar_percpu::fake::pinned;
use rar_percpu::{PerCpu, Verified};

use crate::driver_machine::{COUNTED, Config, PER_CPU, Rig, Service, run, run_in_trouble};
use crate::scene::{TAGS, honest_units, is_page, make_stale, map, members, pages, statistics};

const ALL: [u32; 4] = [0, 1, 2, 3];
const BROKEN: usize = 2;

fn with(knobs: Knobs, faults: Faults) -> Knobs {
    Knobs { faults, ..knobs }
}

/// Four pages in three spaces, pages 1 and 2 stale everywhere, CPU 2 broken.
fn prepare<const TLB: usize>(rig: &Rig<'_, TLB>, broken: Knobs) {
    map(rig, 4, PageSize::Size4K);
    make_stale(rig, |held| is_page(held, TAGS[0], 1, 2));
    rig.board.set_knobs(BROKEN, broken);
}

fn byte<const TLB: usize>(rig: &Rig<'_, TLB>, cpu: usize, slot: u64) -> u8 {
    let vector = PER_CPU + (cpu * size_of::<PerCpu>()) as u64;
    rig.board.memory().load_u8(vector + slot)
}

/// CPU 2 is flushed by generation, so wholly; the others by their units, so exactly.
fn assert_all_flushed<const TLB: usize>(rig: &Rig<'_, TLB>) {
    for cpu in 0..4 {
        assert_eq!(rig.board.stale(cpu), [], "CPU {cpu}");
        let left = if cpu == BROKEN { 0 } else { 10 };
        assert_eq!(rig.board.tlbs.contents(cpu).len(), left, "CPU {cpu}");
    }
}

#[test]
fn a_refusal_falls_back_to_a_full_flush_and_the_slot_is_free_again() {
    for knobs in honest_units() {
        run_in_trouble::<16>(Config::new(knobs), |rig, _units| {
            let fail = Faults {
                fail: u64::MAX,
                ..Faults::NONE
            };
            prepare(rig, with(knobs, fail));
            rig.shootdown
                .flush(&pinned(0), &[pages(1, 2)], &members(&ALL))
                .unwrap();
            assert_all_flushed(rig);
            rig.assert_statistics(statistics(|expected| {
                expected.fallbacks = 1;
                expected.failures = 1;
            }));
        });
    }
}

#[test]
fn a_mute_unit_falls_back_and_its_slot_waits_for_the_late_answer() {
    for knobs in honest_units() {
        run_in_trouble::<16>(Config::new(knobs), |rig, units| {
            let mute = Faults {
                mute: u64::MAX,
                ..Faults::NONE
            };
            prepare(rig, with(knobs, mute));
            rig.shootdown
                .flush(&pinned(0), &[pages(1, 2)], &members(&ALL))
                .unwrap();
            assert_all_flushed(rig);
            let mut expected = statistics(|expected| {
                expected.fallbacks = 1;
                expected.quarantined = 1;
                expected.demotions = 1;
            });
            rig.assert_statistics(expected);
            assert_eq!(rig.reclaim_slots(), 0);

            // Slot 0 is lost, and the CPU is demoted: the next flush takes another slot for the others, and asks this CPU at once.
            rig.board.set_knobs(BROKEN, knobs);
            make_stale(rig, |held| is_page(held, TAGS[0], 1, 2));
            rig.shootdown
                .flush(&pinned(0), &[pages(1, 2)], &members(&ALL))
                .unwrap();
            assert_all_flushed(rig);
            expected.by_generation = 1;
            rig.assert_statistics(expected);
            assert_eq!(rig.reclaim_slots(), 0, "its late byte is not final");

            // Programmed anew, its unit is used again.
            let broken = pinned(u32::try_from(BROKEN).unwrap());
            let verified = units[BROKEN].verify(&broken, &rig.board.tlbs);
            assert_eq!(verified, Ok(Verified::Restored));
            assert_eq!(rig.reclaim_slots(), 1);
            expected.quarantined = 0;
            make_stale(rig, |held| is_page(held, TAGS[0], 3, 1));
            rig.shootdown
                .flush(&pinned(0), &[pages(3, 1)], &members(&ALL))
                .unwrap();
            assert!((0..4).all(|cpu| rig.board.stale(cpu).is_empty()));
            assert_eq!(rig.board.tlbs.contents(BROKEN).len(), 11, "by its unit");
            rig.assert_statistics(expected);
            let verified = units[BROKEN].verify(&broken, &rig.board.tlbs);
            assert_eq!(verified, Ok(Verified::Intact));
        });
    }
}

#[test]
fn a_unit_that_is_slow_within_the_bound_is_waited_for() {
    for knobs in honest_units() {
        run::<16>(Config::new(knobs).served(Service::Polled), |rig, _units| {
            let slow = Faults {
                delay: 20,
                ..Faults::NONE
            };
            prepare(rig, with(knobs, slow));
            rig.shootdown
                .flush(&pinned(0), &[pages(1, 2)], &members(&ALL))
                .unwrap();
            for cpu in 0..4 {
                assert_eq!(rig.board.stale(cpu), []);
                assert_eq!(rig.board.tlbs.contents(cpu).len(), 10, "CPU {cpu}");
            }
        });
    }
}

#[test]
fn an_answer_after_the_bound_gives_the_slot_back() {
    for knobs in honest_units() {
        run_in_trouble::<16>(Config::new(knobs).served(Service::Polled), |rig, _units| {
            let slow = Faults {
                delay: 250,
                ..Faults::NONE
            };
            prepare(rig, with(knobs, slow));
            rig.shootdown
                .flush(&pinned(0), &[pages(1, 2)], &members(&ALL))
                .unwrap();
            assert_all_flushed(rig);
            rig.assert_statistics(statistics(|expected| {
                expected.fallbacks = 1;
                expected.quarantined = 1;
                expected.demotions = 1;
            }));
            assert_eq!(rig.reclaim_slots(), 0);
            let broken = pinned(u32::try_from(BROKEN).unwrap());
            assert!(!rig.shootdown.serve(&broken).promoted);
            for _ in 0..250 {
                let _served = rig.board.step(BROKEN);
            }
            assert_eq!(rig.reclaim_slots(), 1);
            assert!(rig.shootdown.serve(&broken).promoted, "all is answered");
            assert_eq!(rig.shootdown.statistics().promotions, 1);
        });
    }
}

#[test]
fn a_lost_signal_is_made_good_by_the_second_one() {
    let config = Config {
        policy: {
            let mut policy = COUNTED;
            policy.resignal_after = Some(Duration::from_nanos(30));
            policy
        },
        ..Config::new(Knobs::SPARING).served(Service::Polled)
    };
    run_in_trouble::<16>(config, |rig, _units| {
        prepare(rig, Knobs::SPARING);
        let (initiator, targets) = (pinned(0), members(&ALL));
        let pending = rig
            .shootdown
            .start(&initiator, &[pages(1, 2)], &targets, ());
        // INIT clears the latch and leaves the registers.
        rig.board.processors[BROKEN].unit.read().unwrap().init();
        assert_eq!(rig.board.stale(BROKEN).len(), 2, "control");
        pending.wait(&pinned(0)).unwrap();
        assert!((0..4).all(|cpu| rig.board.stale(cpu).is_empty()));
        assert_eq!(rig.board.tlbs.contents(BROKEN).len(), 10, "by its unit");
        rig.assert_statistics(statistics(|expected| {
            expected.resignals = 1;
        }));
    });
}

#[test]
fn acked_is_no_end() {
    let config = Config::new(Knobs::SPARING).served(Service::Threads);
    run::<16>(config, |rig, _units| {
        prepare(rig, Knobs::SPARING);
        let stall = &rig.board.processors[BROKEN].stall;
        stall.store(200, Ordering::Release);
        let (initiator, targets) = (pinned(0), members(&ALL));
        let pending = rig
            .shootdown
            .start(&initiator, &[pages(1, 2)], &targets, ());
        let started = Instant::now();
        while byte(rig, BROKEN, 0) != ACKED {
            assert!(
                started.elapsed() < Duration::from_secs(10),
                "never acknowledged"
            );
            std::thread::yield_now();
        }
        assert_eq!(
            stall.load(Ordering::Acquire),
            200,
            "only a spin of the driver counts it down"
        );
        assert_eq!(rig.board.stale(BROKEN).len(), 2, "control");
        pending.wait(&pinned(0)).unwrap();
        assert_eq!(stall.load(Ordering::Acquire), 0, "it went on waiting");
        assert!((0..4).all(|cpu| rig.board.stale(cpu).is_empty()));
        assert_eq!(rig.board.tlbs.contents(BROKEN).len(), 10);
    });
}

/// No driver can see through this unit, so the oracle must: it would be blind otherwise.
#[test]
fn the_oracle_sees_success_without_a_flush() {
    for knobs in honest_units() {
        run::<16>(Config::new(knobs), |rig, _units| {
            let lie = Faults {
                lie: u64::MAX,
                ..Faults::NONE
            };
            prepare(rig, with(knobs, lie));
            rig.shootdown
                .flush(&pinned(0), &[pages(1, 2)], &members(&ALL))
                .unwrap();
            for cpu in 0..4 {
                let left = if cpu == BROKEN { 2 } else { 0 };
                assert_eq!(rig.board.stale(cpu).len(), left, "CPU {cpu}");
            }
        });
    }
}

#[test]
fn the_oracle_sees_success_before_the_flush() {
    run::<16>(
        Config::new(Knobs::DEFAULT).served(Service::Threads),
        |rig, _units| {
            let early = Faults {
                early_status: u64::MAX,
                ..Faults::NONE
            };
            prepare(rig, with(Knobs::DEFAULT, early));
            rig.board.processors[BROKEN]
                .stall
                .store(u32::MAX, Ordering::Release);
            rig.shootdown
                .flush(&pinned(0), &[pages(1, 2)], &members(&ALL))
                .unwrap();
            assert_eq!(rig.board.stale(BROKEN).len(), 2);
        },
    );
}
