//! Signal, second signal, interrupt, NMI, error: in this order, each once, and at once when one was
//! not sent.

use std::time::Duration;

use rar_percpu::fake::pinned;
use rar_percpu::{ActionByte, SlotIndex};
use rar_shootdown::{AllOnline, Event, FlushError, Message, NotSent, Policy};

use crate::world::{
    Flusher, Kind, Takes, Unit, assert_slots, cpu_id, four, policy, set, space, world,
};

fn resignalling() -> Policy {
    let mut policy = policy();
    policy.resignal_after = Some(Duration::from_nanos(50));
    policy
}

fn order(shootdown: &Flusher) -> Vec<(Message, Vec<u32>)> {
    let messages = shootdown.machine().messages.lock().unwrap();
    messages
        .iter()
        .map(|(message, targets)| (*message, targets.iter().map(|cpu| cpu.get()).collect()))
        .collect()
}

#[test]
fn each_message_comes_once_in_order_and_only_to_those_who_have_not_flushed() {
    let (shootdown, _cpus) = world(resignalling(), &[Kind::Microcode; 6]);
    let machine = shootdown.machine();
    machine.lose_signals(2, 1);
    machine.set_unit(3, Unit::Deaf);
    machine.set_unit(4, Unit::Deaf);
    machine.set_takes(4, Takes::Nmis);
    machine.set_unit(5, Unit::Deaf);
    machine.set_takes(5, Takes::Nothing);
    let initiator = pinned(0);
    let late = shootdown
        .start(&initiator, &four(), &AllOnline, ())
        .wait(&initiator)
        .unwrap_err();
    assert_eq!(
        order(shootdown),
        [
            (Message::Signal, vec![1, 2, 3, 4, 5]),
            (Message::SecondSignal, vec![2, 3, 4, 5]),
            (Message::Interrupt, vec![3, 4, 5]),
            (Message::Nmi, vec![4, 5]),
        ]
    );
    assert_eq!(
        late.error,
        FlushError::NoAnswer {
            cpu: cpu_id(5),
            late: 1,
            entry: Some((SlotIndex::new(0).unwrap(), ActionByte(1)))
        }
    );
    let text = late.error.to_string();
    assert!(text.contains("CPU 5") && text.contains("slot 0"), "{text}");
    let events = machine.events.lock().unwrap().clone();
    let quarantine = |index| Event::Quarantine {
        slot: SlotIndex::new(index).unwrap(),
    };
    let (cpu_2, cpu_3, cpu_4) = (cpu_id(2), cpu_id(3), cpu_id(4));
    let mut expected = vec![
        Event::SecondSignal {
            cpu: cpu_2,
            count: 4,
        },
        Event::Fallback {
            cpu: cpu_3,
            count: 3,
        },
        Event::Demotion { cpu: cpu_3 },
        Event::Nmi {
            cpu: cpu_4,
            count: 2,
        },
        Event::Demotion { cpu: cpu_4 },
    ];
    expected.extend([0, 1, 2, 3].map(quarantine));
    expected.push(Event::Error(late.error));
    assert_eq!(events, expected);
    machine.set_takes(5, Takes::Interrupts);
    late.pending.wait(&initiator).unwrap();
    assert_eq!(machine.sent(), [1, 1, 2, 1]);
    assert_slots(shootdown, 4, "CPUs 3, 4 and 5 are deaf");
}

#[test]
fn a_unit_that_loses_signals_gets_two_and_then_the_fallback() {
    for (lost, sent, flushes) in [
        (0, [1, 0, 0, 0], (4, 0)),
        (1, [1, 1, 0, 0], (4, 0)),
        (2, [1, 1, 1, 0], (0, 1)),
        (3, [1, 1, 1, 0], (0, 1)),
    ] {
        let (shootdown, _cpus) = world(resignalling(), &[Kind::Microcode; 2]);
        let machine = shootdown.machine();
        machine.lose_signals(1, lost);
        shootdown.flush(&pinned(0), &four(), &AllOnline).unwrap();
        assert_eq!(machine.sent(), sent, "{lost} signals lost");
        let tlb = &machine.tlb;
        assert_eq!((tlb.operations(1), tlb.full_flushes(1)), flushes);
        let statistics = shootdown.statistics();
        assert_eq!(
            [
                statistics.resignals,
                statistics.fallbacks,
                statistics.demotions,
                statistics.nmis
            ],
            [sent[1], sent[2], sent[2], 0].map(|count| count as u64)
        );
        let quarantined = if lost < 2 { 0 } else { 4 };
        assert_slots(shootdown, quarantined, "the unit lost its signals");
    }
}

#[test]
fn without_a_second_signal_none_is_sent() {
    let (shootdown, _cpus) = world(policy(), &[Kind::Microcode; 2]);
    shootdown.machine().lose_signals(1, 1);
    shootdown.flush(&pinned(0), &four(), &AllOnline).unwrap();
    assert_eq!(shootdown.machine().sent(), [1, 0, 1, 0]);
    assert_slots(shootdown, 4, "the unit lost its signal");
}

#[test]
fn finding_16_a_message_that_was_not_sent_is_escalated_without_waiting() {
    for cause in [
        NotSent::Busy,
        NotSent::Unsupported,
        NotSent::Unreachable(cpu_id(1)),
    ] {
        // The signal is not sent: the interrupt comes at the first look.
        let (shootdown, _cpus) = world(policy(), &[Kind::Microcode; 2]);
        let machine = shootdown.machine();
        machine.set_not_sent(Message::Signal, Some(cause));
        shootdown
            .flush(&pinned(0), &[space(1)], &AllOnline)
            .unwrap();
        assert_eq!(machine.sent(), [1, 0, 1, 0]);
        assert!(machine.looks() <= 3, "{cause:?}: {} looks", machine.looks());
        let statistics = shootdown.statistics();
        assert_eq!((statistics.unsent, statistics.fallbacks), (1, 1));
        let not_sent = Event::NotSent {
            message: Message::Signal,
            cause,
        };
        assert_eq!(machine.count_events(|event| *event == not_sent), 1);
        assert_slots(shootdown, 1, "the unit never heard of it");

        // Nor is the interrupt: the NMI comes at the next look.
        let (shootdown, _cpus) = world(policy(), &[Kind::Microcode; 2]);
        let machine = shootdown.machine();
        machine.set_not_sent(Message::Signal, Some(cause));
        machine.set_not_sent(Message::Interrupt, Some(cause));
        shootdown
            .flush(&pinned(0), &[space(1)], &AllOnline)
            .unwrap();
        assert_eq!(machine.sent(), [1, 0, 1, 1]);
        assert!(machine.looks() <= 5, "{cause:?}: {} looks", machine.looks());
        assert_slots(shootdown, 1, "the unit never heard of it");
    }
}

#[test]
fn finding_16_when_nothing_can_be_sent_the_error_says_why_and_comes_at_once() {
    let (shootdown, _cpus) = world(policy(), &[Kind::Microcode; 2]);
    let machine = shootdown.machine();
    for message in [Message::Signal, Message::Interrupt, Message::Nmi] {
        machine.set_not_sent(message, Some(NotSent::Busy));
    }
    let initiator = pinned(0);
    let late = shootdown
        .start(&initiator, &[space(1)], &AllOnline, ())
        .wait(&initiator)
        .unwrap_err();
    assert_eq!(
        late.error,
        FlushError::NotSent {
            cpu: cpu_id(1),
            late: 1,
            cause: NotSent::Busy
        }
    );
    assert_eq!(machine.sent(), [1, 0, 1, 1]);
    assert!(machine.looks() <= 8, "{} looks", machine.looks());
    // The APIC is free again.
    for message in [Message::Signal, Message::Interrupt, Message::Nmi] {
        machine.set_not_sent(message, None);
    }
    late.pending.wait(&initiator).unwrap();
    assert_slots(shootdown, 1, "the unit never heard of it");
}

#[test]
fn a_machine_without_nmis_is_asked_by_interrupt_once_more() {
    let (shootdown, _cpus) = world(policy(), &[Kind::Microcode; 2]);
    let machine = shootdown.machine();
    machine.set_unit(1, Unit::Deaf);
    machine.set_takes(1, Takes::Nothing);
    machine.set_not_sent(Message::Nmi, Some(NotSent::Unsupported));
    let initiator = pinned(0);
    let late = shootdown
        .start(&initiator, &[space(1)], &AllOnline, ())
        .wait(&initiator)
        .unwrap_err();
    assert!(matches!(late.error, FlushError::NoAnswer { late: 1, .. }));
    assert_eq!(machine.sent(), [1, 0, 2, 1]);
    assert_eq!(shootdown.statistics().nmis, 0);
    drop(late);
    assert_slots(shootdown, 1, "CPU 1 is deaf");
}

#[test]
fn where_nobody_can_handle_an_error_it_is_reported_and_what_was_owned_is_leaked() {
    let (shootdown, _cpus) = world(policy(), &[Kind::Microcode; 2]);
    let machine = shootdown.machine();
    let (initiator, frame) = (pinned(0), std::sync::Arc::new(()));
    let flight = || shootdown.start(&initiator, &[space(1)], &AllOnline, frame.clone());
    drop(flight().wait_or_leak(&initiator).unwrap());
    assert_eq!(std::sync::Arc::strong_count(&frame), 1, "a control");
    machine.set_unit(1, Unit::Deaf);
    machine.set_takes(1, Takes::Nothing);
    assert!(flight().wait_or_leak(&initiator).is_none());
    assert_eq!(std::sync::Arc::strong_count(&frame), 2);
    let leaked = |event: &Event| {
        matches!(event,
            Event::Leaked(FlushError::NoAnswer { cpu, late: 1, .. }) if *cpu == cpu_id(1))
    };
    assert_eq!(machine.count_events(leaked), 1);
    assert_slots(shootdown, 1, "CPU 1 is deaf");
}

/// CPU 1 has served the flush's request, and another CPU requests one more of it and is not run
/// before it interrupts.
#[test]
fn finding_10_a_flush_waits_for_its_own_request_and_for_no_later_one() {
    let (shootdown, _cpus) = world(policy(), &[Kind::Microcode; 2]);
    let machine = shootdown.machine();
    shootdown.domain().limit_entries(0);
    shootdown
        .flush(&pinned(0), &[space(1)], &AllOnline)
        .unwrap();
    let alone = machine.looks();
    machine.after_interrupt(|domain| {
        let newer = domain.request_full_flush(&set(&[1]));
        assert!(!domain.is_flushed(cpu_id(1), newer));
    });
    shootdown
        .flush(&pinned(0), &[space(1)], &AllOnline)
        .unwrap();
    assert_eq!(machine.looks(), 2 * alone, "as long as the one before");
    assert_eq!(machine.sent(), [0, 0, 2, 0]);
    assert_slots(shootdown, 0, "no slot was claimed");
}

/// A flush is sent to one of its targets and waited for there. What a unit does with a signal from
/// its own CPU is unknown, so it gets none.
#[test]
fn a_target_that_waits_for_the_flush_of_another_cpu_does_not_signal_itself() {
    let (shootdown, _cpus) = world(resignalling(), &[Kind::Microcode; 3]);
    let machine = shootdown.machine();
    for cpu in [1, 2] {
        machine.lose_signals(cpu, 1);
    }
    let pending = shootdown.start(&pinned(0), &[space(1)], &AllOnline, ());
    pending.wait(&pinned(1)).unwrap();
    assert_eq!(
        order(shootdown),
        [
            (Message::Signal, vec![1, 2]),
            (Message::SecondSignal, vec![2]),
            (Message::Interrupt, vec![1]),
        ]
    );
    assert_eq!(machine.tlb.full_flushes(1), 1);
}
