//! Flush generations: the way that uses no slot.
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

/// Two initiators ask one target at once: a count that one of them waits for never runs ahead of the flush it stands for.
#[test]
fn two_initiators_one_generation() {
    explore(2, || {
        let world = World::new(0, 3);
        let (shootdown, machine) = (world.shootdown, world.machine);
        let other = thread::spawn(move || {
            machine.tlbs.tables[1].store(1, Ordering::Relaxed);
            shootdown
                .flush(&pinned(1), &[request(1)], &Everyone)
                .unwrap();
            assert_eq!(
                machine.tlbs.cached(2, 1),
                1,
                "a count ran ahead of its flush"
            );
        });
        world.store(2, 1);
        shootdown
            .flush(&pinned(0), &[request(2)], &Everyone)
            .unwrap();
        assert_eq!(
            machine.tlbs.cached(2, 2),
            1,
            "a count ran ahead of its flush"
        );
        other.join().unwrap();
    });
}
