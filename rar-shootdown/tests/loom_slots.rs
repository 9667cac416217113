//! Who owns a slot: claim and release, quarantine against a late answer (I6), and flushes inside
//! flushes (I7).
#![cfg(rar_loom)]
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "models play the kernel and the hardware"
)]

#[path = "models/interrupts_disabled.rs"]
mod interrupts_disabled;
mod models;
#[path = "models/two_initiators.rs"]
mod two_initiators;

use core::cell::Cell;
use core::time::Duration;

use loom::sync::atomic::{AtomicU64, Ordering};
use loom::thread;
use rar_percpu::fake::pinned;
use rar_shootdown::{AllOnline, Pending};

use interrupts_disabled::{InterruptsDisabled, SPINS};
use models::{Model, World, explore, keep, policy, request};

/// Two initiators, one slot, one target: neither's payload is written over while the target may
/// read it.
#[test]
fn claim_and_release() {
    two_initiators::flush_one_target(1, 2, "a flush was lost: two owners of one slot");
}

/// A target misses the signal, the fallback flushes it, and its unit gets to the entry late, at any
/// moment: also while the next flush goes on.
#[test]
fn late_answer_versus_quarantine() {
    explore(3, || {
        let world = World::new(1, 2);
        let tlbs = world.tlbs();
        world
            .machine()
            .hears_signals
            .store(false, Ordering::Relaxed);
        world.store(1, 1);
        let late_unit = thread::spawn(move || {
            let _served = world.domain().answer(&pinned(1), tlbs);
        });
        world.flush(0, 1);
        assert_eq!(tlbs.cached(1, 1), 1);

        world.store(2, 1);
        world.flush(0, 2);
        assert_eq!(
            tlbs.cached(1, 2),
            1,
            "a late answer was taken for the answer to another flush"
        );
        late_unit.join().unwrap();
    });
}

/// Two CPUs flush each other. Each is interrupted while its flush is in flight, and the handler
/// flushes, too.
#[test]
fn nested_flush_from_an_interrupt_with_slots_held() {
    let mut policy = policy();
    policy.answer_timeout = Duration::from_nanos(10);
    policy.fallback_timeout = Duration::from_nanos(40);
    policy.slot_timeout = Duration::from_nanos(2);
    explore(2, move || {
        let machine = InterruptsDisabled(Model::new());
        let world = World::with_machine(machine, 2, 2, policy);
        let shared: Shared = (world, keep(AtomicU64::new(0)));
        let other = thread::spawn(move || flush_in_flush(shared, 1, [2, 3]));
        flush_in_flush(shared, 0, [0, 1]);
        other.join().unwrap();
    });
}

type Shared = (World<InterruptsDisabled>, &'static AtomicU64);

fn flush_in_flush((world, done): Shared, me: u32, [outer, nested]: [u16; 2]) {
    let cpu = pinned(me);
    let start = |space| {
        world.store(usize::from(space), 1);
        world
            .shootdown
            .start(&cpu, &[request(space)], &AllOnline, ())
    };
    let end = |pending: Pending<'_, _, _, _>, space| {
        assert!(pending.wait(&cpu).is_ok(), "two CPUs waited for each other");
        let cached = world.tlbs().cached(1 - me, usize::from(space));
        assert_eq!(cached, 1, "Ok without a flush");
    };
    let interrupted = start(outer);
    // Who had not to look twice has got a slot.
    let holds_slot = SPINS.with(Cell::get) == 0;
    let in_handler = start(nested);
    if holds_slot {
        let spins = SPINS.with(Cell::get);
        assert_eq!(spins, 0, "a CPU waited for a slot with one held");
    }
    end(in_handler, nested);
    end(interrupted, outer);

    // The end of both enables interrupts.
    done.fetch_add(1, Ordering::AcqRel);
    while done.load(Ordering::Acquire) < 2 {
        let _served = world.shootdown.serve(&cpu);
        thread::yield_now();
    }
}
