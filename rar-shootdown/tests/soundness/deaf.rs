//! A CPU whose RAR unit falls silent while the CPU itself takes interrupts.

use rar_percpu::Verified;
use rar_percpu::fake::pinned;
use rar_shootdown::{AllOnline, Event, Message};

use crate::world::{Kind, Takes, Unit, assert_slots, cpu_id, four, policy, set, space, world};

const FOUR_UNITS: [Kind; 4] = [Kind::Microcode; 4];

#[test]
fn finding_04_one_deaf_unit_costs_the_slots_in_flight_and_one_timeout() {
    let (shootdown, units) = world(policy(), &FOUR_UNITS);
    let (machine, domain) = (shootdown.machine(), shootdown.domain());
    let initiator = pinned(0);
    shootdown.flush(&initiator, &four(), &AllOnline).unwrap();
    assert_eq!(machine.looks(), 0, "a control: all answer at once");

    // Two flights are in the air when it falls silent.
    machine.set_unit(3, Unit::Deaf);
    let in_flight = [(); 2].map(|()| shootdown.start(&initiator, &four(), &AllOnline, ()));
    for pending in in_flight {
        pending.wait(&initiator).unwrap();
    }
    let lost = 2 * 4;
    let statistics = shootdown.statistics();
    assert_eq!((statistics.demotions, statistics.quarantined), (1, lost));
    let demoted = |event: &Event| *event == Event::Demotion { cpu: cpu_id(3) };
    assert_eq!(machine.count_events(demoted), 1);

    let (looks, sent) = (machine.looks(), machine.sent());
    machine.tlb.clear();
    for _ in 0..1_000 {
        shootdown.flush(&initiator, &four(), &AllOnline).unwrap();
        // Healthy CPUs alone, and from another one.
        shootdown
            .flush(&pinned(1), &[space(9)], &set_of(2))
            .unwrap();
    }
    assert_eq!(
        machine.looks(),
        looks,
        "no flush waited: not a nanosecond passed"
    );
    let after = shootdown.statistics();
    assert_eq!((after.slotless, after.errors), (0, 0));
    assert_eq!(after.fallbacks, statistics.fallbacks);
    assert_eq!(
        after.quarantined, lost,
        "no slot was lost beyond those in flight"
    );
    assert_eq!(after.by_generation, 1_000);
    assert_eq!(
        machine.sent(),
        [sent[0] + 2_000, sent[1], sent[2] + 1_000, sent[3]]
    );
    assert_eq!(
        (machine.tlb.operations(3), machine.tlb.full_flushes(3)),
        (0, 1_000),
        "the deaf CPU flushed by generation"
    );
    assert_eq!(
        (machine.tlb.operations(2), machine.tlb.full_flushes(2)),
        (5_000, 0)
    );

    // Its registers are programmed anew, and the slots come back.
    machine.set_unit(3, Unit::Answers);
    let verified = units[3].unit().verify(&pinned(3), &machine.tlb);
    assert_eq!(verified, Ok(Verified::Restored));
    machine.tlb.clear();
    shootdown.flush(&initiator, &four(), &AllOnline).unwrap();
    assert_eq!(
        (machine.tlb.operations(3), machine.tlb.full_flushes(3)),
        (4, 0)
    );
    assert_eq!(domain.reclaim_slots(), lost);
    assert_slots(shootdown, 0, "the unit is back");
}

fn set_of(number: u32) -> impl rar_shootdown::TargetSet<1> {
    rar_shootdown::TargetFn(move |_: &_| set(&[number]))
}

#[test]
fn a_late_unit_that_becomes_quiet_is_armed_again() {
    let (shootdown, _units) = world(policy(), &FOUR_UNITS);
    let (machine, domain) = (shootdown.machine(), shootdown.domain());
    machine.set_unit(3, Unit::Later);
    shootdown.flush(&pinned(0), &four(), &AllOnline).unwrap();
    assert_slots(shootdown, 4, "CPU 3 is late");
    assert!(!shootdown.serve(&pinned(3)).promoted, "bytes are open");
    assert!(domain.cpu(cpu_id(3)).unwrap().generation().is_demoted());

    machine.run_unit(domain, cpu_id(3), false);
    assert!(
        !shootdown.serve(&pinned(2)).promoted,
        "another CPU is not it"
    );
    assert!(shootdown.serve(&pinned(3)).promoted);
    assert!(!shootdown.serve(&pinned(3)).promoted, "once");
    assert_eq!(shootdown.statistics().promotions, 1);
    let promoted = |event: &Event| *event == Event::Promotion { cpu: cpu_id(3) };
    assert_eq!(machine.count_events(promoted), 1);

    machine.set_unit(3, Unit::Answers);
    machine.tlb.clear();
    shootdown
        .flush(&pinned(0), &[space(7)], &AllOnline)
        .unwrap();
    assert_eq!(
        (machine.tlb.operations(3), machine.tlb.full_flushes(3)),
        (1, 0)
    );
    domain.reclaim_slots();
    assert_slots(shootdown, 0, "the late unit has answered");
}

/// A handler that runs for a full flush finds the unit quiet, too.
#[test]
fn a_promotion_beside_a_full_flush_is_counted_and_reported() {
    let (shootdown, _units) = world(policy(), &FOUR_UNITS);
    let (machine, domain) = (shootdown.machine(), shootdown.domain());
    machine.set_unit(3, Unit::Later);
    shootdown.flush(&pinned(0), &four(), &AllOnline).unwrap();
    machine.run_unit(domain, cpu_id(3), false);
    domain.request_full_flush(&set(&[3]));
    let served = shootdown.serve(&pinned(3));
    assert!(served.generation && served.promoted, "{served:?}");
    assert_eq!(shootdown.statistics().promotions, 1);
    let promoted = |event: &Event| *event == Event::Promotion { cpu: cpu_id(3) };
    assert_eq!(machine.count_events(promoted), 1);
}

#[test]
fn a_unit_that_falls_silent_again_and_again_loses_four_slots_at_a_time_and_gets_them_back() {
    let (shootdown, _units) = world(policy(), &FOUR_UNITS);
    let (machine, domain) = (shootdown.machine(), shootdown.domain());
    for round in 1..=50 {
        machine.set_unit(3, Unit::Later);
        shootdown.flush(&pinned(0), &four(), &AllOnline).unwrap();
        assert_slots(shootdown, 4, "CPU 3 is late");
        machine.run_unit(domain, cpu_id(3), false);
        machine.set_unit(3, Unit::Answers);
        assert!(shootdown.serve(&pinned(3)).promoted);
        domain.reclaim_slots();
        assert_slots(shootdown, 0, "CPU 3 has answered");
        assert_eq!(shootdown.statistics().demotions, round);
    }
    assert_eq!(shootdown.statistics().slotless, 0);
}

#[test]
fn a_demoted_cpu_that_goes_offline_and_comes_back_is_armed_again() {
    let (shootdown, mut units) = world(policy(), &FOUR_UNITS);
    let machine = shootdown.machine();
    machine.set_unit(3, Unit::Deaf);
    shootdown.flush(&pinned(0), &four(), &AllOnline).unwrap();
    let memory = shootdown.domain().cpu(cpu_id(3)).unwrap();
    units.remove(3).take_offline(3, shootdown);
    assert_eq!(shootdown.domain().reclaim_slots(), 4);
    machine.set_unit(3, Unit::Answers);
    let _back = crate::world::bring_online(shootdown, 3, Kind::Microcode, memory);
    machine.tlb.clear();
    shootdown.flush(&pinned(0), &four(), &AllOnline).unwrap();
    assert_eq!(
        (machine.tlb.operations(3), machine.tlb.full_flushes(3)),
        (4, 0)
    );
    assert_eq!(shootdown.statistics().by_generation, 0);
    assert_slots(shootdown, 0, "the unit is back");
}

#[test]
fn a_deaf_unit_whose_cpu_takes_nothing_but_nmis_is_flushed_by_nmi() {
    let (shootdown, _units) = world(policy(), &FOUR_UNITS);
    let machine = shootdown.machine();
    machine.set_unit(3, Unit::Deaf);
    machine.set_takes(3, Takes::Nmis);
    for flush in 1..=3 {
        shootdown.flush(&pinned(0), &four(), &AllOnline).unwrap();
        assert_eq!(machine.sent()[Message::Nmi as usize], flush);
        assert_eq!(machine.tlb.full_flushes(3), flush);
    }
    assert_eq!(shootdown.statistics().errors, 0);
    assert_slots(shootdown, 4, "CPU 3 is deaf, and was armed once");
}

#[test]
fn a_software_cpu_is_never_demoted() {
    let (shootdown, _cpus) = world(policy(), &[Kind::Software; 3]);
    let machine = shootdown.machine();
    machine.lose_signals(2, 1);
    shootdown.flush(&pinned(0), &four(), &AllOnline).unwrap();
    let statistics = shootdown.statistics();
    assert_eq!((statistics.fallbacks, statistics.demotions), (1, 0));
    assert_slots(shootdown, 0, "its handler served the entries, too");
}
