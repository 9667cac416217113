//! The entries of an ordinary flush: all or nothing, and no end before the last answer.
#![cfg(not(rar_loom))]
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use core::cell::Cell;

use rar_payload::{Globals, InvpcidScope, Operation, Pcid};
use rar_percpu::fake::{FakeTlb, pinned};
use rar_percpu::{
    ActionByte, ApicId, CpuId, CpuSet, Domain, PerCpu, Progress, SlotIndex, SoftwareCpu,
};

const EVERYTHING: Operation = Operation::Invpcid(InvpcidScope::AllContexts(Globals::Include));

/// A domain of that many slots and three CPUs. The last one refuses everything: the TLB has no
/// room for it.
fn machine(slots: u8) -> (&'static Domain<1>, FakeTlb<2>) {
    let (domain, tlb) = (Box::leak(Box::new(Domain::new())), FakeTlb::new());
    domain.limit_entries(slots);
    for cpu in 0..3 {
        let memory = Box::leak(Box::new(PerCpu::new()));
        domain
            .register(CpuId::new(cpu), ApicId::new(cpu), memory)
            .unwrap();
        let _online = SoftwareCpu::bring_online(domain, &pinned(cpu), &tlb).unwrap();
    }
    (domain, tlb)
}

fn set(cpus: &[u32]) -> CpuSet<1> {
    CpuSet::of(cpus.iter().copied().map(CpuId::new)).unwrap()
}

#[test]
fn it_ends_when_every_target_has_answered_every_entry() {
    let (domain, tlb) = machine(64);
    let targets = set(&[0, 1]);
    let space = Operation::Invpcid(InvpcidScope::Context { pcid: Pcid::ZERO });
    let armed = domain.post(&pinned(0), &[EVERYTHING, space], &targets);
    let armed = armed.unwrap().end().unwrap_err();
    assert_eq!(domain.answer(&pinned(0), &tlb).succeeded, 2);
    let armed = armed.end().unwrap_err();
    assert_eq!(domain.answer(&pinned(1), &tlb).succeeded, 2);
    assert!(armed.end().is_ok());
    assert_eq!(domain.free_and_quarantined_slots(), (64, 0));
}

#[test]
fn a_silent_target_is_looked_at_so_often_and_no_more() {
    let (domain, tlb) = machine(64);
    let targets = set(&[0, 1]);
    let looks = Cell::new(0);
    let armed = domain.post(&pinned(0), &[EVERYTHING], &targets);
    let answered_by = |cpu: u32| domain.answer(&pinned(cpu), &tlb).succeeded;
    // The first answers after the second look, the second never.
    let armed = armed.unwrap().end_soon(5, || {
        looks.set(looks.get() + 1);
        if looks.get() == 2 {
            assert_eq!(answered_by(0), 1);
        }
    });
    assert_eq!(looks.replace(0), 5);
    // The second answers after the first look. So the first is not waited for again.
    let ended = armed.unwrap_err().end_soon(5, || {
        looks.set(looks.get() + 1);
        assert_eq!(answered_by(1), 1);
    });
    assert!(ended.is_ok());
    assert_eq!(looks.get(), 1);
}

#[test]
fn a_refusal_is_no_end() {
    let (domain, tlb) = machine(64);
    let targets = set(&[2]);
    let armed = domain.post(&pinned(0), &[EVERYTHING], &targets).unwrap();
    assert_eq!(domain.answer(&pinned(2), &tlb).failed, 1);
    let mut posted = armed.end().unwrap_err().into_posted();
    assert!(!posted.look());
    assert_eq!(posted.open(), &targets);
}

#[test]
fn all_slots_or_none() {
    let (domain, tlb) = machine(1);
    let targets = set(&[1]);
    let two = domain.post(&pinned(0), &[EVERYTHING, EVERYTHING], &targets);
    assert!(two.is_none());
    assert_eq!(domain.free_and_quarantined_slots(), (1, 0));
    assert_eq!(
        domain.answer(&pinned(1), &tlb).succeeded,
        0,
        "no CPU was armed"
    );
    assert!(domain.post(&pinned(0), &[EVERYTHING], &targets).is_some());
}

#[test]
fn no_entry_is_beyond_the_limit_whatever_cpu_posts_it() {
    for limit in [1, 2, 40, 63] {
        let (domain, tlb) = machine(limit);
        let targets = set(&[1]);
        let vector = domain.cpu(CpuId::new(1)).unwrap().vector();
        for cpu in 0..130 {
            let armed = domain.post(&pinned(cpu), &[EVERYTHING], &targets).unwrap();
            let mut beyond = SlotIndex::all().skip(limit.into());
            assert!(
                beyond.all(|slot| vector.load(slot) == ActionByte(0)),
                "CPU {cpu} with {limit} slots"
            );
            assert_eq!(domain.answer(&pinned(1), &tlb).succeeded, 1);
            assert!(armed.end().is_ok());
        }
    }
}

#[test]
fn a_slot_that_was_let_go_before_the_end_is_taken_over_after_it() {
    let (domain, tlb) = machine(1);
    let targets = set(&[1]);
    drop(domain.post(&pinned(0), &[EVERYTHING], &targets).unwrap());
    assert!(
        domain.claim(&pinned(0), 1).is_none(),
        "its entry may still be read"
    );
    assert_eq!(domain.answer(&pinned(1), &tlb).succeeded, 1);
    assert!(domain.claim(&pinned(0), 1).is_some());
}

#[test]
fn a_look_in_order_ends_with_the_last_answer_whoever_is_first() {
    for first in [0, 1] {
        let (domain, tlb) = machine(1);
        let targets = set(&[0, 1]);
        let armed = domain.post(&pinned(0), &[EVERYTHING], &targets).unwrap();
        let mut posted = armed.into_posted();
        assert_ne!(posted.look_on(), Progress::Succeeded);
        assert_eq!(posted.open(), &targets);
        assert_eq!(domain.answer(&pinned(first), &tlb).succeeded, 1);
        assert_ne!(posted.look_on(), Progress::Succeeded);
        assert!(posted.open().contains(CpuId::new(1 - first)));
        assert_eq!(domain.answer(&pinned(1 - first), &tlb).succeeded, 1);
        assert_eq!(posted.look_on(), Progress::Succeeded);
        assert!(posted.settle().is_empty());
        assert_eq!(domain.free_and_quarantined_slots(), (1, 0));
    }
}

#[test]
fn a_look_in_order_forgets_no_cpu_that_has_not_answered() {
    const CPUS: u32 = 100;
    let (domain, tlb) = (Domain::<2>::new(), FakeTlb::<{ CPUS as usize }>::new());
    for cpu in 0..CPUS {
        let memory = Box::leak(Box::new(PerCpu::new()));
        domain
            .register(CpuId::new(cpu), ApicId::new(cpu), memory)
            .unwrap();
        let _online = SoftwareCpu::bring_online(&domain, &pinned(cpu), &tlb).unwrap();
    }
    let targets = CpuSet::of((0..CPUS).map(CpuId::new)).unwrap();
    let silent = [0, 3, 7, 8, 21, 63, 64, 99];
    for (first, second) in silent.into_iter().flat_map(|a| silent.map(|b| (a, b))) {
        let armed = domain.post(&pinned(0), &[EVERYTHING], &targets).unwrap();
        let mut posted = armed.into_posted();
        let answer = |cpus: &dyn Fn(u32) -> bool| {
            for cpu in (0..CPUS).filter(|cpu| cpus(*cpu)) {
                domain.answer(&pinned(cpu), &tlb);
            }
        };
        answer(&|cpu| ![first, second].contains(&cpu));
        for _ in 0..2 {
            assert_eq!(posted.look_on(), Progress::Open);
            for cpu in [first, second].map(CpuId::new) {
                assert!(posted.open().contains(cpu), "{cpu} of {first}, {second}");
            }
        }
        answer(&|cpu| cpu == first);
        if first != second {
            assert_eq!(posted.look_on(), Progress::Open);
            assert!(posted.open().contains(CpuId::new(second)));
            answer(&|cpu| cpu == second);
        }
        assert_eq!(posted.look_on(), Progress::Succeeded);
    }
}

#[test]
fn entries_that_are_left_unanswered_name_their_slots() {
    let (domain, _) = machine(2);
    let targets = set(&[1]);
    let armed = domain.post(&pinned(0), &[EVERYTHING, EVERYTHING], &targets);
    let mut posted = armed.unwrap().into_posted();
    let left = posted.settle();
    assert!(!left.is_empty());
    assert!(left.iter().eq(SlotIndex::all().take(2)));
    assert_eq!(domain.free_and_quarantined_slots(), (0, 2));
    assert!(posted.settle().is_empty(), "they were named once");
}

#[test]
fn a_slot_too_many_is_anothers_from_the_post_on() {
    let (domain, tlb) = machine(2);
    let targets = set(&[1]);
    let claimed = domain.claim(&pinned(0), 2).unwrap();
    let mut posted = claimed.post(&[EVERYTHING], &targets).unwrap();
    assert_eq!(domain.free_and_quarantined_slots(), (1, 0));
    assert_eq!(domain.answer(&pinned(1), &tlb).succeeded, 1);
    let other = domain.post(&pinned(1), &[EVERYTHING], &targets).unwrap();
    assert_eq!(posted.look_on(), Progress::Succeeded);
    assert!(posted.settle().is_empty());
    assert_eq!(domain.free_and_quarantined_slots(), (1, 0));
    assert_eq!(domain.answer(&pinned(1), &tlb).succeeded, 1);
    assert!(other.end().is_ok());
}

#[test]
fn a_refusal_is_no_answer_to_a_look_in_order() {
    let (domain, tlb) = machine(64);
    let targets = set(&[1, 2]);
    let armed = domain.post(&pinned(0), &[EVERYTHING], &targets).unwrap();
    let mut posted = armed.into_posted();
    assert_eq!(domain.answer(&pinned(1), &tlb).succeeded, 1);
    assert_eq!(domain.answer(&pinned(2), &tlb).failed, 1);
    assert_eq!(posted.look_on(), Progress::Refused);
    assert_eq!(posted.open(), &set(&[2]));
    // Of two entries as of one.
    let space = Operation::Invpcid(InvpcidScope::Context { pcid: Pcid::ZERO });
    let armed = domain.post(&pinned(0), &[EVERYTHING, space], &targets);
    let mut two = armed.unwrap().into_posted();
    assert_eq!(domain.answer(&pinned(1), &tlb).succeeded, 2);
    assert_eq!(two.look_on(), Progress::Open);
    assert_eq!(domain.answer(&pinned(2), &tlb).failed, 2);
    assert_eq!(two.look_on(), Progress::Refused);
}
