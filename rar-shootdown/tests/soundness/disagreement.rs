//! A CPU that disagrees turns RAR off for the whole system, under flushes that go on.

use std::sync::Arc;

use rar_percpu::fake::pinned;
use rar_percpu::{ApicId, LifeCycleError, PerCpu, RarCpu, Responder, SoftwareCpu};
use rar_regs::{CpuMismatch, Detection, FakeCpu, SupportError};
use rar_shootdown::{AllOnline, Statistics};

use crate::world::{
    Driver, Kind, Takes, Unit, assert_slots, cpu_id, four, keep, policy, space, world,
};

#[test]
fn rar_is_turned_off_under_flights_and_later_flushes_use_software() {
    let (shootdown, drivers) = world(policy(), &[Kind::Microcode; 4]);
    let (machine, domain) = (shootdown.machine(), shootdown.domain());
    let (initiator, frame) = (pinned(0), Arc::new(()));
    // In the air: no unit has answered.
    (1..4).for_each(|cpu| machine.set_unit(cpu, Unit::Later));
    let flights = [space(1), space(2)]
        .map(|request| shootdown.start(&initiator, &[request], &AllOnline, frame.clone()));
    assert!(flights.iter().all(|flight| !flight.is_done()), "a control");
    machine.tlb.clear();

    // CPU 4 comes up with another table.
    let memory = keep(PerCpu::new());
    domain.register(cpu_id(4), ApicId::new(4), memory).unwrap();
    let support = Detection::new().detect(&FakeCpu::with_rar(63)).unwrap();
    let other = keep(FakeCpu::with_rar(31));
    let error = RarCpu::detect(domain, &pinned(4), support, other)
        .map(drop)
        .unwrap_err();
    let LifeCycleError::Support(SupportError::CpuDisagrees { what, .. }) = error else {
        unreachable!("another error: {error}");
    };
    assert_eq!(what, CpuMismatch::Info);
    let text = error.to_string();
    for value in ["0x1f00000000", "0x3f00000000"] {
        assert!(text.contains(value), "{text}");
    }
    domain.refuse_units();
    let to_ask = domain.answered_by_units();
    assert_eq!(to_ask.len(), 4);
    let _disagrees = SoftwareCpu::bring_online(domain, &pinned(4), &machine.tlb).unwrap();

    // Each in its turn; flushes go on in between, and reach every CPU.
    let mut handlers = Vec::new();
    for (cpu, driver) in (0..).zip(drivers) {
        let Driver::Unit(unit) = driver else {
            unreachable!("all came up by their units");
        };
        let handler = unit.switch_to_software(&pinned(cpu), &machine.tlb);
        handlers.push(handler.map_err(|stays| stays.cause).unwrap());
        // From here on its handler does what its unit did.
        machine.set_unit(cpu, Unit::Deaf);
        for later in cpu + 1..4 {
            machine.set_unit(later, Unit::Answers);
        }
        let before: Vec<_> = (0..5).map(|cpu| machine.tlb.operations(cpu)).collect();
        shootdown.flush(&initiator, &four(), &AllOnline).unwrap();
        for (cpu, before) in (0..5).zip(before) {
            assert!(machine.tlb.operations(cpu) >= before + 4, "CPU {cpu}");
        }
    }
    for (cpu, flight) in (1..).zip(flights) {
        assert!(flight.is_done());
        drop(flight.wait(&pinned(cpu)).unwrap());
    }
    assert_eq!(Arc::strong_count(&frame), 1);
    assert!(domain.answered_by_units().is_empty());
    assert_eq!(
        shootdown.statistics(),
        Statistics::default(),
        "no fallback, no demotion"
    );
    assert_slots(shootdown, 0, "all is answered");

    // By software alone: a handler that takes no interrupt holds its flush up.
    machine.tlb.clear();
    machine.set_takes(2, Takes::Nothing);
    let held = shootdown.start(&initiator, &[space(3)], &AllOnline, ());
    assert!(!held.is_done());
    assert_eq!(shootdown.serve(&pinned(2)).succeeded, 1);
    held.wait(&initiator).unwrap();
    for cpu in 0..5 {
        assert_eq!(
            domain.cpu(cpu_id(cpu)).map(PerCpu::responder),
            Some(Responder::Software)
        );
        assert_eq!(machine.tlb.operations(cpu), 1);
    }
    assert_eq!(machine.sent()[1..], [0, 0, 0]);
}

/// The initiator looked before the switch, and arms after it: its signal goes to the handler, or
/// its second signal does.
#[test]
fn a_flush_that_arms_a_unit_that_was_just_switched_off_is_answered_by_the_handler() {
    let mut policy = policy();
    policy.resignal_after = Some(std::time::Duration::from_nanos(50));
    let (shootdown, mut drivers) = world(policy, &[Kind::Microcode; 2]);
    let machine = shootdown.machine();
    // The signal to the unit is lost: it was disabled when the signal came.
    machine.lose_signals(1, 1);
    let pending = shootdown.start(&pinned(0), &[space(1)], &AllOnline, ());
    let Driver::Unit(unit) = drivers.remove(1) else {
        unreachable!("it came up by its unit");
    };
    let (domain, slot) = (shootdown.domain(), rar_percpu::SlotIndex::new(0).unwrap());
    let _handler = unit.switch_to_software(&pinned(1), &machine.tlb).unwrap();
    let vector = domain.cpu(cpu_id(1)).unwrap().vector();
    machine.tlb.clear();
    // SAFETY: the only flush in this slot is the one that this test plays, armed late.
    unsafe { vector.arm_unowned(slot) };
    pending.wait(&pinned(0)).unwrap();
    assert_eq!(machine.tlb.operations(1), 1, "its handler has flushed");
    assert_eq!(machine.sent(), [1, 1, 0, 0]);
    assert_slots(shootdown, 0, "all is answered");
}
