//! Who owns a slot: claim and release, and the late answer against quarantine (I6).
#![cfg(loom)]
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "models play the kernel and the hardware"
)]

mod models;

use loom::sync::atomic::Ordering;
use loom::thread;
use models::{World, explore, request};
use rar_percpu::fake::pinned;
use rar_shootdown::Everyone;

/// Two initiators, one slot, one target: neither's payload is written over while the target may read it.
#[test]
fn claim_and_release() {
    explore(2, || {
        let world = World::new(1, 3);
        let (shootdown, machine) = (world.shootdown, world.machine);
        world.store(2, 1);
        let other = thread::spawn(move || {
            // Space 1 belongs to this initiator.
            machine.tlbs.tables[1].store(1, Ordering::Relaxed);
            shootdown
                .flush(&pinned(1), &[request(1)], &Everyone)
                .unwrap();
            assert_eq!(
                machine.tlbs.cached(2, 1),
                1,
                "a flush was lost: two owners of one slot"
            );
        });
        shootdown
            .flush(&pinned(0), &[request(2)], &Everyone)
            .unwrap();
        assert_eq!(
            machine.tlbs.cached(2, 2),
            1,
            "a flush was lost: two owners of one slot"
        );
        other.join().unwrap();
    });
}

/// A target misses the signal, the fallback flushes it, and its unit gets to the entry late, at any moment: also while the
/// next flush goes on.
#[test]
fn late_answer_versus_quarantine() {
    explore(3, || {
        let world = World::new(1, 2);
        let (shootdown, machine, domain) = (world.shootdown, world.machine, world.domain);
        machine.hears_signals.store(false, Ordering::Relaxed);
        world.store(1, 1);
        let late_unit = thread::spawn(move || {
            let _served = domain.serve(&pinned(1), &machine.tlbs);
        });
        shootdown
            .flush(&pinned(0), &[request(1)], &Everyone)
            .unwrap();
        assert_eq!(machine.tlbs.cached(1, 1), 1);

        world.store(2, 1);
        shootdown
            .flush(&pinned(0), &[request(2)], &Everyone)
            .unwrap();
        assert_eq!(
            machine.tlbs.cached(1, 2),
            1,
            "a late answer was taken for the answer to another flush"
        );
        late_unit.join().unwrap();
    });
}
