//! Flush generations: the way that uses no slot.
#![cfg(rar_loom)]
#![expect(
    unsafe_code,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "models play the kernel and the hardware"
)]

mod models;
#[path = "models/two_initiators.rs"]
mod two_initiators;
#[path = "models/unit.rs"]
mod unit;

use core::sync::atomic::{AtomicBool, Ordering};
use core::time::Duration;

use loom::thread;
use rar_percpu::fake::pinned;
use rar_percpu::{CpuId, CpuSet};
use rar_shootdown::AllOnline;

use models::{World, explore, policy, request};

/// Two initiators ask one target at once: a count that one of them waits for never runs ahead of
/// the flush it stands for.
#[test]
fn two_initiators_one_generation() {
    two_initiators::flush_one_target(0, 4, "a count ran ahead of its flush");
}

/// A unit gets to its byte late, at any moment while the fallback is asked for and served, and
/// while the next flush goes on. Whichever answers, `Ok` means flushed, and no other flush has the
/// slot before the unit has let go of it.
#[test]
fn fallback_generation_and_hardware_both_answer() {
    static BOTH_ANSWERED: AtomicBool = AtomicBool::new(false);
    let registers = unit::registers();
    // Short, so that loom comes to every order of what follows.
    let mut policy = policy();
    policy.answer_timeout = Duration::from_nanos(1);
    policy.fallback_timeout = Duration::from_nanos(2);
    explore(3, move || {
        let world = World::with_policy(1, 1, policy);
        core::mem::forget(unit::bring_online(world, 1, registers));
        let (machine, shootdown) = (world.machine(), world.shootdown);
        machine.hears_signals.store(false, Ordering::Relaxed);
        machine.hears_interrupts.store(false, Ordering::Relaxed);
        let hardware = thread::spawn(move || unit::scan(world, 1));
        let handler = thread::spawn(move || {
            world.domain().complete_generation(&pinned(1), world.tlbs());
        });
        // Spawned last: loom tries first what it would not come to by reordering loads.
        let initiator = thread::spawn(move || {
            let cpu = pinned(0);
            world.store(1, 1);
            let is_ok = shootdown.flush(&cpu, &[request(1)], &AllOnline).is_ok();
            if is_ok {
                let cached = world.tlbs().cached(1, 1);
                assert_eq!(cached, 1, "Ok without a flush");
            }
            let (_, quarantined) = world.domain().free_and_quarantined_slots();
            // The next one, by somebody who looked before the CPU was demoted.
            world.store(2, 1);
            let operations = request(2).operations();
            let operations: Vec<_> = operations.into_iter().collect();
            let targets = CpuSet::of([CpuId::new(1)]).unwrap();
            if let Some(claimed) = world.domain().claim(&cpu, 1) {
                let mut next = claimed.post(&operations, &targets).unwrap();
                if next.look() {
                    let cached = world.tlbs().cached(1, 2);
                    assert_eq!(cached, 1, "Ok without a flush");
                }
            }
            is_ok && quarantined == 1
        });
        hardware.join().unwrap();
        handler.join().unwrap();
        let late_unit = initiator.join().unwrap();
        world.domain().reclaim_slots();
        if late_unit && world.domain().free_and_quarantined_slots().1 == 0 {
            BOTH_ANSWERED.store(true, Ordering::Relaxed);
        }
    });
    assert!(
        BOTH_ANSWERED.load(Ordering::Relaxed),
        "never did both answer"
    );
}
