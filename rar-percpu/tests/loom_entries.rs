//! Who owns the entries of a flush whose slot another takes over (I2, I6, I16).
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
use rar_percpu::fake::pinned;
use rar_percpu::{Answer, CpuId, Posted, Progress};

use models::{REFUSED, World, explore, keep};

/// A slot that its target has answered is taken over, while its owner looks and settles and posts
/// again.
#[test]
fn taken_over_when_answered_versus_its_owner() {
    static TAKEN_OVER: AtomicBool = AtomicBool::new(false);
    explore(3, || {
        let world = World::new(1);
        core::mem::forget(world.bring_online(0));
        let is_held = keep(AtomicBool::new(false));
        let owner = thread::spawn(move || {
            for pcid in [1, 2] {
                if let Some(mut posted) = world.post(1, pcid, &[0]) {
                    is_held.store(true, Ordering::Relaxed);
                    let _served = world.serve(0);
                    if posted.look_on() == Progress::Succeeded || posted.look() {
                        assert!(world.flushed(0, pcid), "a flush was lost to a take-over");
                    }
                    is_held.store(false, Ordering::Relaxed);
                }
            }
        });
        let another = thread::spawn(move || {
            if let Some(mut posted) = world.post(2, 3, &[0]) {
                if is_held.load(Ordering::Relaxed) {
                    TAKEN_OVER.store(true, Ordering::Relaxed);
                }
                let _served = world.serve(0);
                if posted.look_on() == Progress::Succeeded || posted.look() {
                    assert!(world.flushed(0, 3), "a flush was lost to a take-over");
                }
            }
        });
        owner.join().unwrap();
        another.join().unwrap();
    });
    assert!(
        TAKEN_OVER.load(Ordering::Relaxed),
        "never was a slot taken over"
    );
}

/// A refused entry is its owner's until the owner has seen it: it counts as not done.
#[test]
fn a_refused_entry_is_not_taken_over() {
    static REFUSED_MEANWHILE: AtomicBool = AtomicBool::new(false);
    explore(None, || {
        let world = World::new(1);
        core::mem::forget(world.bring_online(0));
        let mut posted = world.post(1, REFUSED, &[0]).unwrap();
        let target = thread::spawn(move || {
            let _served = world.serve(0);
        });
        let another = thread::spawn(move || {
            let claimed = world.domain.claim(&pinned(2), 1);
            claimed.is_some()
        });
        let is_done = |posted: &mut Posted<'_, 1>| {
            posted.look() || posted.answer(CpuId::new(0)) == Answer::Success
        };
        assert!(!is_done(&mut posted), "a refused entry counts as done");
        target.join().unwrap();
        if matches!(posted.answer(CpuId::new(0)), Answer::Failure(_)) {
            REFUSED_MEANWHILE.store(true, Ordering::Relaxed);
        }
        another.join().unwrap();
        assert!(!is_done(&mut posted), "a refused entry counts as done");
    });
    assert!(
        REFUSED_MEANWHILE.load(Ordering::Relaxed),
        "never was the entry refused"
    );
}

/// An owner forgets what its target refused and gives the slot back, while another takes it and is
/// refused, too: no owner forgets another's refusal.
#[test]
fn forgotten_refusal_versus_the_next_owner() {
    static REFUSED_AGAIN: AtomicBool = AtomicBool::new(false);
    explore(3, || {
        let world = World::new(1);
        (0..2).for_each(|cpu| core::mem::forget(world.bring_online(cpu)));
        let mut refused = world.post(2, REFUSED, &[0]).unwrap();
        let _served = world.serve(0);
        assert!(!refused.look(), "a refused entry counts as done");
        let owner = thread::spawn(move || drop(refused));
        let another = thread::spawn(move || {
            let mut posted = world.post(3, REFUSED, &[1])?;
            let _served = world.serve(1);
            assert!(!posted.look(), "a refused entry counts as done");
            REFUSED_AGAIN.store(true, Ordering::Relaxed);
            Some(posted)
        });
        owner.join().unwrap();
        if let Some(mut posted) = another.join().unwrap() {
            assert!(!posted.look(), "a refused entry counts as done");
        }
    });
    assert!(
        REFUSED_AGAIN.load(Ordering::Relaxed),
        "never was the next entry refused"
    );
}

/// No initiator waits any more for a flush of two CPUs. Its slot is taken over when both have
/// answered, and not before.
#[test]
fn forgotten_flight() {
    static TAKEN_OVER: AtomicBool = AtomicBool::new(false);
    explore(3, || {
        let world = World::new(1);
        (0..2).for_each(|cpu| core::mem::forget(world.bring_online(cpu)));
        core::mem::forget(world.post(2, 1, &[0, 1]).unwrap());
        let serve = move |cpu| {
            thread::spawn(move || {
                let _served = world.serve(cpu);
            })
        };
        let targets = [serve(0), serve(1)];
        let next = thread::spawn(move || world.post(3, 2, &[0, 1]));
        for target in targets {
            target.join().unwrap();
        }
        let next = next.join().unwrap();
        for cpu in 0..2 {
            let _served = world.serve(cpu);
            assert!(
                world.flushed(cpu, 1),
                "the slot of a forgotten flush was taken over too early"
            );
        }
        if let Some(mut next) = next {
            TAKEN_OVER.store(true, Ordering::Relaxed);
            let is_flushed = next.look() && world.flushed(0, 2) && world.flushed(1, 2);
            assert!(
                is_flushed,
                "the slot of a forgotten flush was taken over too early"
            );
        }
    });
    assert!(
        TAKEN_OVER.load(Ordering::Relaxed),
        "never was a slot taken over"
    );
}
