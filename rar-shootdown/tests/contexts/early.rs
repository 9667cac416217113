//! Calls before other CPUs are up, and before this CPU is.

use std::sync::Arc;

use rar_percpu::fake::pinned;
use rar_percpu::{LifeCycleError, SoftwareCpu};
use rar_shootdown::AllOnline;

use crate::bed::{assert_flushed, bring_online, come_up, kernel, register, take_offline};
use crate::world::{Kind, cpu_id, space};

#[test]
fn before_other_cpus_are_up_each_call_ends_without_a_message() {
    for kind in [Kind::Microcode, Kind::Software] {
        let (kernel, mut online) = kernel(&[kind]);
        // One that is registered and not up is no target, and neither is one that never comes.
        register(kernel, 1);
        let (domain, cpu) = (kernel.domain(), pinned(0));
        let before = kernel.machine().world.tlb.of(0).len();
        kernel.flush(&cpu, &[space(1)], &AllOnline).unwrap();
        assert_flushed(kernel, 0, before, 1, "the only CPU");
        let frame = Arc::new(());
        let start = || kernel.start(&cpu, &[space(1)], &AllOnline, frame.clone());
        drop(start().wait(&cpu).unwrap());
        let mut pending = start();
        assert!(pending.is_done() && pending.poll(&cpu).is_ready());
        drop(pending.try_wait(&cpu).unwrap());
        assert_eq!(Arc::strong_count(&frame), 1);
        drop(start());
        assert_eq!(Arc::strong_count(&frame), 2, "dropped, it is leaked");
        assert_eq!(kernel.serve(&cpu), rar_percpu::Served::default());
        // SAFETY: a host; the CPU uses no translation.
        unsafe { domain.enter_lazy(&cpu) };
        assert!(domain.leave_lazy(&cpu, kernel.tlb()).was_lazy);
        // SAFETY: CPU 1 was never up.
        unsafe { domain.declare_dead(cpu_id(1)) };
        take_offline(kernel, 0, online.remove(0));
        let _back = come_up(kernel, 0, kind);
        assert_eq!(kernel.machine().world.sent(), [0; 4]);
    }
}

#[test]
fn before_this_cpu_is_online_it_flushes_and_waits_and_is_no_target() {
    for kind in [Kind::Microcode, Kind::Software] {
        for is_registered in [false, true] {
            let (kernel, _online) = kernel(&[kind; 2]);
            let (domain, cpu) = (kernel.domain(), pinned(2));
            if is_registered {
                register(kernel, 2);
            }
            let world = &kernel.machine().world;
            world.tlb.clear();
            kernel.flush(&cpu, &[space(1)], &AllOnline).unwrap();
            for all in 0..3 {
                assert_flushed(kernel, all, 0, 1, "itself, too");
            }
            let pending = kernel.start(&cpu, &[space(2)], &AllOnline, ());
            assert!(pending.is_done());
            pending.wait(&cpu).unwrap();
            drop(kernel.start(&cpu, &[space(3)], &AllOnline, ()));
            assert_eq!(kernel.serve(&cpu), rar_percpu::Served::default());
            world.tlb.clear();
            kernel.flush(&pinned(0), &[space(4)], &AllOnline).unwrap();
            assert_eq!(world.tlb.of(2), [], "it is no target");
            domain.reclaim_slots();
            assert_eq!(domain.free_and_quarantined_slots(), (64, 0));
        }
    }
}

/// What was skipped before is made up for by the flush of the way up.
#[test]
fn lazy_mode_before_this_cpu_is_online_ends_when_it_comes_online() {
    let (kernel, _online) = kernel(&[Kind::Software; 2]);
    let (domain, cpu) = (kernel.domain(), pinned(2));
    // SAFETY: a host; the CPU uses no translation.
    unsafe { domain.enter_lazy(&cpu) };
    assert!(
        !domain.leave_lazy(&cpu, kernel.tlb()).was_lazy,
        "no number yet"
    );
    register(kernel, 2);
    // SAFETY: as above.
    unsafe { domain.enter_lazy(&cpu) };
    let _online = come_up(kernel, 2, Kind::Software);
    let before = kernel.machine().world.tlb.of(2).len();
    kernel.flush(&pinned(0), &[space(4)], &AllOnline).unwrap();
    assert_flushed(kernel, 2, before, 4, "it is not skipped");
}

#[test]
fn a_cpu_comes_online_only_after_it_was_registered_and_only_once() {
    let (kernel, _online) = kernel(&[Kind::Software]);
    let (domain, cpu) = (kernel.domain(), pinned(1));
    let early = SoftwareCpu::bring_online(domain, &cpu, kernel.tlb());
    let early = early.map(drop).unwrap_err();
    assert_eq!(early, LifeCycleError::NotRegistered(cpu.id()));
    let _online = bring_online(kernel, 1, Kind::Software);
    let twice = SoftwareCpu::bring_online(domain, &cpu, kernel.tlb());
    assert_eq!(
        twice.map(drop).unwrap_err(),
        LifeCycleError::Taken(cpu.id())
    );
}

/// Nothing of a CPU that is not up is waited for.
#[test]
fn a_cpu_that_is_not_up_is_declared_dead_without_harm() {
    let (kernel, _online) = kernel(&[Kind::Microcode; 2]);
    let domain = kernel.domain();
    // SAFETY: CPU 5 was never registered.
    unsafe { domain.declare_dead(cpu_id(5)) };
    register(kernel, 2);
    // SAFETY: CPU 2 was never up.
    unsafe { domain.declare_dead(cpu_id(2)) };
    kernel.flush(&pinned(0), &[space(1)], &AllOnline).unwrap();
    let _online = bring_online(kernel, 2, Kind::Microcode);
    let before = kernel.machine().world.tlb.of(2).len();
    kernel.flush(&pinned(0), &[space(1)], &AllOnline).unwrap();
    assert_flushed(kernel, 2, before, 1, "its number is used again");
}
