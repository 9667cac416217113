//! A slot of an answered flush is taken over by another flush before the first has looked.
#![cfg(not(rar_loom))]

use std::sync::atomic::{AtomicBool, Ordering};

use rar_payload::{Globals, InvpcidScope, Operation};
use rar_percpu::fake::{FakeTlb, pinned};
use rar_percpu::{ApicId, CpuId, CpuSet, Domain, PerCpu, Progress, SlotIndex, SoftwareCpu};

#[test]
fn the_first_look_sees_the_answers_of_the_slots_that_are_left() {
    let (domain, tlb) = (Domain::<1>::new(), FakeTlb::<2>::new());
    domain.limit_entries(2);
    for cpu in 0..2 {
        let memory = Box::leak(Box::new(PerCpu::new()));
        domain
            .register(CpuId::new(cpu), ApicId::new(cpu), memory)
            .unwrap();
        let _online = SoftwareCpu::bring_online(&domain, &pinned(cpu), &tlb).unwrap();
    }
    let everything = Operation::Invpcid(InvpcidScope::AllContexts(Globals::Include));
    let target = CpuSet::of([CpuId::new(1)]).unwrap();
    let claimed = domain.claim(&pinned(0), 2).unwrap();
    let mut first = claimed.post(&[everything, everything], &target).unwrap();
    domain.answer(&pinned(1), &tlb);

    let taken = domain.claim(&pinned(0), 1).unwrap();
    let mut second = taken.post(&[everything], &target).unwrap();
    assert!(first.look(), "both entries were answered");
    assert!(!second.look(), "control: the byte is armed anew");
    domain.answer(&pinned(1), &tlb);
    assert!(second.look());
}

#[test]
fn a_refusal_does_not_outlive_its_entry() {
    // The TLB has no room for CPU 1, so CPU 1 refuses.
    let (domain, tlb) = (Domain::<1>::new(), FakeTlb::<1>::new());
    domain.limit_entries(1);
    for cpu in 0..2 {
        let memory = Box::leak(Box::new(PerCpu::new()));
        domain
            .register(CpuId::new(cpu), ApicId::new(cpu), memory)
            .unwrap();
        let _online = SoftwareCpu::bring_online(&domain, &pinned(cpu), &tlb).unwrap();
    }
    let everything = Operation::Invpcid(InvpcidScope::AllContexts(Globals::Include));
    let post = |target: u32| {
        let claimed = domain.claim(&pinned(0), 1).unwrap();
        let targets = CpuSet::of([CpuId::new(target)]).unwrap();
        claimed.post(&[everything], &targets).unwrap()
    };
    let mut refused = post(1);
    assert_eq!(domain.answer(&pinned(1), &tlb).failed, 1);
    assert!(!refused.look());
    assert!(
        domain.claim(&pinned(0), 1).is_none(),
        "control: it waits for its owner"
    );
    assert!(refused.settle().is_empty(), "the byte is final");
    assert!(refused.open().contains(CpuId::new(1)));
    assert!(!refused.look(), "no refusal becomes a success");
    assert_ne!(refused.look_on(), Progress::Succeeded);
    assert!(!refused.look());

    let mut answered = post(0);
    domain.answer(&pinned(0), &tlb);
    let next = domain.claim(&pinned(0), 1);
    assert!(
        next.is_some(),
        "CPU 1 said nothing to this entry, and its old refusal is gone"
    );
    assert!(answered.look());
}

/// In a storm there always is one more slot that was just answered: to look until all are given
/// back would last as long as the storm.
#[test]
fn slots_are_given_back_in_one_round_however_many_come_after_it() {
    const FLIGHTS: u32 = 20_000;
    let domain = Domain::<1>::new();
    let everything = Operation::Invpcid(InvpcidScope::AllContexts(Globals::Include));
    let is_over = AtomicBool::new(false);
    let most = std::thread::scope(|scope| {
        scope.spawn(|| {
            for _ in 0..FLIGHTS {
                // It has no target, so it is answered, and its owner never looks.
                if let Some(claimed) = domain.claim(&pinned(0), 1) {
                    core::mem::forget(claimed.post(&[everything], &CpuSet::new()).unwrap());
                }
            }
            is_over.store(true, Ordering::Release);
        });
        let mut most = 0;
        while !is_over.load(Ordering::Acquire) {
            most = most.max(domain.reclaim_slots());
        }
        most
    });
    assert!(most <= SlotIndex::COUNT, "{most} slots in one call");
}
