//! Calls in a panic: other CPUs were stopped and answer nothing, and this CPU may hold anything.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use rar_percpu::fake::pinned;
use rar_shootdown::{AllOnline, FlushError};

use crate::bed::{Kernel, come_up, kernel, take_offline};
use crate::world::{Kind, Takes, Unit, cpu_id, space};

/// More than all deadlines of a flush, in looks at the clock.
const DEADLINE: u64 = 1_000;

fn stop_all_but_0(kernel: &Kernel) {
    for cpu in 1..4 {
        kernel.machine().world.set_unit(cpu, Unit::Deaf);
        kernel.machine().world.set_takes(cpu, Takes::Nothing);
    }
}

#[test]
fn with_all_other_cpus_stopped_a_flush_is_an_error_at_its_deadline() {
    for kind in [Kind::Microcode, Kind::Software] {
        let (kernel, _online) = kernel(&[kind; 4]);
        stop_all_but_0(kernel);
        let (world, cpu, frame) = (&kernel.machine().world, pinned(0), Arc::new(()));
        // More flushes than there are slots.
        for _ in 0..100 {
            let looks = world.looks();
            let error = kernel.flush(&cpu, &[space(1)], &AllOnline).unwrap_err();
            assert!(matches!(error, FlushError::NoAnswer { late: 3, .. }));
            assert!(world.looks() - looks < DEADLINE);
        }
        let pending = kernel.start(&cpu, &[space(1)], &AllOnline, frame.clone());
        let late = pending.wait(&cpu).unwrap_err();
        let mut pending = late.pending;
        let looks = world.looks();
        while pending.poll(&cpu).is_pending() {}
        assert!(world.looks() - looks < DEADLINE);
        assert!(!pending.is_done());
        drop(pending);
        assert_eq!(Arc::strong_count(&frame), 2, "no frame is freed");
    }
}

#[test]
fn with_all_other_cpus_stopped_the_other_calls_wait_for_no_cpu() {
    for kind in [Kind::Microcode, Kind::Software] {
        let (kernel, mut online) = kernel(&[kind; 4]);
        stop_all_but_0(kernel);
        let (world, domain, cpu) = (&kernel.machine().world, kernel.domain(), pinned(0));
        let flight = kernel.start(&cpu, &[space(1)], &AllOnline, ());
        let (looks, sent) = (world.looks(), world.sent());
        let _served = kernel.serve(&cpu);
        drop(flight);
        // SAFETY: a host; the CPU uses no translation.
        unsafe { domain.enter_lazy(&cpu) };
        let _left = domain.leave_lazy(&cpu, kernel.tlb());
        take_offline(kernel, 0, online.remove(0));
        let _back = come_up(kernel, 0, kind);
        assert_eq!((world.looks(), world.sent()), (looks, sent));

        // The way out of all errors: those that were stopped, with their units disabled.
        for stopped in 1..4 {
            // SAFETY: it executes nothing any more, and the test does not run its unit.
            unsafe { domain.declare_dead(cpu_id(stopped)) };
        }
        kernel.flush(&cpu, &[space(1)], &AllOnline).unwrap();
        assert_eq!((world.looks(), world.sent()), (looks, sent));
    }
}

#[test]
fn a_panic_that_unwinds_over_a_flight_frees_nothing_and_keeps_no_slot() {
    let (kernel, _online) = kernel(&[Kind::Microcode; 4]);
    stop_all_but_0(kernel);
    let (domain, frame) = (kernel.domain(), Arc::new(()));
    let unwound = catch_unwind(AssertUnwindSafe(|| {
        let _flight = kernel.start(&pinned(0), &[space(1)], &AllOnline, frame.clone());
        std::panic::resume_unwind(Box::new("the kernel's"));
    }));
    assert!(unwound.is_err());
    assert_eq!(Arc::strong_count(&frame), 2);
    assert!(!domain.holds_slots(cpu_id(0)));
    assert_eq!(domain.free_and_quarantined_slots(), (63, 1));
}
