//! Who is a target: a CPU that joins, or comes back from deferral, against a flush that looks for targets (I10).
#![cfg(loom)]
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "models play the kernel and the hardware"
)]

mod models;

use loom::thread;
use models::{World, explore, request};
use rar_percpu::fake::pinned;
use rar_shootdown::Everyone;

/// Store, fence, then look; publish, fence, then flush: one of the two sees the other.
#[test]
fn target_set_versus_a_joining_cpu() {
    explore(3, || {
        let world = World::new(1, 1);
        let (shootdown, machine, domain) = (world.shootdown, world.machine, world.domain);
        let joining = thread::spawn(move || {
            World {
                domain,
                machine,
                shootdown,
            }
            .join(1)
        });
        world.store(1, 1);
        shootdown
            .flush(&pinned(0), &[request(1)], &Everyone)
            .unwrap();
        joining.join().unwrap();
        assert_eq!(
            machine.tlbs.cached(1, 1),
            1,
            "a CPU joined unseen and kept a stale translation"
        );
    });
}

/// A CPU that defers is spared; when it comes back it has flushed, or is told.
#[test]
fn target_set_versus_a_cpu_that_comes_back() {
    explore(3, || {
        let world = World::new(1, 2);
        let (shootdown, machine, domain) = (world.shootdown, world.machine, world.domain);
        domain.defer(&pinned(1));
        let back = thread::spawn(move || {
            domain.resume(&pinned(1), &machine.tlbs);
        });
        world.store(1, 1);
        shootdown
            .flush(&pinned(0), &[request(1)], &Everyone)
            .unwrap();
        back.join().unwrap();
        assert_eq!(
            machine.tlbs.cached(1, 1),
            1,
            "a CPU came back unseen and kept a stale translation"
        );
    });
}
