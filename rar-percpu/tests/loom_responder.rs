//! One entry between its initiator and its responders: what each sees of the other (I4), and who
//! owns it (I11).
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
use rar_payload::{Globals, InvpcidScope, Operation};
use rar_percpu::fake::pinned;
use rar_percpu::{Posted, SoftwareCpu};

use models::{World, explore};

/// The one target.
const TARGET: u32 = 0;

fn world() -> World {
    let world = World::new(1);
    core::mem::forget(world.bring_online(TARGET));
    world
}

fn send(world: World, pcid: u16) -> Posted<'static, 1> {
    world.post(1, pcid, &[TARGET]).unwrap()
}

/// Looks a few times and lets the others run in between: loom does not try every order of loads by
/// itself.
fn succeeds_soon(posted: &mut Posted<'_, 1>) -> bool {
    (0..POLLS).any(|_| {
        thread::yield_now();
        posted.look()
    })
}

/// How often the initiator looks; loom needs a bound.
const POLLS: u32 = 2;

/// Who finds a byte PENDING finds the payload that was written before it (I4).
#[test]
fn payload_visible_before_pending() {
    explore(None, || {
        let world = world();
        let target = thread::spawn(move || {
            let served = world.serve(TARGET);
            assert_eq!(served.failed, 0, "the payload is visible before PENDING");
            if served.succeeded == 1 {
                assert!(
                    world.flushed(TARGET, 1),
                    "the payload is visible before PENDING"
                );
            }
        });
        core::mem::forget(send(world, 1));
        target.join().unwrap();
    });
}

/// Success means flushed: who sees the byte final sees what the flush did.
#[test]
fn the_flush_is_before_the_final_byte() {
    explore(None, || {
        let world = world();
        let mut posted = send(world, 1);
        let target = thread::spawn(move || {
            let _served = world.serve(TARGET);
        });
        // A thread of its own, after the target's: loom tries first what it would not come to by
        // reordering loads.
        let initiator = thread::spawn(move || {
            if posted.look() {
                assert!(world.flushed(TARGET, 1), "success means flushed");
            }
            posted
        });
        target.join().unwrap();
        let mut posted = initiator.join().unwrap();
        assert!(posted.look() && world.flushed(TARGET, 1));
    });
}

/// A responder is interrupted and its handler responds too (I11): no entry is completed by one who
/// does not own it.
#[test]
fn nested_responders() {
    explore(None, || {
        let world = world();
        let mut posted = send(world, 1);
        let serve = move || {
            let _served = world.serve(TARGET);
        };
        let outer = thread::spawn(serve);
        let nested = thread::spawn(serve);
        let second = succeeds_soon(&mut posted);
        if second {
            assert!(world.flushed(TARGET, 1), "a nested responder lost a flush");
            drop(posted);
            posted = send(world, 2);
        }
        outer.join().unwrap();
        nested.join().unwrap();
        if posted.look() {
            assert!(
                world.flushed(TARGET, 1 + u16::from(second)),
                "a nested responder lost a flush"
            );
        }
    });
}

/// A handler takes its CPU offline and online again, as a stop of all CPUs does, while the code it
/// interrupted carries out an entry. The entry is ended on the way up, and its slot serves another
/// flush when that code goes on.
#[test]
fn offline_and_online_inside_a_responder() {
    static ARMED_AGAIN: AtomicBool = AtomicBool::new(false);
    explore(None, || {
        let world = World::new(1);
        let target = world.bring_online(TARGET);
        let mut posted = send(world, 1);
        world.interrupt(TARGET, move || {
            // SAFETY: nothing here uses a translation.
            unsafe { target.take_offline(&pinned(TARGET), world.tlb) }.unwrap();
            let again = SoftwareCpu::bring_online(world.domain, &pinned(TARGET), world.tlb);
            core::mem::forget(again.unwrap());
        });
        let interrupted = thread::spawn(move || {
            let _served = world.serve(TARGET);
        });
        let second = succeeds_soon(&mut posted);
        if second {
            drop(posted);
            posted = send(world, 2);
            ARMED_AGAIN.store(true, Ordering::Relaxed);
        }
        interrupted.join().unwrap();
        if posted.look() && second {
            assert!(
                world.flushed(TARGET, 2),
                "an entry was finished by its former responder"
            );
        }
    });
    assert!(
        ARMED_AGAIN.load(Ordering::Relaxed),
        "never was the slot armed again"
    );
}

/// Two entries are answered by one flush, and a handler that interrupts the responder responds,
/// too. The flush answers what was taken before it began: an entry that its initiator armed in one
/// of the slots meanwhile waits for its own.
#[test]
fn one_flush_for_many_versus_an_entry_armed_anew() {
    static TOGETHER: AtomicBool = AtomicBool::new(false);
    static ARMED_AGAIN: AtomicBool = AtomicBool::new(false);
    explore(3, || {
        let world = World::new(2);
        core::mem::forget(world.bring_online(TARGET));
        let send = move |space: usize| {
            world.tlb.tables[space].store(1, loom::sync::atomic::Ordering::Relaxed);
            let all = Operation::Invpcid(InvpcidScope::AllContexts(Globals::Exclude));
            world.post_operation(1, all, &[TARGET]).unwrap()
        };
        let mut many = [send(0), send(0)];
        let outer = thread::spawn(move || world.serve(TARGET).succeeded);
        let nested = thread::spawn(move || world.serve(TARGET).succeeded);
        let mut next = None;
        if many.iter_mut().all(succeeds_soon) {
            assert!(
                world.cached(TARGET, 0),
                "an entry was answered by a flush before it"
            );
            drop(many);
            next = Some(send(1));
            ARMED_AGAIN.store(true, Ordering::Relaxed);
        }
        let answered = [outer, nested].map(|responder| responder.join().unwrap());
        if answered.contains(&2) {
            TOGETHER.store(true, Ordering::Relaxed);
        }
        if next.is_some_and(|mut next| next.look()) {
            assert!(
                world.cached(TARGET, 1),
                "an entry was answered by a flush before it"
            );
        }
    });
    assert!(
        TOGETHER.load(Ordering::Relaxed) && ARMED_AGAIN.load(Ordering::Relaxed),
        "never was a slot armed again at that moment"
    );
}
