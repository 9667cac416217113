//! Flights that are waited for, and flights that are left to a worker.
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use std::sync::MutexGuard;
use std::sync::atomic::Ordering;
use std::thread;

use rar_shape_dispatch_sync::flush::{TlbFlusher, poll_flights};
use rar_shape_dispatch_sync::machine::{
    LEAKED, SHOOTDOWN, WORDS, bring_online, on_flush_interrupt, register_cpus,
};
use rar_shape_dispatch_sync::promises::disable_preemption;
use rar_shape_hardware::fake::{on_cpu, power_on, while_idling};
use rar_shape_hardware::{CPUS, Frame, PageTable, read, take_interrupt};
use rar_shootdown::rar_payload::{PageRange, PageSize, Pcid, Request};
use rar_shootdown::rar_percpu::{AtomicCpuSet, CpuId};

const PAGE: u64 = 0x7000_0000_1000;

fn machine() -> MutexGuard<'static, bool> {
    power_on(|| {
        register_cpus().unwrap();
        for cpu in (0..).take(CPUS) {
            let _stays_online = on_cpu(cpu, bring_online).unwrap();
        }
    })
}

/// An address space that CPUs 0 and 1 use.
fn space() -> (PageTable, AtomicCpuSet<WORDS>) {
    let users = AtomicCpuSet::new();
    for cpu in [0, 1] {
        users.insert(CpuId::new(cpu)).unwrap();
    }
    (PageTable::new(), users)
}

/// Maps a page that CPU 1 then reads, and unmaps it. The translation on CPU 1 is stale.
fn stale_on_cpu_1(table: &PageTable) -> Frame {
    let frame = Frame::allocate().unwrap();
    let number = frame.number();
    table.map(PAGE, frame);
    assert_eq!(on_cpu(1, || read(table, Pcid::ZERO, PAGE)), Some(number));
    let frame = table.unmap(PAGE).unwrap();
    assert_eq!(
        on_cpu(1, || read(table, Pcid::ZERO, PAGE)),
        Some(number),
        "positive control: without a flush the translation stays"
    );
    frame
}

fn page() -> Request {
    Request::Pages {
        pcid: Pcid::ZERO,
        range: PageRange::page(PAGE, PageSize::Size4K).unwrap(),
    }
}

#[test]
fn a_flight_without_a_waiter_ends_in_the_queue_and_another_cpu_frees_its_frames() {
    let _machine = machine();
    let (table, users) = space();
    let frame = stale_on_cpu_1(&table);
    let number = frame.number();

    on_cpu(0, || {
        let mut flusher = TlbFlusher::new(disable_preemption(), &users);
        flusher.issue(page(), Some(frame));
        flusher.dispatch();
        assert!(!Frame::is_free(number));
    });
    let worker = || on_cpu(2, || poll_flights(&disable_preemption()));
    assert_eq!(worker(), 1, "CPU 1 has not flushed");
    assert!(!Frame::is_free(number));
    assert_eq!(on_cpu(1, || read(&table, Pcid::ZERO, PAGE)), Some(number));

    on_cpu(1, || {
        assert!(take_interrupt());
        on_flush_interrupt();
        assert_eq!(read(&table, Pcid::ZERO, PAGE), None);
    });
    assert!(!Frame::is_free(number), "the flight owns it to its end");

    // The flight goes to another thread of the host, too.
    assert_eq!(thread::spawn(worker).join().unwrap(), 0);
    assert!(Frame::is_free(number));
}

#[test]
fn sync_waits_for_everything_that_was_dispatched() {
    let _machine = machine();
    let (table, users) = space();
    let frame = stale_on_cpu_1(&table);
    let number = frame.number();

    on_cpu(0, || {
        let mut flusher = TlbFlusher::new(disable_preemption(), &users);
        flusher.issue(page(), Some(frame));
        flusher.dispatch();
        // The kernel goes on: another flush is issued while the first one is in flight.
        flusher.issue(Request::AddressSpace { pcid: Pcid::ZERO }, None);
        flusher.dispatch();
        assert!(!Frame::is_free(number));
        while_idling(1, on_flush_interrupt, || flusher.sync());
        assert!(Frame::is_free(number));
    });
    assert_eq!(on_cpu(1, || read(&table, Pcid::ZERO, PAGE)), None);
    assert_eq!(poll_all(), 0, "nothing is left to the worker");
    assert_eq!(LEAKED.load(Ordering::Relaxed), 0);
    assert_eq!(SHOOTDOWN.statistics().fallbacks, 0);
}

fn poll_all() -> usize {
    on_cpu(2, || poll_flights(&disable_preemption()))
}
