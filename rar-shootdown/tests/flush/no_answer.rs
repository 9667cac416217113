//! Targets that are silent, late, or gone.

use super::*;

#[test]
fn a_target_that_misses_the_signal_is_reached_by_the_fallback_and_its_slot_is_set_apart() {
    on_machine(1, |shootdown, _online| {
        let machine = shootdown.machine();
        machine.set_hearing(cpu(2), Hearing::Interrupt);
        let before = tlb(shootdown).full_flushes(cpu(2));
        shootdown
            .flush(&pinned(0), &[pages(1)], &AllOnline)
            .unwrap();
        // The fake's handler serves the vector too, as a kernel's does, so that the byte became
        // final just in time.
        assert_eq!(shootdown.statistics().fallbacks, 1);
        assert_eq!(tlb(shootdown).full_flushes(cpu(2)), before + 1);
        assert_eq!(shootdown.statistics().quarantined, 0);
        machine.set_hearing(cpu(2), Hearing::Everything);
        shootdown
            .flush(&pinned(0), &[pages(1)], &AllOnline)
            .unwrap();
        assert_eq!(shootdown.statistics().fallbacks, 1);
        assert_eq!(shootdown.statistics().slotless, 0, "the slot is back");
        assert_eq!(
            shootdown.statistics().demotions,
            0,
            "it answers in software, and was served by its handler"
        );
    });
}

#[test]
fn a_silent_target_is_named_and_nothing_is_given_back_until_it_answers() {
    on_machine(1, |shootdown, _online| {
        let machine = shootdown.machine();
        machine.set_hearing(cpu(3), Hearing::Nothing);
        let frame = Arc::new(());
        let initiator = pinned(0);
        let late = shootdown
            .start(&initiator, &[pages(1)], &AllOnline, frame.clone())
            .wait(&initiator)
            .unwrap_err();
        let entry = Some((slot(0), ActionByte(1)));
        assert_eq!(
            late.error,
            FlushError::NoAnswer {
                cpu: cpu(3),
                late: 1,
                entry
            }
        );
        assert_eq!(late.to_string(), late.error.to_string());
        assert!(format!("{late:?}").contains(&format!("{:?}", late.error)));
        assert_eq!(sent(shootdown), [1, 0, 1, 1], "each once: no storm");
        assert_eq!(Arc::strong_count(&frame), 2);
        assert_eq!(shootdown.statistics().quarantined, 1);
        assert_eq!(shootdown.statistics().errors, 1);
        assert_eq!(
            shootdown.domain().reclaim_slots(),
            0,
            "the late byte is not final"
        );

        // Waiting again asks again, once each, and still gives nothing back.
        let late = late.pending.wait(&initiator).unwrap_err();
        assert_eq!(
            late.error,
            FlushError::NoAnswer {
                cpu: cpu(3),
                late: 1,
                entry: None
            }
        );
        assert_eq!(sent(shootdown), [1, 0, 2, 2]);
        assert_eq!(Arc::strong_count(&frame), 2);

        // The only slot is lost for now: others flush without.
        machine.set_hearing(cpu(3), Hearing::Interrupt);
        shootdown
            .flush(&pinned(1), &[pages(1)], &AllOnline)
            .unwrap();
        assert_eq!(shootdown.statistics().slotless, 1);

        let given_back = late.pending.wait(&initiator).unwrap();
        drop(given_back);
        assert_eq!(Arc::strong_count(&frame), 1);
        assert_eq!(shootdown.domain().reclaim_slots(), 1);
    });
}

#[test]
fn what_a_dropped_flush_owns_is_never_freed() {
    on_machine_left(64, 1, "CPU 1 hears nothing", |shootdown, _online| {
        let frame = Arc::new(());
        drop(shootdown.start(&pinned(0), &[pages(1)], &AllOnline, frame.clone()));
        assert_eq!(Arc::strong_count(&frame), 2);
        assert_eq!(shootdown.domain().free_and_quarantined_slots(), (64, 0));

        shootdown.machine().set_hearing(cpu(1), Hearing::Nothing);
        let initiator = pinned(0);
        drop(
            shootdown
                .start(&initiator, &[pages(1)], &AllOnline, frame.clone())
                .wait(&initiator)
                .unwrap_err(),
        );
        assert_eq!(Arc::strong_count(&frame), 3);
        assert_eq!(shootdown.statistics().quarantined, 1);
    });
}

#[test]
fn a_dropped_flush_keeps_its_slots_from_others_until_they_are_answered() {
    on_machine(2, |shootdown, _online| {
        let (machine, domain) = (shootdown.machine(), shootdown.domain());
        machine.set_hearing(cpu(1), Hearing::Nothing);
        let request = [pages(63 * 2)];
        let slots = shootdown.policy().max_operations.min(2);
        drop(shootdown.start(&pinned(0), &request, &AllOnline, ()));
        assert_eq!(domain.free_and_quarantined_slots(), (2 - slots, slots));
        assert_eq!(domain.reclaim_slots(), 0);
        machine.set_hearing(cpu(1), Hearing::Everything);
        let served = domain.answer(&pinned(1), tlb(shootdown));
        assert_eq!(usize::from(served.succeeded), slots);
        // Without `reclaim_slots`: a flush takes them over by itself.
        shootdown.flush(&pinned(0), &request, &AllOnline).unwrap();
        let statistics = shootdown.statistics();
        assert_eq!((statistics.slotless, statistics.fallbacks), (0, 0));
        domain.reclaim_slots();
    });
}

#[test]
fn a_cpu_that_goes_offline_while_targeted_does_not_hold_the_flush_up() {
    on_machine(64, |shootdown, mut online| {
        let machine = shootdown.machine();
        machine.set_hearing(cpu(3), Hearing::Nothing);
        let initiator = pinned(0);
        let pending = shootdown.start(&initiator, &[pages(1)], &AllOnline, ());
        assert!(!pending.is_done());
        take_offline(online.pop().unwrap(), 3, shootdown);
        assert!(pending.is_done());
        pending.wait(&initiator).unwrap();
        assert_eq!(shootdown.statistics().fallbacks, 0);
        assert_eq!(shootdown.statistics().quarantined, 0);
    });
}

#[test]
fn a_cpu_that_went_and_came_back_while_targeted_has_flushed() {
    on_machine_left(64, 1, "the byte was armed late", |shootdown, mut online| {
        let (machine, domain) = (shootdown.machine(), shootdown.domain());
        machine.set_hearing(cpu(3), Hearing::Nothing);
        let initiator = pinned(0);
        let pending = shootdown.start(&initiator, &[pages(1)], &AllOnline, ());
        take_offline(online.pop().unwrap(), 3, shootdown);
        let _back = SoftwareCpu::bring_online(domain, &pinned(3), tlb(shootdown)).unwrap();
        // Armed late, as by an initiator that was held up between its look and its store.
        let vector = domain.cpu(cpu(3)).unwrap().vector();
        // SAFETY: the only flush in this slot is the one that this test plays.
        unsafe { vector.arm_unowned(slot(0)) };
        pending.wait(&initiator).unwrap();
        assert_eq!(shootdown.statistics().fallbacks, 0);
        assert_eq!(
            shootdown.statistics().quarantined,
            1,
            "its byte is not final"
        );
    });
}

#[test]
fn a_flush_escalates_as_far_as_the_slowest_target_needs_and_no_further() {
    for (hearing, messages, error) in [
        (Hearing::Everything, [1, 0, 0, 0], false),
        (Hearing::SecondSignal, [1, 1, 0, 0], false),
        (Hearing::Interrupt, [1, 1, 1, 0], false),
        (Hearing::Nmi, [1, 1, 1, 1], false),
        (Hearing::Nothing, [1, 1, 1, 1], true),
    ] {
        for max_operations in [1, 2, 4] {
            let mut policy = policy(max_operations);
            policy.resignal_after = Some(Duration::from_nanos(50));
            let shootdown = Fake::new(FakeMachine::new(), policy);
            let _online = online(&shootdown);
            shootdown.machine().set_hearing(cpu(2), hearing);
            let request = [pages(63 * 4)];
            let outcome = shootdown.flush(&pinned(0), &request, &AllOnline);
            assert_eq!(outcome.is_err(), error, "{hearing:?}: {outcome:?}");
            assert_eq!(sent(&shootdown), messages, "{hearing:?}");
            let statistics = shootdown.statistics();
            assert_eq!(
                [
                    statistics.resignals,
                    statistics.fallbacks,
                    statistics.nmis,
                    statistics.errors
                ],
                [messages[1], messages[2], messages[3], u64::from(error)],
                "{hearing:?}"
            );
            // Four operations, or the one that covers them.
            let operations = if max_operations == 4 { 4 } else { 1 };
            let lost = if error { operations } else { 0 };
            assert_eq!(
                shootdown.domain().free_and_quarantined_slots(),
                (64 - lost, lost),
                "{hearing:?}"
            );
        }
    }
}
