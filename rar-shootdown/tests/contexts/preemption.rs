//! Calls with preemption enabled: what needs a CPU needs a guard, and what needs none moves freely.

use std::sync::Arc;
use std::thread;

use rar_percpu::fake::pinned;
use rar_shootdown::AllOnline;

use crate::bed::kernel;
use crate::world::{Kind, Unit, cpu_id, space};

/// A flight borrows no CPU: code that is moved between CPUs keeps it, looks at it, drops it.
#[test]
fn a_flight_is_kept_and_dropped_with_preemption_on() {
    let (kernel, _online) = kernel(&[Kind::Microcode; 3]);
    let (domain, world, frame) = (kernel.domain(), &kernel.machine().world, Arc::new(()));
    world.set_unit(2, Unit::Later);
    let start = || kernel.start(&pinned(0), &[space(1)], &AllOnline, frame.clone());
    let (kept, dropped) = (start(), start());
    let elsewhere = thread::spawn(move || {
        assert!(!kept.is_done());
        drop(dropped);
        // SAFETY: nothing executes as CPU 2 any more, and the test does not run its unit.
        unsafe { domain.declare_dead(cpu_id(2)) };
        assert!(kept.is_done());
        kept
    });
    let kept = elsewhere.join().unwrap();
    assert_eq!(Arc::strong_count(&frame), 3);
    drop(kept.try_wait(&pinned(1)).unwrap());
    assert_eq!(Arc::strong_count(&frame), 2, "the dropped one leaks");
    domain.reclaim_slots();
    assert_eq!(domain.free_and_quarantined_slots(), (64, 0));
}
