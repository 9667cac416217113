//! A slot of an answered flush is taken over by another flush before the first has looked.
#![cfg(not(rar_loom))]

use rar_payload::{Globals, InvpcidScope, Operation};
use rar_percpu::fake::{FakeTlb, pinned};
use rar_percpu::{ApicId, CpuId, CpuSet, Domain, PerCpu, SoftwareCpu};

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
    domain.serve(&pinned(1), &tlb);

    let taken = domain.claim(&pinned(0), 1).unwrap();
    let mut second = taken.post(&[everything], &target).unwrap();
    assert!(first.look(), "both entries were answered");
    assert!(!second.look(), "control: the byte is armed anew");
    domain.serve(&pinned(1), &tlb);
    assert!(second.look());
}
