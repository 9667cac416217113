//! Flushes on a machine whose targets answer on the spot.
#![cfg(not(rar_loom))]
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use rar_payload::{
    CostModel, Globals, InvpcidScope, InvpgScope, Operation, PageRange, PageSize, Pcid, Request,
    TableOwner,
};
use rar_percpu::fake::pinned;
use rar_percpu::{
    ActionByte, ApicId, AtomicCpuSet, CpuId, CpuSet, Missed, PerCpu, Skippable, SlotIndex,
    SoftwareCpu,
};
use rar_shootdown::fake::{FakeMachine, Hearing};
use rar_shootdown::{
    AllOnline, FlushError, GlobalFlush, InvpgDropsGlobals, LazySkip, Machine, Message, Pending,
    Policy, Shootdown, Statistics, TargetFn,
};

const CPUS: usize = 4;

type Fake = Shootdown<FakeMachine<CPUS>, 1>;

/// A policy whose times are a hundred looks at the fake's clock, and by which ranges take the
/// entries that they need.
fn policy(max_operations: usize) -> Policy {
    let mut policy = Policy::new();
    policy.answer_timeout = Duration::from_nanos(100);
    policy.fallback_timeout = Duration::from_nanos(100);
    policy.slot_timeout = Duration::from_nanos(10);
    policy.resignal_after = None;
    policy.max_operations = max_operations;
    policy.costs = CostModel::EXACT;
    policy.lazy = LazySkip::LOWER_HALF;
    policy
}

fn tlb(shootdown: &Fake) -> &rar_percpu::fake::FakeTlb<CPUS> {
    Machine::<1>::tlb(shootdown.machine())
}

fn sent(shootdown: &Fake) -> [u64; 4] {
    [
        Message::Signal,
        Message::SecondSignal,
        Message::Interrupt,
        Message::Nmi,
    ]
    .map(|message| shootdown.machine().sent(message))
}

fn online(shootdown: &Fake) -> Vec<SoftwareCpu<'_, 1>> {
    (0..4)
        .map(|number| bring_online(shootdown, number))
        .collect()
}

fn bring_online(shootdown: &Fake, number: u32) -> SoftwareCpu<'_, 1> {
    let memory = Box::leak(Box::new(PerCpu::new()));
    let domain = shootdown.domain();
    domain
        .register(cpu(number), ApicId::new(number), memory)
        .unwrap();
    SoftwareCpu::bring_online(domain, &pinned(number), tlb(shootdown)).unwrap()
}

fn take_offline(online: SoftwareCpu<'_, 1>, number: u32, shootdown: &Fake) {
    // SAFETY: a host; the CPU uses no translation.
    unsafe { online.take_offline(&pinned(number), tlb(shootdown)) }.unwrap();
}

fn pcid() -> Pcid {
    Pcid::new(5).unwrap()
}

fn pages(count: u64) -> Request {
    Request::Pages {
        pcid: pcid(),
        range: PageRange::new(0x40_0000, count, PageSize::Size4K).unwrap(),
    }
}

fn cpu(number: u32) -> CpuId {
    CpuId::new(number)
}

fn slot(index: u8) -> SlotIndex {
    SlotIndex::new(index).unwrap()
}

const CONTEXT: InvpcidScope = InvpcidScope::Context {
    pcid: match Pcid::new(5) {
        Ok(pcid) => pcid,
        Err(_) => Pcid::ZERO,
    },
};

/// Runs a test on fresh machines of four CPUs that are all online, one for each policy; at its end
/// every slot is free.
fn on_machine(slots: u8, test: impl Fn(&Fake, Vec<SoftwareCpu<'_, 1>>)) {
    on_machine_left(slots, 0, "nothing was lost", test);
}

/// The same, but for slots that are in quarantine at the end, and why.
fn on_machine_left(
    slots: u8,
    quarantined: usize,
    why: &str,
    test: impl Fn(&Fake, Vec<SoftwareCpu<'_, 1>>),
) {
    for max_operations in [1, 2, 4] {
        let shootdown = Fake::new(FakeMachine::new(), policy(max_operations));
        shootdown.domain().limit_entries(slots);
        let all = online(&shootdown);
        test(&shootdown, all);
        let domain = shootdown.domain();
        assert_eq!(
            domain.free_and_quarantined_slots(),
            (usize::from(slots) - quarantined, quarantined),
            "free slots and those in quarantine ({why}), with {max_operations} operations at most"
        );
        assert!((0..4).all(|number| !domain.holds_slots(cpu(number))));
    }
}

#[test]
fn only_the_targets_flush_and_only_what_was_asked() {
    on_machine(64, |shootdown, _online| {
        let tlb = tlb(shootdown);
        let full: Vec<_> = (0..4).map(|number| tlb.full_flushes(cpu(number))).collect();
        let space = AtomicCpuSet::<1>::new();
        for member in [0, 2] {
            space.insert(cpu(member)).unwrap();
        }
        shootdown.flush(&pinned(0), &[pages(3)], &space).unwrap();
        for (number, operations) in [(0, 1), (1, 0), (2, 1), (3, 0)] {
            assert_eq!(tlb.operations(cpu(number)), operations, "CPU {number}");
            assert_eq!(
                tlb.full_flushes(cpu(number)),
                full[number as usize],
                "CPU {number}"
            );
        }
        assert_eq!(tlb.last_operation(cpu(2)), pages(3).operations().next());
        assert_eq!(tlb.last_operation(cpu(0)), tlb.last_operation(cpu(2)));
        assert_eq!(sent(shootdown), [1, 0, 0, 0]);
    });
}

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
        let served = domain.serve(&pinned(1), tlb(shootdown));
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
fn lazy_cpus_are_skipped_where_that_is_safe() {
    on_machine(64, |shootdown, _online| {
        let (tlb, domain) = (tlb(shootdown), shootdown.domain());
        // SAFETY: a host; the CPU uses no translation.
        unsafe { domain.enter_lazy(&pinned(2)) };
        let dropped = || tlb.operations(cpu(2)) + tlb.full_flushes(cpu(2));
        let newest = || domain.cpu(cpu(2)).map(|state| state.generation().newest());
        let before = newest();
        shootdown
            .flush(&pinned(0), &[pages(1)], &AllOnline)
            .unwrap();
        shootdown
            .flush(
                &pinned(0),
                &[Request::AddressSpace { pcid: pcid() }],
                &AllOnline,
            )
            .unwrap();
        assert_eq!((tlb.operations(cpu(1)), tlb.operations(cpu(2))), (2, 0));

        let kernel = PageRange::page(0x1000, PageSize::Size4K).unwrap();
        let upper = PageRange::page(0xFFFF_8000_0000_0000, PageSize::Size4K).unwrap();
        for request in [
            Request::Pages {
                pcid: pcid(),
                range: upper,
            },
            Request::TablesFreed(TableOwner::AddressSpace(pcid())),
            Request::GlobalPages { range: kernel },
            Request::Everything {
                globals: Globals::Exclude,
            },
        ] {
            let before = dropped();
            shootdown
                .flush(&pinned(0), &[request, pages(1)], &AllOnline)
                .unwrap();
            assert!(dropped() > before, "{request:?}");
        }
        assert_eq!(newest(), before, "nothing was requested of it");
        let full = tlb.full_flushes(cpu(2));
        let left = domain.leave_lazy(&pinned(2), tlb);
        assert!(
            left.was_lazy && left.flushed,
            "it was left alone, and makes up for it"
        );
        let operation = Operation::Invpcid(InvpcidScope::Context { pcid: pcid() });
        assert_eq!(
            tlb.last_operation(cpu(2)),
            Some(operation),
            "it missed this one space"
        );
        assert_eq!(tlb.full_flushes(cpu(2)), full);

        // Of two spaces, as of both halves of a process under page-table isolation: every space,
        // and no global page.
        let other = Pcid::new(pcid().get() | 0x800).unwrap();
        // SAFETY: a host; the CPU uses no translation.
        unsafe { domain.enter_lazy(&pinned(2)) };
        let pair = [pcid(), other].map(|pcid| Request::AddressSpace { pcid });
        shootdown.flush(&pinned(0), &pair, &AllOnline).unwrap();
        assert!(domain.leave_lazy(&pinned(2), tlb).flushed);
        let operation = Operation::Invpcid(InvpcidScope::AllContexts(Globals::Exclude));
        assert_eq!(tlb.last_operation(cpu(2)), Some(operation));
        assert_eq!(tlb.full_flushes(cpu(2)), full);
    });
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
        let range = PageRange::new(0xFFFF_8000_0000_0000, pages, PageSize::Size4K).unwrap();
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
fn one_cpu_alone_flushes_itself_and_signals_nobody() {
    let shootdown = Fake::new(FakeMachine::new(), policy(4));
    // Before it is online.
    shootdown
        .flush(&pinned(0), &[pages(1)], &AllOnline)
        .unwrap();
    assert_eq!(tlb(&shootdown).operations(cpu(0)), 1);
    let _online = bring_online(&shootdown, 0);
    shootdown
        .flush(&pinned(0), &[pages(1)], &AllOnline)
        .unwrap();
    assert_eq!(tlb(&shootdown).operations(cpu(0)), 2);
    assert_eq!(sent(&shootdown), [0; 4]);
}

#[test]
fn no_request_is_no_flush() {
    on_machine(64, |shootdown, _online| {
        shootdown.flush(&pinned(0), &[], &AllOnline).unwrap();
        assert_eq!(sent(shootdown), [0; 4]);
        assert_eq!(tlb(shootdown).operations(cpu(0)), 0);
    });
}

#[test]
fn skipping_a_cpu_asks_nothing_of_it_that_a_waiter_could_wait_for() {
    on_machine(0, |shootdown, _online| {
        let (initiator, other) = (pinned(0), pinned(1));
        // SAFETY: a host; the CPU uses no translation.
        unsafe { shootdown.domain().enter_lazy(&pinned(2)) };
        let freed = Request::TablesFreed(TableOwner::AddressSpace(pcid()));
        let pending = shootdown.start(&initiator, &[freed], &AllOnline, ());
        // Another CPU unmaps meanwhile, and leaves the lazy CPU alone.
        shootdown.flush(&other, &[pages(1)], &AllOnline).unwrap();
        let before = sent(shootdown);
        pending.wait(&initiator).unwrap();
        assert_eq!(sent(shootdown), before);
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

#[test]
fn a_flush_is_polled_without_waiting_and_gives_back_only_at_its_end() {
    on_machine(64, |shootdown, _online| {
        let machine = shootdown.machine();
        machine.set_hearing(cpu(3), Hearing::Nothing);
        let initiator = pinned(0);
        let frame = Arc::new(());
        let pending = shootdown.start(&initiator, &[pages(1)], &AllOnline, frame.clone());
        assert!(!pending.is_done());
        let mut pending = pending.try_wait(&initiator).unwrap_err();
        assert_eq!(pending.poll(&initiator), Poll::Pending);
        assert_eq!(Arc::strong_count(&frame), 2);
        // CPU 3 gets round to it at last.
        shootdown.domain().serve(&pinned(3), tlb(shootdown));
        assert!(pending.is_done());
        assert_eq!(pending.poll(&initiator), Poll::Ready(Ok(())));
        drop(pending.try_wait(&initiator).unwrap());
        assert_eq!(Arc::strong_count(&frame), 1);
        assert_eq!(sent(shootdown), [1, 0, 0, 0]);
    });
}

#[test]
fn a_flush_that_is_only_polled_escalates_and_reports_its_error() {
    on_machine_left(64, 1, "CPU 3 hears nothing", |shootdown, _online| {
        shootdown.machine().set_hearing(cpu(3), Hearing::Nothing);
        let initiator = pinned(0);
        let mut pending = shootdown.start(&initiator, &[pages(1)], &AllOnline, ());
        let error = loop {
            match pending.poll(&initiator) {
                Poll::Pending => {}
                Poll::Ready(outcome) => break outcome.unwrap_err(),
            }
        };
        assert!(matches!(error, FlushError::NoAnswer { late: 1, .. }));
        assert_eq!(sent(shootdown), [1, 0, 1, 1]);
        assert!(!pending.is_done());
        // It still is in flight, and ends when the CPU answers the next request.
        shootdown.machine().set_hearing(cpu(3), Hearing::Nmi);
        let end = loop {
            match pending.poll(&initiator) {
                Poll::Pending => {}
                Poll::Ready(outcome) => break outcome,
            }
        };
        assert_eq!(end, Ok(()));
        pending.try_wait(&initiator).unwrap();
        // The NMI's handler served the vector too, so that the late byte is final and the slot can
        // be had.
        assert_eq!(shootdown.domain().reclaim_slots(), 1);
        // One more flight, which leaves its slot in quarantine.
        shootdown.machine().set_hearing(cpu(3), Hearing::Nothing);
        drop(shootdown.start(&initiator, &[pages(1)], &AllOnline, ()));
    });
}

#[test]
fn a_flush_is_finished_on_another_cpu_and_another_thread() {
    fn is_send<T: Send>() {}
    is_send::<Pending<'static, FakeMachine<CPUS>, Box<[u8]>, 1>>();
    on_machine(64, |shootdown, _online| {
        shootdown.machine().set_hearing(cpu(3), Hearing::Interrupt);
        let frame = Arc::new(());
        let pending = shootdown.start(&pinned(0), &[pages(1)], &AllOnline, frame.clone());
        let owned = frame.clone();
        std::thread::scope(|scope| {
            let worker = scope.spawn(move || pending.wait(&pinned(2)).map_err(|late| late.error));
            drop(worker.join().unwrap().unwrap());
        });
        drop(owned);
        assert_eq!(Arc::strong_count(&frame), 1);
        assert_eq!(sent(shootdown), [1, 0, 1, 0]);
    });
}

#[test]
fn a_flush_that_ends_on_a_target_serves_that_target_meanwhile() {
    on_machine(64, |shootdown, _online| {
        // CPU 3 takes no interrupt: it waits, and serves itself.
        shootdown.machine().set_hearing(cpu(3), Hearing::Nothing);
        let pending = shootdown.start(&pinned(0), &[pages(1)], &AllOnline, ());
        pending.wait(&pinned(3)).unwrap();
        assert_eq!(sent(shootdown), [1, 0, 0, 0]);
        assert_eq!(tlb(shootdown).operations(cpu(3)), 1);
    });
}

#[test]
fn many_flushes_wait_in_a_queue_and_take_no_slot_from_anybody() {
    on_machine(3, |shootdown, _online| {
        let initiator = pinned(0);
        let frame = Arc::new(());
        let mut queue: std::collections::VecDeque<_> = (0..200)
            .map(|_| shootdown.start(&initiator, &[pages(1)], &AllOnline, frame.clone()))
            .collect();
        shootdown
            .flush(&pinned(1), &[pages(63 * 3)], &AllOnline)
            .unwrap();
        assert_eq!(Arc::strong_count(&frame), 201);
        while let Some(pending) = queue.pop_back() {
            drop(pending.try_wait(&pinned(2)).unwrap());
        }
        assert_eq!(Arc::strong_count(&frame), 1);
        let statistics = shootdown.statistics();
        assert_eq!((statistics.slotless, statistics.fallbacks), (0, 0));
        assert_eq!(sent(shootdown), [201, 0, 0, 0]);
    });
}

#[test]
fn targets_come_from_a_set_a_closure_or_a_reference() {
    on_machine(64, |shootdown, _online| {
        let tlb = tlb(shootdown);
        let mask = std::sync::atomic::AtomicU64::new(0b0010);
        let closure =
            TargetFn(|_: &_| CpuSet::from_words([mask.load(std::sync::atomic::Ordering::Acquire)]));
        shootdown.flush(&pinned(0), &[pages(1)], &closure).unwrap();
        mask.store(0b0100, std::sync::atomic::Ordering::Release);
        shootdown.flush(&pinned(0), &[pages(1)], &&closure).unwrap();
        // CPUs that are not there need no flush.
        mask.store(u64::MAX << 4, std::sync::atomic::Ordering::Release);
        shootdown.flush(&pinned(0), &[pages(1)], &closure).unwrap();
        let operations = [0, 1, 2, 3].map(|number| tlb.operations(cpu(number)));
        assert_eq!(operations, [0, 1, 1, 0], "the initiator is no target");
        assert_eq!(sent(shootdown), [2, 0, 0, 0]);
    });
}

#[test]
fn a_machine_is_used_as_a_trait_object() {
    let machine = FakeMachine::<CPUS>::new();
    let shootdown: Shootdown<&dyn Machine<1, Tlb = rar_percpu::fake::FakeTlb<CPUS>>, 1> =
        Shootdown::new(&machine, policy(4));
    let memory = [(); 2].map(|()| &*Box::leak(Box::new(PerCpu::new())));
    let domain = shootdown.domain();
    let online = [0, 1].map(|number: u32| {
        domain
            .register(cpu(number), ApicId::new(number), memory[number as usize])
            .unwrap();
        SoftwareCpu::bring_online(domain, &pinned(number), shootdown.machine().tlb()).unwrap()
    });
    shootdown
        .flush(&pinned(0), &[pages(1)], &AllOnline)
        .unwrap();
    assert_eq!(machine.sent(Message::Signal), 1);
    assert_eq!(shootdown.machine().tlb().operations(cpu(1)), 1);
    drop(online);
}

#[test]
fn a_closer_look_is_skipped_while_no_cpu_is_an_exception() {
    on_machine(64, |shootdown, _online| {
        let mut targets = shootdown.domain().online();
        let all = targets;
        for skippable in [
            Skippable::Never,
            Skippable::InGuest,
            Skippable::Lazy(Missed::AnySpace),
        ] {
            let by_generation = shootdown.domain().sort_targets(&mut targets, skippable);
            assert!(by_generation.is_empty());
            assert_eq!(targets, all);
        }
    });
}
