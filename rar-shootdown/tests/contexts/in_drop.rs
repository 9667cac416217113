//! Calls in `Drop`, where no code can handle an error.

use std::sync::Arc;

use rar_percpu::fake::pinned;
use rar_shootdown::{AllOnline, Event};

use crate::bed::{Kernel, Online, come_up, kernel, take_offline};
use crate::calls::Flight;
use crate::world::{Kind, Takes, Unit, cpu_id, space};

/// A mapping that is flushed when it is dropped, as a kernel's would be.
struct Mapping(&'static Kernel, Arc<()>);

impl Drop for Mapping {
    fn drop(&mut self) {
        let cpu = pinned(0);
        let frame = self.1.clone();
        let pending = self.0.start(&cpu, &[space(1)], &AllOnline, frame);
        drop(pending.wait_or_leak(&cpu));
    }
}

#[test]
fn a_flush_in_a_drop_frees_at_its_end_or_leaks_and_says_so() {
    let (kernel, _online) = kernel(&[Kind::Microcode; 2]);
    let (world, frame) = (&kernel.machine().world, Arc::new(()));
    let before = world.tlb.of(1).len();
    drop(Mapping(kernel, frame.clone()));
    crate::bed::assert_flushed(kernel, 1, before, 1, "in a drop");
    assert_eq!(Arc::strong_count(&frame), 1);
    world.set_unit(1, Unit::Deaf);
    world.set_takes(1, Takes::Nothing);
    let looks = world.looks();
    drop(Mapping(kernel, frame.clone()));
    assert!(world.looks() - looks < 1_000);
    assert_eq!(Arc::strong_count(&frame), 2);
    let leaked = |event: &Event| matches!(event, Event::Leaked(_));
    assert_eq!(world.count_events(leaked), 1);
}

/// Everything else that a kernel may do in a drop.
struct Rest {
    kernel: &'static Kernel,
    flights: Vec<Flight>,
    online: Option<Online>,
}

impl Drop for Rest {
    fn drop(&mut self) {
        let (kernel, domain, cpu) = (self.kernel, self.kernel.domain(), pinned(0));
        let mut polled = self.flights.pop().unwrap();
        assert!(polled.poll(&cpu).is_pending());
        self.flights.push(polled);
        let _served = kernel.serve(&cpu);
        // SAFETY: a host; the CPU uses no translation.
        unsafe { domain.enter_lazy(&cpu) };
        let _left = domain.leave_lazy(&cpu, kernel.tlb());
        take_offline(kernel, 0, self.online.take().unwrap());
        std::mem::forget(come_up(kernel, 0, Kind::Microcode));
        // SAFETY: it executes nothing any more, and the test does not run its unit.
        unsafe { domain.declare_dead(cpu_id(1)) };
    }
}

#[test]
fn the_other_calls_end_in_a_drop() {
    let (kernel, mut online) = kernel(&[Kind::Microcode; 2]);
    let world = &kernel.machine().world;
    world.set_unit(1, Unit::Deaf);
    let frame = Arc::new(());
    let start = || kernel.start(&pinned(0), &[space(1)], &AllOnline, frame.clone());
    let flights = vec![start(), start()];
    let online = Some(online.remove(0));
    drop(Rest {
        kernel,
        flights,
        online,
    });
    assert_eq!(
        Arc::strong_count(&frame),
        3,
        "flights that are dropped leak"
    );
    assert!(kernel.domain().is_online(cpu_id(0)));
    assert!(!kernel.domain().is_online(cpu_id(1)));
    kernel.domain().reclaim_slots();
    assert_eq!(kernel.domain().free_and_quarantined_slots(), (64, 0));
}
