//! What a flush grows to because that is cheaper.
#![cfg(not(rar_loom))]
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use rar_payload::{CostModel, InvpcidScope, Operation, PageRange, PageSize, Pcid, Request};
use rar_percpu::fake::pinned;
use rar_percpu::{ApicId, CpuId, PerCpu, SoftwareCpu};
use rar_shootdown::fake::FakeMachine;
use rar_shootdown::{AllOnline, Machine, Message, Policy, Shootdown, Statistics};

/// The target answers in software, which may take two entries as one.
const INITIATOR: CpuId = CpuId::new(0);

/// What the initiator carried out, and asked the target for, when it flushed `requests`: how many
/// operations, and the last.
fn told(
    costs: CostModel,
    requests: &[Request],
    flush: impl Fn(&Shootdown<FakeMachine<2>, 1>, &[Request]),
) -> (u64, Operation) {
    let mut policy = Policy::new();
    policy.costs = costs;
    let shootdown = Box::leak(Box::new(Shootdown::new(FakeMachine::new(), policy)));
    let tlb = Machine::<1>::tlb(shootdown.machine());
    for number in 0..2 {
        let memory = Box::leak(Box::new(PerCpu::new()));
        let (domain, cpu) = (shootdown.domain(), pinned(number));
        domain
            .register(cpu.id(), ApicId::new(number), memory)
            .unwrap();
        std::mem::forget(SoftwareCpu::bring_online(domain, &cpu, tlb).unwrap());
    }
    flush(shootdown, requests);
    assert_eq!(shootdown.machine().sent(Message::Signal), 1);
    // What is cheaper is ordinary.
    assert_eq!(shootdown.statistics(), Statistics::default());
    assert!(tlb.operations(CpuId::new(1)) > 0);
    let last = tlb.last_operation(INITIATOR).unwrap();
    (tlb.operations(INITIATOR), last)
}

fn told_each_way(costs: CostModel, requests: &[Request]) -> (u64, Operation) {
    let by_flush = told(costs, requests, |shootdown, requests| {
        shootdown.flush(&pinned(0), requests, &AllOnline).unwrap();
    });
    let by_start = told(costs, requests, |shootdown, requests| {
        let pending = shootdown.start(&pinned(0), requests, &AllOnline, ());
        pending.wait(&pinned(0)).unwrap();
    });
    assert_eq!(by_flush, by_start);
    by_flush
}

fn pages(pcid: u16, start: u64, count: u64) -> Request {
    let pcid = Pcid::new(pcid).unwrap();
    let range = PageRange::new(start, count, PageSize::Size4K).unwrap();
    Request::Pages { pcid, range }
}

fn context(pcid: u16) -> Operation {
    let pcid = Pcid::new(pcid).unwrap();
    Operation::Invpcid(InvpcidScope::Context { pcid })
}

fn exact(request: Request) -> Operation {
    request.operations().last().unwrap()
}

#[test]
fn a_range_is_flushed_the_cheaper_way() {
    let costs = CostModel::new().with_space(3_600);
    for count in [1, 33, 36, 37, 63, 64, 127, 1_000] {
        let range = pages(5, 0x40_0000, count);
        let expected = if count <= 36 {
            exact(range)
        } else {
            context(5)
        };
        let told = told_each_way(costs, &[range]);
        assert_eq!(told, (1, expected), "{count} pages");
    }
    for (count, entries) in [(63, 1), (64, 2), (127, 3), (252, 4)] {
        let range = pages(5, 0x40_0000, count);
        let told = told_each_way(CostModel::EXACT, &[range]);
        assert_eq!(told, (entries, exact(range)), "{count} pages");
    }
    let range = pages(5, 0x40_0000, 64);
    assert_eq!(
        told_each_way(CostModel::with_ceiling(63), &[range]),
        (1, context(5))
    );
    assert_eq!(told_each_way(CostModel::with_ceiling(64), &[range]).0, 2);
}

#[test]
fn requests_of_one_space_add_up_and_those_of_two_do_not() {
    let costs = CostModel::new().with_space(3_600);
    let (one, same, other) = (
        pages(5, 0x40_0000, 20),
        pages(5, 0x80_0000, 20),
        pages(0x805, 0x40_0000, 20),
    );
    assert_eq!(told_each_way(costs, &[one, same]), (1, context(5)));
    assert_eq!(told_each_way(costs, &[one, other]), (2, exact(other)));
    let few = pages(5, 0x80_0000, 15);
    assert_eq!(told_each_way(costs, &[one, few]), (2, exact(few)));
    assert_eq!(told_each_way(costs, &[one, few, one]), (2, exact(few)));
    assert_eq!(told_each_way(costs, &[one, same, other]), (2, exact(other)));
}
