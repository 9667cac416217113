//! Calls with interrupts disabled: on the caller, and on its targets.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use rar_percpu::fake::pinned;
use rar_shootdown::{AllOnline, FlushError};

use crate::bed::{assert_flushed, kernel};
use crate::calls::{CALLER, Call, Scene};
use crate::world::{Kind, Takes, Unit, space};

/// Neither takes an interrupt, so that each waits until the other serves in its own wait.
#[test]
fn two_cpus_with_interrupts_off_flush_each_other() {
    let (kernel, _online) = kernel(&[Kind::Software; 2]);
    let world = &kernel.machine().world;
    for cpu in 0..2 {
        world.set_takes(cpu, Takes::Nothing);
    }
    // The clock is slow: the other may be run late, and then it serves.
    world.set_clock(|look| {
        thread::yield_now();
        look / 10_000
    });
    const FLUSHES: usize = 200;
    let ended = AtomicUsize::new(0);
    thread::scope(|scope| {
        for cpu in 0..2 {
            let ended = &ended;
            scope.spawn(move || {
                let me = pinned(cpu);
                let outcomes = [(); FLUSHES].map(|()| kernel.flush(&me, &[space(1)], &AllOnline));
                ended.fetch_add(1, Ordering::AcqRel);
                while ended.load(Ordering::Acquire) < 2 {
                    let _served = kernel.serve(&me);
                    thread::yield_now();
                }
                assert_eq!(outcomes, [Ok(()); FLUSHES]);
            });
        }
    });
    for cpu in 0..2 {
        assert!(
            world.tlb.of(cpu).len() >= 2 * FLUSHES,
            "its own and the other's"
        );
    }
    assert_eq!(world.sent(), [2 * FLUSHES, 0, 0, 0], "no fallback");
}

#[test]
fn with_interrupts_off_on_all_cpus_each_call_ends() {
    for kind in [Kind::Microcode, Kind::Software] {
        for call in Call::OF_CODE {
            let scene = Scene::new(kind, call);
            let world = &scene.kernel.machine().world;
            world.set_takes(CALLER, Takes::Nothing);
            for target in 0..CALLER {
                // Where software answers, an NMI is what reaches them.
                world.set_takes(target, Takes::Nmis);
            }
            scene.call(call, 2);
            scene.goes_on(&format!("{kind:?}: {call:?}"));
        }
    }
}

#[test]
fn a_target_with_interrupts_off_that_serves_nothing_is_an_error_at_the_deadline() {
    let (kernel, _online) = kernel(&[Kind::Software; 2]);
    let world = &kernel.machine().world;
    world.set_takes(1, Takes::Nothing);
    world.set_unit(1, Unit::Deaf);
    let cpu = pinned(0);
    let late = kernel.start(&cpu, &[space(1)], &AllOnline, ()).wait(&cpu);
    let late = late.unwrap_err();
    assert!(matches!(late.error, FlushError::NoAnswer { late: 1, .. }));
    assert!(world.looks() < 1_000, "{} looks", world.looks());
    world.set_takes(1, Takes::Interrupts);
    let before = world.tlb.of(1).len();
    late.pending.wait(&cpu).unwrap();
    assert_flushed(kernel, 1, before, 1, "it was asked again");
}
