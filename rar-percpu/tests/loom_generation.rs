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
use models::{World, explore};
use rar_percpu::fake::pinned;
use rar_percpu::{CpuId, CpuSet, Skippable};

/// Two initiators draw tickets and raise the target's number, in either order. Whoever finds its ticket completed finds what
/// it stored before flushed; nobody's request is lost.
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

/// A full flush is requested of a CPU that leaves lazy TLB mode: the request is served, and the CPU is skipped no more.
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
        let _by_generation = world.domain.sort_targets(&mut kept, Skippable::Lazy);
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
