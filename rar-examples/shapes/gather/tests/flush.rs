//! Gathered pages and tables, flushed at once.
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use std::sync::MutexGuard;
use std::sync::atomic::Ordering;

use rar_shape_gather::flush::{AddressSpace, MmuGather};
use rar_shape_gather::machine::{
    LEAKED, SHOOTDOWN, bring_online, on_flush_interrupt, register_cpus,
};
use rar_shape_gather::promises::disable_preemption;
use rar_shape_hardware::fake::{on_cpu, power_on, while_idling};
use rar_shape_hardware::{CPUS, Frame, PAGE, read};
use rar_shootdown::rar_payload::Pcid;
use rar_shootdown::rar_percpu::CpuId;

const FIRST: u64 = 0x7000_0000_0000;

fn machine() -> MutexGuard<'static, bool> {
    power_on(|| {
        register_cpus().unwrap();
        for cpu in (0..).take(CPUS) {
            let _stays_online = on_cpu(cpu, bring_online).unwrap();
        }
    })
}

/// Returns an address space of CPUs 0 and 1 with pages that CPU 1 has read, and the numbers of the
/// frames.
fn space(pcid: u16, pages: u64) -> (AddressSpace, Vec<u64>) {
    let space = AddressSpace::new(Pcid::new(pcid).unwrap());
    space.enter(CpuId::new(0)).unwrap();
    space.enter(CpuId::new(1)).unwrap();
    let map = |page| {
        let frame = Frame::allocate().unwrap();
        let number = frame.number();
        space.table.map(FIRST + page * PAGE, frame);
        assert_eq!(on(1, &space, page), Some(number));
        number
    };
    let numbers = (0..pages).map(map).collect();
    (space, numbers)
}

/// What a CPU finds at a page.
fn on(cpu: u32, space: &AddressSpace, page: u64) -> Option<u64> {
    on_cpu(cpu, || read(&space.table, space.pcid, FIRST + page * PAGE))
}

/// Flushes while CPUs 1 and 2 idle.
fn finish(gather: MmuGather<'_>) {
    while_idling(1, on_flush_interrupt, || {
        while_idling(2, on_flush_interrupt, || {
            on_cpu(0, || gather.finish(&disable_preemption()));
        });
    });
    assert_eq!(LEAKED.load(Ordering::Relaxed), 0);
    assert_eq!(SHOOTDOWN.statistics().fallbacks, 0);
}

#[test]
fn what_was_unmapped_is_freed_after_one_flush_and_nothing_else_is_flushed() {
    let _machine = machine();
    let (space, numbers) = space(1, 8);
    let mut gather = MmuGather::new(&space);
    // In any order, with a gap: page 3 stays.
    for page in [2, 0, 1, 6, 7, 5, 4] {
        gather.unmap(FIRST + page * PAGE);
    }
    // Page 3 is unmapped behind the gatherer's back: it shows what is flushed.
    let kept = space.table.unmap(FIRST + 3 * PAGE).unwrap();
    for (page, number) in (0..).zip(&numbers) {
        assert_eq!(on(1, &space, page), Some(*number), "positive control");
        assert!(!Frame::is_free(*number));
    }
    finish(gather);
    for (page, number) in (0..).zip(&numbers) {
        let is_gathered = page != 3;
        let expected = (!is_gathered).then_some(*number);
        assert_eq!(on(1, &space, page), expected, "page {page}");
        assert_eq!(Frame::is_free(*number), is_gathered, "page {page}");
    }
    drop(kept);
}

#[test]
fn a_freed_table_flushes_the_whole_space_before_it_is_free() {
    let _machine = machine();
    let (space, numbers) = space(2, 2);
    let table = Frame::allocate().unwrap();
    let number = table.number();
    let mut gather = MmuGather::new(&space);
    gather.unmap(FIRST);
    gather.free_table(table);
    // What CPU 1 reached through the table, whichever page it was.
    let other = space.table.unmap(FIRST + PAGE).unwrap();
    assert_eq!(on(1, &space, 1), Some(numbers[1]), "positive control");
    assert!(!Frame::is_free(number) && !Frame::is_free(numbers[0]));
    finish(gather);
    assert_eq!(on(1, &space, 0), None);
    assert_eq!(on(1, &space, 1), None);
    assert!(Frame::is_free(number) && Frame::is_free(numbers[0]));
    drop(other);
}

#[test]
fn a_cpu_that_enters_the_space_while_pages_are_gathered_is_flushed() {
    let _machine = machine();
    let (space, numbers) = space(3, 1);
    let mut gather = MmuGather::new(&space);
    space.enter(CpuId::new(2)).unwrap();
    assert_eq!(on(2, &space, 0), Some(numbers[0]));
    gather.unmap(FIRST);
    assert_eq!(on(2, &space, 0), Some(numbers[0]), "positive control");
    finish(gather);
    assert_eq!(on(2, &space, 0), None);
    assert!(Frame::is_free(numbers[0]));
}

#[test]
fn what_is_dropped_without_a_flush_is_leaked() {
    let _machine = machine();
    let (space, numbers) = space(4, 1);
    let mut gather = MmuGather::new(&space);
    gather.unmap(FIRST);
    drop(gather);
    assert_eq!(on(1, &space, 0), Some(numbers[0]));
    assert!(!Frame::is_free(numbers[0]));
}
