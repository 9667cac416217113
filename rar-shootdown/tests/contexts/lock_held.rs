//! Calls with a lock held that a target wants, which spins for it with interrupts disabled.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use rar_percpu::fake::pinned;
use rar_shootdown::{AllOnline, FlushError};

use crate::bed::{assert_flushed, come_up, kernel, take_offline};
use crate::calls::Call;
use crate::world::{Kind, Takes, Unit, cpu_id, space};

/// The target serves nothing while it spins, and no NMI reaches it: the flush cannot end before the
/// lock is released, and it does not wait for that.
#[test]
fn a_flush_with_a_lock_held_is_an_error_at_its_deadline_and_ends_after_the_release() {
    let (kernel, _online) = kernel(&[Kind::Software; 2]);
    let world = &kernel.machine().world;
    world.set_takes(1, Takes::Nothing);
    let (lock, wants) = (Mutex::new(()), AtomicBool::new(false));
    thread::scope(|scope| {
        let held = lock.lock().unwrap();
        scope.spawn(|| {
            wants.store(true, Ordering::Release);
            // Interrupts are disabled on the target until it has had the lock.
            drop(lock.lock().unwrap());
            world.set_takes(1, Takes::Interrupts);
            let _served = kernel.serve(&pinned(1));
        });
        while !wants.load(Ordering::Acquire) {
            thread::yield_now();
        }
        let cpu = pinned(0);
        let pending = kernel.start(&cpu, &[space(1)], &AllOnline, ());
        let late = pending.wait(&cpu).unwrap_err();
        assert!(matches!(late.error, FlushError::NoAnswer { late: 1, .. }));
        let before = world.tlb.of(1).len();
        drop(held);
        let mut pending = late.pending;
        // The target takes interrupts again as soon as it is run.
        while let Err(late) = pending.wait(&cpu) {
            thread::yield_now();
            pending = late.pending;
        }
        assert_flushed(kernel, 1, before, 1, "after the release");
    });
}

/// Where microcode answers whatever IF is, no lock is in the way.
#[test]
fn a_flush_with_a_lock_held_ends_where_units_answer_with_interrupts_off() {
    let (kernel, _online) = kernel(&[Kind::Microcode; 2]);
    let world = &kernel.machine().world;
    world.set_takes(1, Takes::Nothing);
    let before = world.tlb.of(1).len();
    kernel.flush(&pinned(0), &[space(1)], &AllOnline).unwrap();
    assert_flushed(kernel, 1, before, 1, "by its unit");
    assert_eq!(world.sent(), [1, 0, 0, 0]);
}

#[test]
fn the_other_calls_with_a_lock_held_wait_for_no_cpu() {
    for kind in [Kind::Microcode, Kind::Software] {
        let (kernel, mut online) = kernel(&[kind; 2]);
        let world = &kernel.machine().world;
        world.set_takes(1, Takes::Nothing);
        world.set_unit(1, Unit::Deaf);
        let (domain, cpu) = (kernel.domain(), pinned(0));
        let mut flight = kernel.start(&cpu, &[space(1)], &AllOnline, ());
        for call in Call::OF_CODE {
            let (looks, sent) = (world.looks(), world.sent());
            match call {
                Call::Poll => assert!(flight.poll(&cpu).is_pending() && !flight.is_done()),
                Call::Serve => drop(kernel.serve(&cpu)),
                Call::Drop => drop(kernel.start(&cpu, &[], &AllOnline, ())),
                Call::Lazy => {
                    // SAFETY: a host; the CPU uses no translation.
                    unsafe { domain.enter_lazy(&cpu) };
                    let _left = domain.leave_lazy(&cpu, kernel.tlb());
                }
                Call::TakeOffline => {
                    take_offline(kernel, 0, online.remove(0));
                    online.push(come_up(kernel, 0, kind));
                }
                // SAFETY: it executes nothing any more, and the test does not run its unit.
                Call::DeclareDead => unsafe { domain.declare_dead(cpu_id(1)) },
                _ => continue,
            }
            assert!(world.looks() <= looks + 1, "{call:?} waited");
            assert_eq!(world.sent(), sent, "{call:?} asked a CPU");
        }
        assert!(flight.is_done(), "its target is dead");
        flight.wait(&cpu).unwrap();
    }
}
