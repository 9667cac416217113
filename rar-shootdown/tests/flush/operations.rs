//! From requests to operations and slots.

use super::*;

#[test]
fn each_request_goes_out_as_what_it_means() {
    let whole = Operation::Invpcid(CONTEXT);
    let all = Operation::Invpcid(InvpcidScope::AllContexts(Globals::Include));
    let range = PageRange::page(0x1000, PageSize::Size4K).unwrap();
    for (request, operation) in [
        (Request::AddressSpace { pcid: pcid() }, whole),
        (
            Request::TablesFreed(TableOwner::AddressSpace(pcid())),
            whole,
        ),
        (Request::TablesFreed(TableOwner::Kernel), all),
        (Request::GlobalPages { range }, all),
        (
            Request::Everything {
                globals: Globals::Include,
            },
            all,
        ),
        (
            Request::Everything {
                globals: Globals::Exclude,
            },
            Operation::Invpcid(InvpcidScope::AllContexts(Globals::Exclude)),
        ),
    ] {
        on_machine(64, |shootdown, _online| {
            shootdown.flush(&pinned(0), &[request], &AllOnline).unwrap();
            assert_eq!(
                tlb(shootdown).last_operation(cpu(3)),
                Some(operation),
                "{request:?}"
            );
        });
    }
}

/// It carries out what it asks for, one by one. A target that answers in software may take several
/// entries as one.
const INITIATOR: CpuId = CpuId::new(0);

#[test]
fn several_operations_share_one_signal_until_there_are_too_many() {
    on_machine(64, |shootdown, _online| {
        let (tlb, most) = (tlb(shootdown), shootdown.policy().max_operations as u64);
        shootdown
            .flush(&pinned(0), &[pages(100), pages(63)], &AllOnline)
            .unwrap();
        let first = tlb.operations(INITIATOR);
        assert!((1..=most).contains(&first));
        assert_eq!(sent(shootdown), [1, 0, 0, 0]);
        if most >= 3 {
            assert_eq!(first, 3);
            assert_eq!(shootdown.statistics().collapsed, 0);
        }

        let before = shootdown.statistics().collapsed;
        shootdown
            .flush(&pinned(0), &[pages(63 * 5)], &AllOnline)
            .unwrap();
        assert_eq!(tlb.operations(INITIATOR), first + 1);
        assert_eq!(
            tlb.last_operation(INITIATOR),
            Some(Operation::Invpcid(CONTEXT))
        );
        assert_eq!(shootdown.statistics().collapsed, before + 1);
        assert_eq!(sent(shootdown), [2, 0, 0, 0]);
    });
}

#[test]
fn without_slots_for_all_operations_one_covers_them() {
    on_machine(2, |shootdown, _online| {
        shootdown
            .flush(&pinned(0), &[pages(63 * 3)], &AllOnline)
            .unwrap();
        let tlb = tlb(shootdown);
        assert_eq!(
            tlb.last_operation(cpu(1)),
            Some(Operation::Invpcid(CONTEXT))
        );
        assert_eq!(tlb.operations(cpu(1)), 1);
        let statistics = shootdown.statistics();
        assert_eq!(
            (
                statistics.collapsed,
                statistics.slotless,
                statistics.quarantined
            ),
            (1, 0, 0)
        );
        // Both slots are back.
        let before = tlb.operations(INITIATOR);
        shootdown
            .flush(&pinned(0), &[pages(63 * 2)], &AllOnline)
            .unwrap();
        let two = shootdown.policy().max_operations.min(2) as u64;
        assert_eq!(tlb.operations(INITIATOR), before + two);
    });
}

#[test]
fn slots_far_from_home_are_used_before_operations_become_one() {
    on_machine(64, |shootdown, _online| {
        // All that are near CPU 0, except its home, are others' homes.
        let taken = [1, 2, 3, 16, 40].map(|number| {
            let claimed = shootdown.domain().claim_near(&pinned(number), 1);
            claimed.unwrap()
        });
        shootdown
            .flush(&pinned(0), &[pages(63 * 2)], &AllOnline)
            .unwrap();
        let is_limited = shootdown.policy().max_operations < 2;
        assert_eq!(shootdown.statistics().collapsed, u64::from(is_limited));
        drop(taken);
    });
}

#[test]
fn without_any_slot_the_generation_does_it() {
    on_machine(0, |shootdown, _online| {
        let before = tlb(shootdown).full_flushes(cpu(1));
        shootdown
            .flush(&pinned(0), &[pages(1)], &AllOnline)
            .unwrap();
        assert_eq!(tlb(shootdown).full_flushes(cpu(1)), before + 1);
        assert_eq!(sent(shootdown), [0, 0, 1, 0]);
        assert_eq!(shootdown.statistics().slotless, 1);
        assert_eq!(shootdown.statistics().fallbacks, 0);
    });
}

#[test]
fn more_flushes_in_flight_than_slots_never_wait_for_each_other() {
    for (hearing, slotless) in [(Hearing::Everything, 0), (Hearing::Nothing, 7)] {
        on_machine(3, |shootdown, _online| {
            let machine = shootdown.machine();
            machine.set_hearing(cpu(3), hearing);
            let initiator = pinned(0);
            let in_flight: Vec<_> = (0..10)
                .map(|_| shootdown.start(&initiator, &[pages(1)], &AllOnline, ()))
                .collect();
            machine.set_hearing(cpu(3), Hearing::Everything);
            for pending in in_flight {
                pending.wait(&initiator).unwrap();
            }
            let statistics = shootdown.statistics();
            assert_eq!(
                (statistics.slotless, statistics.quarantined),
                (slotless, 0),
                "the slots of a flight that is answered are taken over"
            );
        });
    }
}

#[test]
fn global_pages_go_by_address_only_where_that_was_promised_and_they_fit() {
    let everything = Operation::Invpcid(InvpcidScope::AllContexts(Globals::Include));
    for (is_promised, pages, expected) in [
        (false, 1, None),
        (true, 1, Some(1)),
        (true, 63, Some(1)),
        (true, 64, Some(2)),
        (true, 252, Some(4)),
        (true, 253, None),
    ] {
        let mut policy = policy(4);
        if is_promised {
            // SAFETY: a host; the targets' TLBs are logs.
            let promise = unsafe { InvpgDropsGlobals::new() };
            policy.global_pages = GlobalFlush::ByAddress(promise);
        }
        let shootdown = Fake::new(FakeMachine::new(), policy);
        let _online = [0, 1].map(|number| bring_online(&shootdown, number));
        let range = PageRange::new(0xffff_8000_0000_0000, pages, PageSize::Size4K).unwrap();
        let request = Request::GlobalPages { range };
        shootdown.flush(&pinned(0), &[request], &AllOnline).unwrap();
        let pending = shootdown.start(&pinned(0), &[request], &AllOnline, ());
        pending.wait(&pinned(0)).unwrap();
        let tlb = tlb(&shootdown);
        assert!(tlb.operations(cpu(1)) + tlb.full_flushes(cpu(1)) > 0);
        assert_eq!(tlb.operations(INITIATOR), 2 * expected.unwrap_or(1));
        let last = tlb.last_operation(INITIATOR).unwrap();
        match last {
            Operation::Invpg {
                cr3: None,
                scope: InvpgScope::Pages(chunk),
            } => {
                assert!(expected.is_some() && chunk.last() == range.last());
            }
            _ => assert!(expected.is_none() && last == everything),
        }
        assert_eq!(shootdown.statistics(), Statistics::default());
    }
}

#[test]
fn no_request_is_no_flush() {
    on_machine(64, |shootdown, _online| {
        shootdown.flush(&pinned(0), &[], &AllOnline).unwrap();
        assert_eq!(sent(shootdown), [0; 4]);
        assert_eq!(tlb(shootdown).operations(cpu(0)), 0);
    });
}
