//! Signals and entries are not paired (I4): any signal makes a target look at its whole vector.
#![cfg(rar_loom)]
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "models play the kernel and the hardware"
)]

mod models;
#[path = "models/two_initiators.rs"]
mod two_initiators;

use core::sync::atomic::Ordering;

use loom::thread;
use rar_percpu::fake::pinned;
use rar_shootdown::AllOnline;

use models::{World, explore, request};

/// Another's signal makes the target scan at any moment, also between the stores of an initiator
/// that has not signalled: the entry is carried out by that scan, or left for the one that its own
/// signal brings.
#[test]
fn arm_versus_a_scan_by_anothers_signal() {
    explore(None, || {
        let world = World::new(1, 2);
        let tlbs = world.tlbs();
        let scan = move || world.domain().answer(&pinned(1), tlbs);
        // Leaves an entry behind that could be taken for the next.
        world.flush(0, 3);
        world
            .machine()
            .hears_signals
            .store(false, Ordering::Relaxed);
        let anothers_signal = thread::spawn(move || {
            let _served = scan();
        });
        world.store(1, 1);
        let cpu = pinned(0);
        let pending = world.shootdown.start(&cpu, &[request(1)], &AllOnline, ());
        anothers_signal.join().unwrap();
        let _served_by_its_own_signal = scan();
        pending.wait(&cpu).unwrap();
        assert_eq!(
            tlbs.cached(1, 1),
            1,
            "an entry was lost to a scan that was not for it"
        );
        assert_eq!(
            world.shootdown.statistics().fallbacks,
            0,
            "an entry was left to the fallback by a scan that was not for it"
        );
    });
}

/// Two initiators use neighbouring bytes of one vector at once: neither's store touches the other's
/// byte.
#[test]
fn two_initiators_one_target() {
    two_initiators::flush_one_target(2, 3, "an initiator wrote to the byte of another");
}
