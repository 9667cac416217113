//! A CPU that is dead ends no flush, no slot and no number of its own.

use std::sync::Arc;

use rar_percpu::fake::pinned;
use rar_percpu::{LifeCycleError, PerCpu, RegisterError};
use rar_shootdown::{AllOnline, FlushError};

use crate::world::{
    Driver, Kind, Takes, Unit, assert_slots, bring_online, cpu_id, four, policy, space, world,
};

#[test]
fn finding_06_flights_end_when_the_cpu_they_wait_for_is_declared_dead() {
    for kind in [Kind::Microcode, Kind::Software] {
        let (shootdown, mut drivers) = world(policy(), &[Kind::Microcode, Kind::Microcode, kind]);
        let (machine, domain) = (shootdown.machine(), shootdown.domain());
        let memory = domain.cpu(cpu_id(2)).unwrap();
        machine.set_unit(2, Unit::Deaf);
        machine.set_takes(2, Takes::Nothing);
        let initiator = pinned(0);
        let frame = Arc::new(());
        // One that is in flight, one that has failed, and one of another CPU.
        let in_flight = shootdown.start(&initiator, &four(), &AllOnline, frame.clone());
        let late = shootdown
            .start(&initiator, &[space(5)], &AllOnline, frame.clone())
            .wait(&initiator)
            .unwrap_err();
        assert!(matches!(late.error, FlushError::NoAnswer { late: 1, .. }));
        let other = shootdown.start(&pinned(1), &[space(6)], &AllOnline, frame.clone());
        assert_eq!(Arc::strong_count(&frame), 4);

        // SAFETY: nothing executes as CPU 2 any more, and the test does not run its unit.
        unsafe { domain.declare_dead(cpu_id(2)) };
        assert!(in_flight.is_done() && late.pending.is_done() && other.is_done());
        let sent = machine.sent();
        drop(in_flight.wait(&initiator).unwrap());
        drop(late.pending.wait(&initiator).unwrap());
        drop(other.wait(&pinned(1)).unwrap());
        assert_eq!(Arc::strong_count(&frame), 1, "all that was owned came back");
        assert_eq!(machine.sent(), sent, "no CPU was asked again");
        domain.reclaim_slots();
        assert_slots(shootdown, 0, "what the dead CPU left open is settled");

        // No flush waits for it any more, and everything of it is used again.
        let looks = machine.looks();
        shootdown.flush(&initiator, &four(), &AllOnline).unwrap();
        assert_eq!(machine.looks(), looks);
        let old = drivers.remove(2);
        let dead = LifeCycleError::Dead(cpu_id(2));
        assert_eq!(refusal(old, shootdown), dead);
        machine.set_unit(2, Unit::Answers);
        machine.set_takes(2, Takes::Interrupts);
        let _successor = bring_online(shootdown, 2, kind, memory);
        machine.tlb.clear();
        shootdown.flush(&initiator, &four(), &AllOnline).unwrap();
        assert_eq!(machine.tlb.operations(2), 4);
        assert_slots(shootdown, 0, "all is answered");
    }
}

/// Tries to drive a CPU by the value of its former life, and returns why that is refused.
fn refusal(old: Driver, shootdown: &crate::world::Flusher) -> LifeCycleError {
    let (cpu, tlb) = (pinned(2), &shootdown.machine().tlb);
    match old {
        Driver::Unit(unit) => {
            let error = unit.verify(&cpu, tlb).unwrap_err();
            // SAFETY: a host; the CPU uses no translation.
            let refused = unsafe { unit.take_offline(&cpu, tlb) }.unwrap_err();
            assert_eq!(refused.cause, error);
            error
        }
        // SAFETY: a host; the CPU uses no translation.
        Driver::Software(software) => {
            // SAFETY: a host; the CPU uses no translation.
            unsafe { software.take_offline(&cpu, tlb) }
                .unwrap_err()
                .cause
        }
    }
}

#[test]
fn a_dead_initiator_keeps_its_slots_until_they_are_answered_and_no_longer() {
    let (shootdown, _drivers) = world(policy(), &[Kind::Microcode; 3]);
    let (machine, domain) = (shootdown.machine(), shootdown.domain());
    machine.set_unit(1, Unit::Later);
    // It dies with one flight in the air, and with slots that it has claimed and not posted.
    std::mem::forget(shootdown.start(&pinned(0), &[space(1)], &AllOnline, ()));
    std::mem::forget(domain.claim(&pinned(0), 3));
    // SAFETY: nothing executes as CPU 0 any more.
    unsafe { domain.declare_dead(cpu_id(0)) };
    assert_eq!(domain.reclaim_slots(), 3, "no CPU was armed for those");
    assert_eq!(domain.free_and_quarantined_slots(), (63, 0));
    machine.run_unit(domain, cpu_id(1), false);
    assert_eq!(domain.reclaim_slots(), 1);
    assert_slots(shootdown, 0, "all is answered");
}

#[test]
fn finding_14_a_cpu_that_was_unplugged_gives_its_apic_id_to_another() {
    let (shootdown, mut drivers) = world(policy(), &[Kind::Microcode; 3]);
    let domain = shootdown.domain();
    let memory = domain.cpu(cpu_id(2)).unwrap();
    assert_eq!(
        domain.unregister(cpu_id(2)),
        Err(RegisterError::Driven { cpu: cpu_id(2) })
    );
    drivers.remove(2).take_offline(2, shootdown);
    domain.unregister(cpu_id(2)).unwrap();
    shootdown.flush(&pinned(0), &four(), &AllOnline).unwrap();
    // The same APIC id under another number; the memory stays with the old one.
    let apic_id = rar_percpu::ApicId::new(2);
    assert_eq!(
        domain.register(cpu_id(7), apic_id, memory),
        Err(RegisterError::MemoryInUse { cpu: cpu_id(7) })
    );
    let other: &'static PerCpu = Box::leak(Box::new(PerCpu::new()));
    domain.register(cpu_id(7), apic_id, other).unwrap();
    domain.unregister(cpu_id(7)).unwrap();
    let _again = bring_online(shootdown, 2, Kind::Software, memory);
    shootdown.machine().tlb.clear();
    shootdown.flush(&pinned(0), &four(), &AllOnline).unwrap();
    assert_eq!(shootdown.machine().tlb.operations(2), 4);
    assert_slots(shootdown, 0, "all is answered");
}
