//! What a TLB or a unit refuses counts as not done, and a full flush makes up for it.

use rar_percpu::fake::pinned;
use rar_percpu::{ActionState, SlotIndex};
use rar_shootdown::{AllOnline, Event};

use crate::world::{Flushed, Kind, Unit, assert_slots, cpu_id, four, policy, set, world};

#[test]
fn a_responder_whose_tlb_refuses_an_operation_says_failure_and_is_flushed_whole() {
    for refused in 1..=4_u32 {
        let (shootdown, _cpus) = world(policy(), &[Kind::Software, Kind::Software]);
        let machine = shootdown.machine();
        // The initiator is no target, so that the first operation is CPU 1's.
        machine.tlb.refuse(refused);
        let target = rar_shootdown::TargetFn(|_: &_| set(&[1]));
        shootdown.flush(&pinned(0), &four(), &target).unwrap();
        assert_eq!(
            (machine.tlb.operations(1), machine.tlb.full_flushes(1)),
            (3, 1),
            "operation {refused}"
        );
        assert_eq!(machine.tlb.of(1).last(), Some(&Flushed::Everything));
        let statistics = shootdown.statistics();
        assert_eq!(
            (
                statistics.failures,
                statistics.fallbacks,
                statistics.demotions
            ),
            (1, 1, 0)
        );
        let failure =
            |event: &Event| matches!(event, Event::Failure { cpu, .. } if *cpu == cpu_id(1));
        assert_eq!(machine.count_events(failure), 1);
        assert_eq!(machine.sent(), [1, 0, 1, 0]);
        // A refusal is an answer: no flush waits for the timeout.
        assert!(machine.looks() < 10, "{} looks", machine.looks());
        assert_slots(shootdown, 0, "FAILURE is final");
    }
}

#[test]
fn serve_says_which_entries_were_refused() {
    let (shootdown, _cpus) = world(policy(), &[Kind::Software, Kind::Software]);
    let (machine, domain) = (shootdown.machine(), shootdown.domain());
    machine.lose_signals(1, 1);
    let pending = shootdown.start(&pinned(0), &four(), &AllOnline, ());
    machine.tlb.refuse(2);
    let served = shootdown.serve(&pinned(1));
    assert_eq!((served.succeeded, served.failed), (3, 1));
    let vector = domain.cpu(cpu_id(1)).unwrap().vector();
    let failed = SlotIndex::all()
        .filter(|slot| vector.load(*slot).state() == Ok(ActionState::Failure))
        .count();
    assert_eq!(failed, 1);
    assert!(!pending.is_done(), "FAILURE is no success");
    pending.wait(&pinned(0)).unwrap();
    assert_eq!(machine.tlb.full_flushes(1), 1);
    assert_slots(shootdown, 0, "all is answered");
}

#[test]
fn what_the_initiators_own_tlb_refuses_it_makes_up_for_by_a_full_flush() {
    for refused in 1..=4_u32 {
        let (shootdown, _cpus) = world(policy(), &[Kind::Software]);
        let machine = shootdown.machine();
        machine.tlb.refuse(refused);
        shootdown.flush(&pinned(0), &four(), &AllOnline).unwrap();
        assert_eq!(
            (machine.tlb.operations(0), machine.tlb.full_flushes(0)),
            (3, 1),
            "operation {refused}"
        );
        assert_eq!(machine.sent(), [0; 4]);
    }
}

#[test]
fn a_unit_that_refuses_is_asked_for_a_full_flush_and_stays_armed() {
    let (shootdown, _cpus) = world(policy(), &[Kind::Microcode; 3]);
    let machine = shootdown.machine();
    machine.set_unit(2, Unit::Refuses);
    for flush in 1..=20 {
        shootdown.flush(&pinned(0), &four(), &AllOnline).unwrap();
        assert_eq!(machine.tlb.full_flushes(2), flush);
        assert_slots(shootdown, 0, "FAILURE is final");
    }
    let statistics = shootdown.statistics();
    assert_eq!(
        (
            statistics.failures,
            statistics.fallbacks,
            statistics.demotions
        ),
        (20, 20, 0),
        "it answers, so that it is not silent"
    );
    assert_eq!(
        (machine.tlb.operations(1), machine.tlb.full_flushes(1)),
        (80, 0)
    );
}
