//! A CPU claims near its home first, and does not wait for a slot while it owns one, wherever that
//! is.
#![cfg(not(rar_loom))]
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use rar_payload::{Globals, InvpcidScope, Operation};
use rar_percpu::fake::pinned;
use rar_percpu::{ApicId, CpuId, CpuSet, Domain, HomeSlot, PerCpu};

/// All but one of them are near each CPU.
const SLOTS: u8 = 6;

/// Two CPUs with the same home.
const CPUS: [u32; 2] = [0, 66];

fn domain(registered: &[u32]) -> &'static Domain<2> {
    let domain = Box::leak(Box::new(Domain::new()));
    domain.limit_entries(SLOTS);
    for cpu in registered {
        let memory = Box::leak(Box::new(PerCpu::new()));
        domain
            .register(CpuId::new(*cpu), ApicId::new(*cpu), memory)
            .unwrap();
    }
    domain
}

#[test]
fn a_slot_far_from_home_counts_until_it_is_given_back() {
    // What is not registered has no memory to keep a note in, and is as exact.
    for registered in [&CPUS[..], &[0]] {
        let domain = domain(registered);
        let [first, second] = CPUS.map(pinned);
        let near = [4, 1].map(|count| {
            let claimed = domain.claim_near(&first, count).unwrap();
            assert_eq!(claimed.len(), count);
            claimed
        });
        assert!(domain.must_not_wait_for_slot(&first));
        assert!(domain.claim_near(&second, 1).is_none());
        assert!(!domain.must_not_wait_for_slot(&second));

        let far = domain.claim(&second, 1).unwrap();
        drop(near);
        for _ in 0..2 {
            assert!(domain.must_not_wait_for_slot(&second), "{registered:?}");
            assert!(!domain.must_not_wait_for_slot(&first));
        }
        drop(far);
        assert!(!domain.must_not_wait_for_slot(&second));
        assert!(domain.claim_near(&second, 1).is_some());
    }
}

#[test]
fn a_slot_is_held_by_the_cpu_that_claimed_it_last() {
    let domain = domain(&[]);
    domain.limit_entries(1);
    let holders = |claimer: u32| {
        let claimed = domain.claim_near(&pinned(claimer), 1).unwrap();
        let holders: Vec<_> = (0..8)
            .filter(|cpu| domain.holds_slots(CpuId::new(*cpu)))
            .collect();
        drop(claimed);
        holders
    };
    for claimer in [1, 2, 5, 0] {
        assert_eq!(holders(claimer), [claimer]);
    }
}

#[test]
fn the_home_slot_says_whether_it_is_worth_waiting_for() {
    let domain = domain(&CPUS);
    let [first, second] = CPUS.map(pinned);
    let both = || CPUS.map(pinned).map(|cpu| domain.home_slot(&cpu));
    assert_eq!(both(), [HomeSlot::Free; 2]);
    let claimed = domain.claim_near(&first, 1).unwrap();
    assert_eq!(both(), [HomeSlot::InFlight; 2]);
    let everything = Operation::Invpcid(InvpcidScope::AllContexts(Globals::Include));
    let targets = CpuSet::of([second.id()]).unwrap();
    let posted = claimed.post(&[everything], &targets).unwrap();
    assert_eq!(both(), [HomeSlot::InFlight; 2]);
    drop(posted);
    assert_eq!(both(), [HomeSlot::Lost; 2], "no CPU has answered");
    domain.limit_entries(0);
    assert_eq!(both(), [HomeSlot::Lost; 2], "there is no slot");
}
