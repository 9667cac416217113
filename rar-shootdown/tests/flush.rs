//! Flushes on a machine whose targets answer on the spot.
#![cfg(not(rar_loom))]
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use std::sync::Arc;

use rar_payload::{
    Globals, InvpcidScope, Operation, PageRange, PageSize, Pcid, Request, TableOwner,
};
use rar_percpu::fake::pinned;
use rar_percpu::{
    ActionByte, ApicId, AtomicCpuSet, CpuId, Domain, PayloadTable, PerCpu, SlotIndex, SoftwareCpu,
};
use rar_shootdown::fake::{FakeMachine, Hearing};
use rar_shootdown::{Everyone, FlushError, Machine, Policy, Shootdown};

const CPUS: usize = 4;

struct Memory {
    table: PayloadTable,
    cpus: [PerCpu; CPUS],
}

impl Memory {
    fn new() -> Self {
        Self {
            table: PayloadTable::new(),
            cpus: [const { PerCpu::new() }; CPUS],
        }
    }

    fn domain(&self) -> Domain<'_, 1> {
        Domain::new(&self.table, &self.cpus)
    }
}

const POLICY: Policy = Policy {
    answer: 100,
    fallback: 100,
    slot: 10,
    resignal: None,
    operations: 4,
};

fn online<'d>(
    domain: &'d Domain<'d, 1>,
    machine: &FakeMachine<'_, CPUS, 1>,
) -> Vec<SoftwareCpu<'d, 1>> {
    (0..4)
        .map(|number| {
            domain
                .register(CpuId::new(number), ApicId::new(number))
                .unwrap();
            SoftwareCpu::join(domain, &pinned(number), machine.tlb()).unwrap()
        })
        .collect()
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

/// Runs a test on a fresh machine of four CPUs that are all online.
fn on_machine(
    slots: usize,
    test: impl FnOnce(&Shootdown<'_, FakeMachine<'_, CPUS, 1>, 1>, Vec<SoftwareCpu<'_, 1>>),
) {
    let memory = Memory::new();
    let domain = memory.domain();
    let machine = FakeMachine::new(&domain);
    let all = online(&domain, &machine);
    test(&Shootdown::new(&machine, &domain, slots, POLICY), all);
}

#[test]
fn only_the_targets_flush_and_only_what_was_asked() {
    on_machine(64, |shootdown, _online| {
        let tlb = shootdown.machine().tlb();
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
        assert_eq!(shootdown.machine().signals(), 1);
        assert_eq!(shootdown.machine().interrupts(), 0);
    });
}

#[test]
fn each_request_goes_out_as_what_it_means() {
    let whole = Operation::Invpcid(InvpcidScope::Context { pcid: pcid() });
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
            shootdown.flush(&pinned(0), &[request], &Everyone).unwrap();
            assert_eq!(
                shootdown.machine().tlb().last_operation(cpu(3)),
                Some(operation),
                "{request:?}"
            );
        });
    }
}

#[test]
fn several_operations_share_one_signal_until_there_are_too_many() {
    on_machine(64, |shootdown, _online| {
        let tlb = shootdown.machine().tlb();
        shootdown
            .flush(&pinned(0), &[pages(100), pages(63)], &Everyone)
            .unwrap();
        assert_eq!(tlb.operations(cpu(1)), 3);
        assert_eq!(shootdown.machine().signals(), 1);
        assert_eq!(shootdown.statistics().collapsed, 0);

        shootdown
            .flush(&pinned(0), &[pages(63 * 5)], &Everyone)
            .unwrap();
        assert_eq!(tlb.operations(cpu(1)), 4);
        assert_eq!(
            tlb.last_operation(cpu(1)),
            Some(Operation::Invpcid(InvpcidScope::Context { pcid: pcid() }))
        );
        assert_eq!(shootdown.statistics().collapsed, 1);
    });
}

#[test]
fn without_slots_for_all_operations_one_covers_them() {
    on_machine(2, |shootdown, _online| {
        shootdown
            .flush(&pinned(0), &[pages(63 * 3)], &Everyone)
            .unwrap();
        let tlb = shootdown.machine().tlb();
        assert_eq!(
            tlb.last_operation(cpu(1)),
            Some(Operation::Invpcid(InvpcidScope::Context { pcid: pcid() }))
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
        shootdown
            .flush(&pinned(0), &[pages(63 * 2)], &Everyone)
            .unwrap();
        assert_eq!(tlb.operations(cpu(1)), 3);
    });
}

#[test]
fn without_any_slot_the_generation_does_it() {
    on_machine(0, |shootdown, _online| {
        let before = shootdown.machine().tlb().full_flushes(cpu(1));
        shootdown.flush(&pinned(0), &[pages(1)], &Everyone).unwrap();
        assert_eq!(shootdown.machine().tlb().full_flushes(cpu(1)), before + 1);
        assert_eq!(shootdown.machine().signals(), 0);
        assert_eq!(shootdown.statistics().slotless, 1);
        assert_eq!(shootdown.statistics().fallbacks, 0);
    });
}

#[test]
fn more_flushes_in_flight_than_slots_never_wait_for_each_other() {
    on_machine(3, |shootdown, _online| {
        let initiator = pinned(0);
        let pending: Vec<_> = (0..10)
            .map(|_| shootdown.start(&initiator, &[pages(1)], &Everyone, ()))
            .collect();
        for pending in pending {
            pending.wait().unwrap();
        }
        assert_eq!(shootdown.statistics().slotless, 7);
        assert_eq!(shootdown.statistics().quarantined, 0);
    });
}

#[test]
fn a_target_that_misses_the_signal_is_reached_by_the_fallback_and_its_slot_is_set_apart() {
    on_machine(1, |shootdown, _online| {
        let machine = shootdown.machine();
        machine.set_hearing(cpu(2), Hearing::FallbackOnly);
        let before = machine.tlb().full_flushes(cpu(2));
        shootdown.flush(&pinned(0), &[pages(1)], &Everyone).unwrap();
        // The fake's handler serves the vector too, as a kernel's does, so that the byte became final just in time.
        assert_eq!(shootdown.statistics().fallbacks, 1);
        assert_eq!(machine.tlb().full_flushes(cpu(2)), before + 1);
        assert_eq!(shootdown.statistics().quarantined, 0);
        machine.set_hearing(cpu(2), Hearing::Both);
        shootdown.flush(&pinned(0), &[pages(1)], &Everyone).unwrap();
        assert_eq!(shootdown.statistics().fallbacks, 1);
        assert_eq!(shootdown.statistics().slotless, 0, "the slot is back");
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
            .start(&initiator, &[pages(1)], &Everyone, frame.clone())
            .wait()
            .unwrap_err();
        let entry = Some((SlotIndex::new(0).unwrap(), ActionByte(1)));
        assert_eq!(
            late.error,
            FlushError::NoAnswer {
                cpu: cpu(3),
                late: 1,
                entry
            }
        );
        assert_eq!(Arc::strong_count(&frame), 2);
        assert_eq!(shootdown.statistics().quarantined, 1);
        assert_eq!(shootdown.reclaim_slots(), 0, "the late byte is not final");

        // The only slot is lost for now: others flush without.
        machine.set_hearing(cpu(3), Hearing::FallbackOnly);
        shootdown.flush(&pinned(1), &[pages(1)], &Everyone).unwrap();
        assert_eq!(shootdown.statistics().slotless, 1);

        let given_back = late.pending.wait().unwrap();
        drop(given_back);
        assert_eq!(Arc::strong_count(&frame), 1);
        assert_eq!(shootdown.reclaim_slots(), 1);
    });
}

#[test]
fn what_a_dropped_flush_owns_is_never_freed() {
    on_machine(64, |shootdown, _online| {
        let frame = Arc::new(());
        drop(shootdown.start(&pinned(0), &[pages(1)], &Everyone, frame.clone()));
        assert_eq!(Arc::strong_count(&frame), 2);

        shootdown.machine().set_hearing(cpu(1), Hearing::Nothing);
        let initiator = pinned(0);
        drop(
            shootdown
                .start(&initiator, &[pages(1)], &Everyone, frame.clone())
                .wait()
                .unwrap_err(),
        );
        assert_eq!(Arc::strong_count(&frame), 3);
        assert_eq!(shootdown.statistics().quarantined, 1);
    });
}

#[test]
fn a_cpu_that_goes_offline_while_targeted_does_not_hold_the_flush_up() {
    on_machine(64, |shootdown, mut online| {
        let machine = shootdown.machine();
        machine.set_hearing(cpu(3), Hearing::Nothing);
        let initiator = pinned(0);
        let pending = shootdown.start(&initiator, &[pages(1)], &Everyone, ());
        online
            .pop()
            .unwrap()
            .leave(&pinned(3), machine.tlb())
            .unwrap();
        pending.wait().unwrap();
        assert_eq!(shootdown.statistics().fallbacks, 0);
        assert_eq!(shootdown.statistics().quarantined, 0);
    });
}

#[test]
fn a_cpu_that_went_and_came_back_while_targeted_has_flushed() {
    on_machine(64, |shootdown, mut online| {
        let (machine, domain) = (shootdown.machine(), shootdown.domain());
        machine.set_hearing(cpu(3), Hearing::Nothing);
        let initiator = pinned(0);
        let pending = shootdown.start(&initiator, &[pages(1)], &Everyone, ());
        online
            .pop()
            .unwrap()
            .leave(&pinned(3), machine.tlb())
            .unwrap();
        let _back = SoftwareCpu::join(domain, &pinned(3), machine.tlb()).unwrap();
        // Armed late, as by an initiator that was held up between its look and its store.
        domain
            .cpu(cpu(3))
            .unwrap()
            .vector()
            .arm(SlotIndex::new(0).unwrap());
        pending.wait().unwrap();
        assert_eq!(shootdown.statistics().fallbacks, 0);
        assert_eq!(
            shootdown.statistics().quarantined,
            1,
            "its byte is not final"
        );
    });
}

#[test]
fn deferred_cpus_are_spared_where_that_is_safe() {
    on_machine(64, |shootdown, _online| {
        let (tlb, domain) = (shootdown.machine().tlb(), shootdown.domain());
        domain.defer(&pinned(2));
        let full = tlb.full_flushes(cpu(2));
        shootdown.flush(&pinned(0), &[pages(1)], &Everyone).unwrap();
        shootdown
            .flush(
                &pinned(0),
                &[Request::AddressSpace { pcid: pcid() }],
                &Everyone,
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
            let before = tlb.operations(cpu(2));
            shootdown
                .flush(&pinned(0), &[request, pages(1)], &Everyone)
                .unwrap();
            assert!(tlb.operations(cpu(2)) > before, "{request:?}");
        }
        assert_eq!(
            tlb.full_flushes(cpu(2)),
            full,
            "nothing was requested of it"
        );
        assert!(
            domain.resume(&pinned(2), tlb),
            "it was left alone, and makes up for it"
        );
        assert_eq!(tlb.full_flushes(cpu(2)), full + 1);
    });
}

#[test]
fn one_cpu_alone_flushes_itself_and_signals_nobody() {
    let (table, cpus) = (PayloadTable::new(), [PerCpu::new()]);
    let domain = Domain::<1>::new(&table, &cpus);
    let machine = FakeMachine::<1, 1>::new(&domain);
    let shootdown = Shootdown::new(&machine, &domain, 64, POLICY);
    // Before it is online.
    shootdown.flush(&pinned(0), &[pages(1)], &Everyone).unwrap();
    assert_eq!(machine.tlb().operations(cpu(0)), 1);
    domain.register(cpu(0), ApicId::new(0)).unwrap();
    let _online = SoftwareCpu::join(&domain, &pinned(0), machine.tlb()).unwrap();
    shootdown.flush(&pinned(0), &[pages(1)], &Everyone).unwrap();
    assert_eq!(machine.tlb().operations(cpu(0)), 2);
    assert_eq!((machine.signals(), machine.interrupts()), (0, 0));
}

#[test]
fn no_request_is_no_flush() {
    on_machine(64, |shootdown, _online| {
        shootdown.flush(&pinned(0), &[], &Everyone).unwrap();
        assert_eq!(shootdown.machine().signals(), 0);
        assert_eq!(shootdown.machine().tlb().operations(cpu(0)), 0);
    });
}

#[test]
fn sparing_a_cpu_asks_nothing_of_it_that_a_waiter_could_wait_for() {
    on_machine(0, |shootdown, _online| {
        let (initiator, other) = (pinned(0), pinned(1));
        shootdown.domain().defer(&pinned(2));
        let freed = Request::TablesFreed(TableOwner::AddressSpace(pcid()));
        let pending = shootdown.start(&initiator, &[freed], &Everyone, ());
        // Another CPU unmaps meanwhile, and leaves the deferred CPU alone.
        shootdown.flush(&other, &[pages(1)], &Everyone).unwrap();
        pending.wait().unwrap();
    });
}
