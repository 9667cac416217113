//! Who is a target: CPUs that come, go, are lazy and come back, against a flush that looks for targets (I10).
#![cfg(rar_loom)]
#![expect(
    unsafe_code,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "models play the kernel and the hardware"
)]

mod models;

use core::sync::atomic::Ordering;

use loom::thread;
use models::{World, explore};
use rar_percpu::fake::pinned;

/// Store, fence, then look; publish, fence, then flush: one of the two sees the other.
#[test]
fn target_set_versus_a_joining_cpu() {
    explore(None, || {
        let world = World::new(1, 1);
        let joining = thread::spawn(move || core::mem::forget(world.bring_online(1)));
        world.store(1, 1);
        world.flush(0, 1);
        joining.join().unwrap();
        assert_eq!(
            world.tlbs().cached(1, 1),
            1,
            "a CPU joined unseen and kept a stale translation"
        );
    });
}

/// A CPU leaves and comes back while it is targeted, and hears no signal: what ends the wait for it is a flush, and on its way
/// back it flushes or is told.
#[test]
fn going_offline_while_targeted() {
    explore(3, || {
        let world = World::new(1, 1);
        let tlbs = world.tlbs();
        let target = world.bring_online(1);
        world
            .machine()
            .hears_signals
            .store(false, Ordering::Relaxed);
        let leaving = thread::spawn(move || {
            // SAFETY: nothing here uses a translation.
            unsafe { target.take_offline(&pinned(1), tlbs) }.unwrap();
            core::mem::forget(world.bring_online(1));
        });
        world.store(1, 1);
        world.flush(0, 1);
        // If it was not, it was offline, where it may keep what it has.
        if world.machine().signalled.load(Ordering::Relaxed) {
            assert_eq!(
                tlbs.cached(1, 1),
                1,
                "a CPU that goes offline counted as flushed before it was"
            );
        }
        leaving.join().unwrap();
        assert_eq!(
            tlbs.cached(1, 1),
            1,
            "a CPU came back online with a stale translation"
        );
    });
}

/// A CPU enters and leaves idle while it is targeted: it is skipped and flushes on its way back, or it is told.
#[test]
fn entering_and_leaving_idle_while_targeted() {
    explore(None, || {
        let world = World::new(1, 2);
        let tlbs = world.tlbs();
        let idle = thread::spawn(move || {
            // SAFETY: the thread uses no translation until it has left the mode.
            unsafe { world.domain().enter_lazy(&pinned(1)) };
            let _left = world.domain().leave_lazy(&pinned(1), tlbs);
        });
        world.store(1, 1);
        world.flush(0, 1);
        idle.join().unwrap();
        assert_eq!(
            tlbs.cached(1, 1),
            1,
            "a CPU left idle with a stale translation"
        );
    });
}
