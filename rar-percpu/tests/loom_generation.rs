//! Flush generations: each initiator waits for its own ticket.
#![cfg(rar_loom)]
#![expect(
    unsafe_code,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "models play the kernel and the hardware"
)]

mod models;

use core::sync::atomic::AtomicBool;

use loom::sync::atomic::Ordering;
use loom::thread;
use rar_payload::Pcid;
use rar_percpu::fake::pinned;
use rar_percpu::{CpuId, CpuSet, Missed, Skippable};

use models::{FIRST_SPACE, World, explore};

/// Two initiators draw tickets and raise the target's number, in either order. One that finds its
/// ticket completed finds what it stored before flushed; no request is lost.
#[test]
fn each_initiator_waits_for_its_own_ticket() {
    static ONE_FLUSH_FOR_BOTH: AtomicBool = AtomicBool::new(false);
    explore(None, || {
        let world = World::new(1);
        core::mem::forget(world.bring_online(0));
        let target = CpuId::new(0);
        let targets = CpuSet::of([target]).unwrap();
        let request = move |space: usize| {
            world.tlb.tables[space].store(1, Ordering::Relaxed);
            world.domain.request_full_flush(&targets)
        };
        let first = thread::spawn(move || request(0));
        let second = thread::spawn(move || {
            let ticket = request(1);
            // The handler of the target, which gets to the request whenever it likes.
            let served = world.serve(0);
            (ticket, served.generation)
        });
        let (second, flushed) = second.join().unwrap();
        // The look of the second initiator.
        if world.domain.is_flushed(target, second) {
            assert!(
                world.cached(0, 1),
                "a ticket was completed with no flush after it"
            );
        }
        let first = first.join().unwrap();
        if world.domain.is_flushed(target, first) {
            assert!(
                world.cached(0, 0),
                "a ticket was completed with no flush after it"
            );
            if flushed {
                ONE_FLUSH_FOR_BOTH.store(true, Ordering::Relaxed);
            }
        }
        let _served = world.serve(0);
        for ticket in [first, second] {
            assert!(
                world.domain.is_flushed(target, ticket),
                "a request was lost"
            );
        }
    });
    assert!(
        ONE_FLUSH_FOR_BOTH.load(Ordering::Relaxed),
        "never did one flush answer both"
    );
}

/// A full flush is requested of a CPU that leaves lazy TLB mode: the request is served, and the CPU
/// is skipped no more.
#[test]
fn request_versus_leaving_lazy_mode() {
    static BEFORE: AtomicBool = AtomicBool::new(false);
    static AFTER: AtomicBool = AtomicBool::new(false);
    explore(None, || {
        let world = World::new(1);
        core::mem::forget(world.bring_online(0));
        let target = CpuId::new(0);
        let targets = CpuSet::of([target]).unwrap();
        // SAFETY: nothing here uses a translation.
        unsafe { world.domain.enter_lazy(&pinned(0)) };
        let initiator = thread::spawn(move || world.domain.request_full_flush(&targets));
        let leaving = thread::spawn(move || world.domain.leave_lazy(&pinned(0), world.tlb));
        let left = leaving.join().unwrap();
        let ticket = initiator.join().unwrap();
        assert!(left.was_lazy);
        let reached = if left.flushed { &BEFORE } else { &AFTER };
        reached.store(true, Ordering::Relaxed);
        let _served = world.serve(0);
        assert!(
            world.domain.is_flushed(target, ticket),
            "a request was lost"
        );
        let mut kept = targets;
        let skippable = Skippable::Lazy(Missed::AnySpace);
        let _by_generation = world.domain.sort_targets(&mut kept, skippable);
        assert!(
            !kept.is_empty(),
            "a CPU that is not lazy any more is skipped"
        );
    });
    assert!(
        BEFORE.load(Ordering::Relaxed) && AFTER.load(Ordering::Relaxed),
        "never did the CPU leave the mode at that moment"
    );
}

/// Changes the page of a space; returns whether the lazy CPU was skipped for it.
fn change(world: World, space: u16) -> bool {
    world.tlb.tables[usize::from(space)].store(1, Ordering::Relaxed);
    let mut targets = CpuSet::of([CpuId::new(0)]).unwrap();
    let missed = Missed::Space(Pcid::new(FIRST_SPACE + space).unwrap());
    let by_generation = world
        .domain
        .sort_targets(&mut targets, Skippable::Lazy(missed));
    assert!(by_generation.is_empty());
    targets.is_empty()
}

/// Two initiators skip a lazy CPU for different spaces while it leaves the mode: whatever it was
/// skipped for it drops.
#[test]
fn two_spaces_missed_versus_leaving_lazy_mode() {
    static BOTH: AtomicBool = AtomicBool::new(false);
    static ONE: AtomicBool = AtomicBool::new(false);
    explore(None, || {
        let world = World::with_a_lazy_cpu();
        let initiators = [0, 1].map(|space| thread::spawn(move || change(world, space)));
        let left = world.domain.leave_lazy(&pinned(0), world.tlb);
        let skipped = initiators.map(|initiator| initiator.join().unwrap());
        assert_eq!(left.flushed, skipped.contains(&true));
        for (space, skipped) in skipped.into_iter().enumerate() {
            assert!(!skipped || world.cached(0, space), "a miss was lost");
        }
        match skipped {
            [true, true] => BOTH.store(true, Ordering::Relaxed),
            [false, false] => {}
            _ => ONE.store(true, Ordering::Relaxed),
        }
    });
    assert!(
        BOTH.load(Ordering::Relaxed) && ONE.load(Ordering::Relaxed),
        "never did the CPU leave the mode at that moment"
    );
}

/// One initiator skips a lazy CPU while another requests a full flush of it, and it leaves the
/// mode: neither is lost.
#[test]
fn a_space_missed_versus_a_request() {
    static SKIPPED: AtomicBool = AtomicBool::new(false);
    static LEFT: AtomicBool = AtomicBool::new(false);
    explore(None, || {
        let world = World::with_a_lazy_cpu();
        let target = CpuId::new(0);
        let targets = CpuSet::of([target]).unwrap();
        let skips = thread::spawn(move || change(world, 0));
        let requests = thread::spawn(move || world.domain.request_full_flush(&targets));
        let left = world.domain.leave_lazy(&pinned(0), world.tlb);
        let skipped = skips.join().unwrap();
        let ticket = requests.join().unwrap();
        assert!(left.was_lazy);
        assert!(!skipped || world.cached(0, 0), "a miss was lost");
        let _served = world.serve(0);
        assert!(
            world.domain.is_flushed(target, ticket),
            "a request was lost"
        );
        assert!(
            !change(world, 1),
            "a CPU that is not lazy any more is skipped"
        );
        let reached = if skipped { &SKIPPED } else { &LEFT };
        reached.store(true, Ordering::Relaxed);
    });
    assert!(
        SKIPPED.load(Ordering::Relaxed) && LEFT.load(Ordering::Relaxed),
        "never did the CPU leave the mode at that moment"
    );
}
