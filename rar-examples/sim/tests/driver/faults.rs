//! Broken units, and slow ones.

use std::time::{Duration, Instant};

use rar_model::{ACKED, Faults, Knobs, PageSize, RarUnit};
use rar_percpu::Verified;
use rar_percpu::fake::pinned;
use rar_sim::machine::Service;

use crate::rig::{COUNTED, Rig, STALLED, Setup, run, run_in_trouble};
use crate::scene::{
    TAGS, flush, honest_units, is_page, make_stale, map, members, pages, statistics,
};

const ALL: [u32; 4] = [0, 1, 2, 3];
const BROKEN: u32 = STALLED;

fn with(knobs: Knobs, faults: Faults) -> Knobs {
    Knobs { faults, ..knobs }
}

/// Four pages in three spaces, pages 1 and 2 stale everywhere, CPU 2 broken.
fn prepare<const TLB: usize>(rig: &Rig<'_, TLB>, broken: Knobs) {
    map(rig, 4, PageSize::Size4K);
    make_stale(rig, |held| is_page(held, TAGS[0], 1, 2));
    rig.machine.cpu(BROKEN).set_knobs(broken);
}

fn byte<const TLB: usize>(rig: &Rig<'_, TLB>, cpu: u32, slot: usize) -> u8 {
    rig.machine.driver().actions(cpu as usize)[slot]
}

/// CPU 2 is flushed by generation, so completely; the others by their units, so exactly.
fn assert_all_flushed<const TLB: usize>(rig: &Rig<'_, TLB>) {
    for cpu in 0..4 {
        assert_eq!(rig.stale(cpu), [], "CPU {cpu}");
        let left = if cpu == BROKEN { 0 } else { 10 };
        assert_eq!(rig.contents(cpu).len(), left, "CPU {cpu}");
    }
}

#[test]
fn a_refusal_falls_back_to_a_full_flush_and_the_slot_is_free_again() {
    for knobs in honest_units() {
        run_in_trouble::<16>(Setup::new(knobs), |rig, _units| {
            let fail = Faults {
                fail: u64::MAX,
                ..Faults::NONE
            };
            prepare(rig, with(knobs, fail));
            flush(rig, 0, &[pages(1, 2)], &ALL);
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
        run_in_trouble::<16>(Setup::new(knobs), |rig, units| {
            let mute = Faults {
                mute: u64::MAX,
                ..Faults::NONE
            };
            prepare(rig, with(knobs, mute));
            flush(rig, 0, &[pages(1, 2)], &ALL);
            assert_all_flushed(rig);
            let mut expected = statistics(|expected| {
                expected.fallbacks = 1;
                expected.quarantined = 1;
                expected.demotions = 1;
            });
            rig.assert_statistics(expected);
            assert_eq!(rig.reclaim_slots(), 0);

            // Slot 0 is lost, and the CPU is demoted: the next flush takes another slot for the
            // others, and flushes this CPU by generation at once.
            rig.machine.cpu(BROKEN).set_knobs(knobs);
            make_stale(rig, |held| is_page(held, TAGS[0], 1, 2));
            flush(rig, 0, &[pages(1, 2)], &ALL);
            assert_all_flushed(rig);
            expected.by_generation = 1;
            rig.assert_statistics(expected);
            assert_eq!(rig.reclaim_slots(), 0, "its late byte is not final");

            // After reprogramming its unit is used again.
            let broken = pinned(BROKEN);
            let verified = units[BROKEN as usize].verify(&broken, rig.machine);
            assert_eq!(verified, Ok(Verified::Restored));
            assert_eq!(rig.reclaim_slots(), 1);
            expected.quarantined = 0;
            make_stale(rig, |held| is_page(held, TAGS[0], 3, 1));
            flush(rig, 0, &[pages(3, 1)], &ALL);
            assert!((0..4).all(|cpu| rig.stale(cpu).is_empty()));
            assert_eq!(rig.contents(BROKEN).len(), 11, "by its unit");
            rig.assert_statistics(expected);
            let verified = units[BROKEN as usize].verify(&broken, rig.machine);
            assert_eq!(verified, Ok(Verified::Intact));
        });
    }
}

#[test]
fn a_unit_that_is_slow_within_the_bound_is_waited_for() {
    for knobs in honest_units() {
        run::<16>(Setup::new(knobs).served(Service::Polled), |rig, _units| {
            let slow = Faults {
                delay: 20,
                ..Faults::NONE
            };
            prepare(rig, with(knobs, slow));
            flush(rig, 0, &[pages(1, 2)], &ALL);
            for cpu in 0..4 {
                assert_eq!(rig.stale(cpu), []);
                assert_eq!(rig.contents(cpu).len(), 10, "CPU {cpu}");
            }
        });
    }
}

#[test]
fn an_answer_after_the_bound_gives_the_slot_back() {
    for knobs in honest_units() {
        run_in_trouble::<16>(Setup::new(knobs).served(Service::Polled), |rig, _units| {
            let slow = Faults {
                delay: 250,
                ..Faults::NONE
            };
            prepare(rig, with(knobs, slow));
            flush(rig, 0, &[pages(1, 2)], &ALL);
            assert_all_flushed(rig);
            rig.assert_statistics(statistics(|expected| {
                expected.fallbacks = 1;
                expected.quarantined = 1;
                expected.demotions = 1;
            }));
            assert_eq!(rig.reclaim_slots(), 0);
            let broken = pinned(BROKEN);
            assert!(!rig.shootdown.serve(&broken).promoted);
            for _ in 0..250 {
                let _served = rig.machine.end_instruction(BROKEN);
            }
            assert_eq!(rig.reclaim_slots(), 1);
            assert!(rig.shootdown.serve(&broken).promoted, "all is answered");
            assert_eq!(rig.shootdown.statistics().promotions, 1);
        });
    }
}

#[test]
fn a_lost_signal_is_made_good_by_the_second_one() {
    let mut setup = Setup::new(Knobs::SPARING).served(Service::Polled);
    setup.policy = COUNTED;
    setup.policy.resignal_after = Some(Duration::from_nanos(30));
    run_in_trouble::<16>(setup, |rig, _units| {
        prepare(rig, Knobs::SPARING);
        let (initiator, targets) = (pinned(0), members(&ALL));
        let pending = rig
            .shootdown
            .start(&initiator, &[pages(1, 2)], &targets, ());
        // INIT clears the latch and leaves the registers.
        rig.machine.cpu(BROKEN).with_unit(RarUnit::init);
        assert_eq!(rig.stale(BROKEN).len(), 2, "control");
        pending.wait(&pinned(0)).unwrap();
        assert!((0..4).all(|cpu| rig.stale(cpu).is_empty()));
        assert_eq!(rig.contents(BROKEN).len(), 10, "by its unit");
        rig.assert_statistics(statistics(|expected| {
            expected.resignals = 1;
        }));
    });
}

#[test]
fn acked_is_no_end() {
    run::<16>(Setup::new(Knobs::SPARING).threads(), |rig, _units| {
        prepare(rig, Knobs::SPARING);
        rig.on_threads(&|cpu| {
            if cpu == 0 {
                wait_for_an_acknowledged_entry(rig);
            }
        });
    });
}

fn wait_for_an_acknowledged_entry(rig: &Rig<'_, 16>) {
    let (stall, _stalled) = (rig.stall, rig.stall.begin(200));
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
        stall.spins_left(),
        200,
        "only a spin of the driver counts it down"
    );
    assert_eq!(rig.stale(BROKEN).len(), 2, "control");
    pending.wait(&pinned(0)).unwrap();
    assert_eq!(stall.spins_left(), 0, "it went on waiting");
    assert!((0..4).all(|cpu| rig.stale(cpu).is_empty()));
    assert_eq!(rig.contents(BROKEN).len(), 10);
}

/// No driver can detect this unit, so the oracle must; otherwise the oracle would prove nothing.
#[test]
fn the_oracle_sees_success_without_a_flush() {
    for knobs in honest_units() {
        run::<16>(Setup::new(knobs), |rig, _units| {
            let lie = Faults {
                lie: u64::MAX,
                ..Faults::NONE
            };
            prepare(rig, with(knobs, lie));
            flush(rig, 0, &[pages(1, 2)], &ALL);
            for cpu in 0..4 {
                let left = if cpu == BROKEN { 2 } else { 0 };
                assert_eq!(rig.stale(cpu).len(), left, "CPU {cpu}");
            }
        });
    }
}

#[test]
fn the_oracle_sees_success_before_the_flush() {
    run::<16>(Setup::new(Knobs::DEFAULT).threads(), |rig, _units| {
        let early = Faults {
            early_status: u64::MAX,
            ..Faults::NONE
        };
        prepare(rig, with(Knobs::DEFAULT, early));
        rig.on_threads(&|cpu| {
            if cpu != 0 {
                return;
            }
            let _stalled = rig.stall.begin(u32::MAX);
            flush(rig, 0, &[pages(1, 2)], &ALL);
            assert_eq!(rig.stale(BROKEN).len(), 2);
        });
    });
}
