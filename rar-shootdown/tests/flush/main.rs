//! Flushes on a machine whose targets answer on the spot.
#![cfg(not(rar_loom))]
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

mod borrowed;
mod no_answer;
mod operations;
mod pending;
mod slot_wait;
mod watched;

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
    Policy, Shootdown, Statistics, TargetFn, TargetSet,
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

/// The same, except for slots that are in quarantine at the end, and why.
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
        let upper = PageRange::page(0xffff_8000_0000_0000, PageSize::Size4K).unwrap();
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
fn a_target_set_names_what_it_adds_to_a_flush() {
    on_machine(64, |shootdown, _online| {
        let domain = shootdown.domain();
        let space = AtomicCpuSet::<1>::new();
        space.insert(cpu(2)).unwrap();
        let sets: [(&dyn TargetSet<1>, u64); 3] =
            [(&AllOnline, 0b1111), (&space, 0b0100), (&&space, 0b0100)];
        for (targets, members) in sets {
            assert_eq!(targets.snapshot(domain), CpuSet::from_words([members]));
            let mut added = CpuSet::from_words([0b0001]);
            targets.add_to(domain, &mut added);
            assert_eq!(added, CpuSet::from_words([members | 0b0001]));
        }
    });
}

#[test]
fn a_lazy_cpu_is_skipped_only_if_every_byte_of_the_pages_is_user_memory() {
    let pages_of = |first, last| LazySkip::Pages { first, last };
    let to_a_page_end = pages_of(0x40_0000, 0x40_1fff);
    let into_a_page = pages_of(0x40_0000, 0x40_17ff);
    let upper_half = 0xffff_8000_0000_0000;
    let lower = LazySkip::LOWER_HALF_PAGES;
    for (lazy, start, count, size, is_skipped) in [
        (to_a_page_end, 0x40_0000, 2, PageSize::Size4K, true),
        (to_a_page_end, 0x40_0000, 3, PageSize::Size4K, false),
        (to_a_page_end, 0x3f_f000, 2, PageSize::Size4K, false),
        (to_a_page_end, 0x40_0000, 1, PageSize::Size2M, false),
        (into_a_page, 0x40_0000, 1, PageSize::Size4K, true),
        (into_a_page, 0x40_1000, 1, PageSize::Size4K, false),
        (lower, 0x7fff_ffff_f000, 1, PageSize::Size4K, true),
        (lower, upper_half, 1, PageSize::Size4K, false),
        (LazySkip::LOWER_HALF, upper_half, 1, PageSize::Size4K, false),
    ] {
        let mut policy = policy(4);
        policy.lazy = lazy;
        let shootdown = Fake::new(FakeMachine::new(), policy);
        let _online = online(&shootdown);
        // SAFETY: a host; the CPU uses no translation.
        unsafe { shootdown.domain().enter_lazy(&pinned(2)) };
        let range = PageRange::new(start, count, size).unwrap();
        let request = Request::Pages {
            pcid: pcid(),
            range,
        };
        shootdown.flush(&pinned(0), &[request], &AllOnline).unwrap();
        let operations = tlb(&shootdown).operations(cpu(2));
        assert_eq!(operations == 0, is_skipped, "{range:?} by {lazy:?}");
    }
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
