//! Who is a target: CPUs that come, go, are lazy and come back, against a flush that looks for
//! targets (I10).
#![cfg(rar_loom)]
#![expect(
    unsafe_code,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "models play the kernel and the hardware"
)]

mod models;

use core::sync::atomic::{AtomicBool, Ordering};

use loom::thread;
use rar_payload::{Pcid, Request, TableOwner};
use rar_percpu::CpuId;
use rar_percpu::fake::pinned;
use rar_shootdown::AllOnline;

use models::{World, explore, keep, request};

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

/// A CPU leaves and comes back while it is targeted, and hears no signal: what ends the wait for it
/// is a flush, and on its way back it flushes or is told.
#[test]
fn going_offline_while_targeted() {
    explore(2, || {
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
        // Spawned last: loom tries first what it would not come to by reordering loads.
        let initiator = thread::spawn(move || {
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
        });
        leaving.join().unwrap();
        initiator.join().unwrap();
        assert_eq!(
            tlbs.cached(1, 1),
            1,
            "a CPU came back online with a stale translation"
        );
    });
}

/// A CPU enters and leaves idle while it is targeted: it is skipped and flushes on its way back, or
/// it is told.
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

/// A CPU enters and leaves a guest while page tables are freed: it is never skipped for those.
#[test]
fn freed_tables_versus_a_guest() {
    static IN_GUEST: AtomicBool = AtomicBool::new(false);
    explore(None, || {
        let world = World::new(1, 2);
        let in_guest = keep(AtomicBool::new(false));
        let guest = thread::spawn(move || {
            // SAFETY: the thread uses no translation until it has left the guest.
            unsafe { world.domain().enter_guest(&pinned(1)) }.unwrap();
            in_guest.store(true, Ordering::Relaxed);
            let left = world.domain().leave_lazy(&pinned(1), world.tlbs());
            in_guest.store(false, Ordering::Relaxed);
            assert!(left.was_in_guest);
        });
        let initiator = thread::spawn(move || {
            let table = Request::TablesFreed(TableOwner::AddressSpace(Pcid::new(1).unwrap()));
            world.store(1, 1);
            if in_guest.load(Ordering::Relaxed) {
                IN_GUEST.store(true, Ordering::Relaxed);
            }
            world
                .shootdown
                .flush(&pinned(0), &[table], &AllOnline)
                .unwrap();
            assert_eq!(
                world.tlbs().cached(1, 1),
                1,
                "a CPU in a guest kept a freed table"
            );
        });
        guest.join().unwrap();
        initiator.join().unwrap();
    });
    assert!(
        IN_GUEST.load(Ordering::Relaxed),
        "never was the CPU in a guest"
    );
}

/// A CPU that hears nothing is declared dead while a flush waits for it, or is about to arm it: the
/// flush ends.
#[test]
fn declared_dead_while_targeted() {
    static WAS_TARGET: AtomicBool = AtomicBool::new(false);
    explore(2, || {
        let world = World::new(1, 2);
        let machine = world.machine();
        machine.hears_signals.store(false, Ordering::Relaxed);
        machine.hears_interrupts.store(false, Ordering::Relaxed);
        let kernel = thread::spawn(move || {
            // SAFETY: no thread plays the CPU any more.
            unsafe { world.domain().declare_dead(CpuId::new(1)) };
        });
        let cpu = pinned(0);
        let pending = world.shootdown.start(&cpu, &[request(1)], &AllOnline, ());
        if machine.signalled.load(Ordering::Relaxed) {
            WAS_TARGET.store(true, Ordering::Relaxed);
        }
        let late = pending.wait(&cpu).err();
        kernel.join().unwrap();
        if let Some(late) = late {
            let ended = late.pending.wait(&cpu).is_ok();
            assert!(ended, "a flush waits for a dead CPU");
        }
        let next = world.shootdown.flush(&cpu, &[request(1)], &AllOnline);
        assert!(next.is_ok(), "a flush waits for a dead CPU");
    });
    assert!(
        WAS_TARGET.load(Ordering::Relaxed),
        "never was the dead CPU a target"
    );
}
