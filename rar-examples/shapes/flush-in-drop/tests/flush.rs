//! CPUs with interrupts disabled that wait for each other's flushes and locks.
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use std::hint::spin_loop;
use std::sync::MutexGuard;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{scope, yield_now};

use rar_shape_flush_in_drop::flush::{AddressSpace, Flusher};
use rar_shape_flush_in_drop::machine::{
    LEAKED, SHOOTDOWN, bring_online, on_flush_interrupt, register_cpus,
};
use rar_shape_flush_in_drop::promises::disable_interrupts;
use rar_shape_hardware::fake::{on_cpu, power_on, while_idling};
use rar_shape_hardware::{
    CLOCK_STEP_AT_START, CPUS, Frame, PAGE, cached, read, set_clock_step, take_interrupt,
};
use rar_shootdown::rar_payload::Pcid;
use rar_shootdown::rar_percpu::CpuId;

const FIRST: u64 = 0x4000_0000;

fn machine() -> MutexGuard<'static, bool> {
    let machine = power_on(|| {
        register_cpus().unwrap();
        for cpu in (0..).take(CPUS) {
            let _stays_online = on_cpu(cpu, bring_online).unwrap();
        }
    });
    LEAKED.store(0, Ordering::Relaxed);
    machine
}

/// An address space that CPUs 0 and 1 use.
fn space() -> AddressSpace {
    let space = AddressSpace::default();
    for cpu in [0, 1] {
        space.users.insert(CpuId::new(cpu)).unwrap();
    }
    space
}

fn map(space: &AddressSpace, address: u64) -> u64 {
    let frame = Frame::allocate().unwrap();
    let number = frame.number();
    space.lock(&disable_interrupts()).map(address, frame);
    number
}

/// Reads on this CPU, with the lock held.
fn touch(space: &AddressSpace, address: u64) -> Option<u64> {
    read(&space.lock(&disable_interrupts()), Pcid::ZERO, address)
}

fn on_cpu_1(address: u64) -> Option<u64> {
    cached(1, Pcid::ZERO, address)
}

#[test]
fn frames_are_freed_only_after_the_flush_and_a_full_batch_flushes_at_once() {
    let _machine = machine();
    let space = space();
    let pages: Vec<_> = (0..40).map(|page| FIRST + page * PAGE).collect();
    let numbers: Vec<_> = pages.iter().map(|page| map(&space, *page)).collect();
    for (page, number) in pages.iter().zip(&numbers) {
        assert_eq!(on_cpu(1, || touch(&space, *page)), Some(*number));
    }
    // Positive control: CPU 1 keeps what the page table has lost.
    let guard = disable_interrupts();
    let frame = space.lock(&guard).unmap(FIRST).unwrap();
    assert_eq!(on_cpu(1, || touch(&space, FIRST)), Some(numbers[0]));
    assert!(!Frame::is_free(numbers[0]));

    while_idling(1, on_flush_interrupt, || {
        let mut flusher = Flusher::new(&space, &guard);
        flusher.queue(frame);
        drop(flusher);
        assert_eq!(on_cpu_1(FIRST), None);
        assert!(Frame::is_free(numbers[0]));
        space.unmap(&guard, FIRST, 40);
    });
    for (page, number) in pages.iter().zip(&numbers) {
        assert_eq!(on_cpu_1(*page), None);
        assert!(Frame::is_free(*number));
    }
    assert_eq!(LEAKED.load(Ordering::Relaxed), 0);
}

/// CPU 1 reads a page, and spins for the lock that CPU 0 holds while it unmaps and flushes that
/// page.
fn flush_while_cpu_1_wants_the_lock(serve: bool) -> (AddressSpace, u64) {
    let space = space();
    let number = map(&space, FIRST);
    let (has_read, is_over) = (AtomicBool::new(false), AtomicBool::new(false));
    let cpu_1 = || {
        assert_eq!(touch(&space, FIRST), Some(number));
        has_read.store(true, Ordering::Release);
        while serve && !is_over.load(Ordering::Acquire) {
            drop(space.lock(&disable_interrupts()));
            yield_now();
        }
    };
    scope(|threads| {
        let cpu_1 = threads.spawn(|| on_cpu(1, cpu_1));
        while !has_read.load(Ordering::Acquire) && !cpu_1.is_finished() {
            spin_loop();
        }
        let guard = disable_interrupts();
        let table = space.lock(&guard);
        let frame = table.unmap(FIRST).unwrap();
        assert_eq!(on_cpu_1(FIRST), Some(number), "positive control");
        let mut flusher = Flusher::new(&space, &guard);
        flusher.queue(frame);
        drop(flusher);
        is_over.store(true, Ordering::Release);
        drop(table);
        cpu_1.join().unwrap();
    });
    (space, number)
}

#[test]
fn a_cpu_that_spins_for_the_lock_serves_the_flush_of_its_holder() {
    let _machine = machine();
    // A lock that does not serve fails the test in seconds.
    set_clock_step(1_000);
    let (_space, number) = flush_while_cpu_1_wants_the_lock(true);
    set_clock_step(CLOCK_STEP_AT_START);
    assert_eq!(on_cpu_1(FIRST), None);
    assert!(Frame::is_free(number));
    assert_eq!(LEAKED.load(Ordering::Relaxed), 0);
}

#[test]
fn a_flush_that_does_not_end_leaks_its_frame_and_is_reported() {
    let _machine = machine();
    set_clock_step(1_000_000);
    let (_space, number) = flush_while_cpu_1_wants_the_lock(false);
    set_clock_step(CLOCK_STEP_AT_START);
    assert_eq!(on_cpu_1(FIRST), Some(number), "it never served");
    assert!(!Frame::is_free(number));
    assert_eq!(LEAKED.load(Ordering::Relaxed), 1);

    on_cpu(1, || {
        assert!(take_interrupt());
        on_flush_interrupt();
    });
    assert_eq!(on_cpu_1(FIRST), None);
    assert!(!Frame::is_free(number), "leaked is leaked");
    SHOOTDOWN.domain().reclaim_slots();
    assert_eq!(SHOOTDOWN.statistics().quarantined, 0);
}

#[test]
fn two_cpus_that_flush_each_other_both_end() {
    let _machine = machine();
    let space = space();
    let play = |cpu, mine: u64, theirs: u64| {
        on_cpu(cpu, || {
            for _ in 0..200 {
                let number = map(&space, mine);
                // What the other CPU maps and unmaps meanwhile.
                touch(&space, theirs);
                assert_eq!(touch(&space, mine), Some(number));
                space.unmap(&disable_interrupts(), mine, 1);
                assert_eq!(touch(&space, mine), None);
            }
        });
    };
    let still_running = AtomicUsize::new(2);
    let run = |cpu, mine, theirs| {
        play(cpu, mine, theirs);
        still_running.fetch_sub(1, Ordering::AcqRel);
        // Interrupts are enabled: the CPU serves until the other one has ended, too.
        while still_running.load(Ordering::Acquire) > 0 {
            on_cpu(cpu, on_flush_interrupt);
            yield_now();
        }
    };
    scope(|threads| {
        threads.spawn(|| run(0, FIRST, FIRST + PAGE));
        threads.spawn(|| run(1, FIRST + PAGE, FIRST));
    });
    assert_eq!(LEAKED.load(Ordering::Relaxed), 0);
}
