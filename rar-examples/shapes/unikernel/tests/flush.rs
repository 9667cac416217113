//! Pages of the lower half that the kernel itself uses.
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use std::sync::MutexGuard;
use std::sync::atomic::Ordering;

use rar_shape_hardware::fake::{on_cpu, power_on, while_idling};
use rar_shape_hardware::{CPUS, Frame, Tlb, read};
use rar_shape_unikernel::flush::{
    Kernel, LEAKED, PAGES, SHOOTDOWN, bring_online, map, on_flush_interrupt, register_cores, unmap,
};
use rar_shape_unikernel::promises::{enter_idle, leave_idle};
use rar_shootdown::rar_payload::{PageRange, PageSize, Pcid, Request};
use rar_shootdown::rar_percpu::fake::pinned;
use rar_shootdown::rar_percpu::{ApicId, CpuId, PerCpu, SoftwareCpu};
use rar_shootdown::{AllOnline, LazySkip, Policy, Shootdown};

/// A page of the kernel's, in the lower half.
const ADDRESS: u64 = 0x20_0000;

fn machine() -> MutexGuard<'static, bool> {
    power_on(|| {
        register_cores().unwrap();
        for core in (0..).take(CPUS) {
            let _stays_online = on_cpu(core, bring_online).unwrap();
        }
    })
}

fn on_core_1() -> Option<u64> {
    on_cpu(1, || read(&PAGES, Pcid::ZERO, ADDRESS))
}

/// Calls the handler on each of the other cores whenever it is interrupted.
fn while_all_idle(code: impl FnOnce()) {
    while_idling(1, on_flush_interrupt, || {
        while_idling(2, on_flush_interrupt, || {
            while_idling(3, on_flush_interrupt, code);
        });
    });
}

/// Maps the page to a new frame, has core 1 read it, and returns the frame's number.
fn mapped_and_read() -> u64 {
    let frame = Frame::allocate().unwrap();
    let number = frame.number();
    map(ADDRESS, frame).unwrap();
    assert_eq!(on_core_1(), Some(number));
    number
}

#[test]
fn unmapped_and_replaced_pages_are_gone_from_every_core() {
    let _machine = machine();
    let first = mapped_and_read();
    let frame = PAGES.unmap(ADDRESS).unwrap();
    assert_eq!(
        on_core_1(),
        Some(first),
        "positive control: without a flush the translation stays"
    );
    assert!(!Frame::is_free(first));
    PAGES.map(ADDRESS, frame);

    // Mapped over: the old frame is freed after the flush.
    let second = Frame::allocate().unwrap();
    let number = second.number();
    while_all_idle(|| map(ADDRESS, second).unwrap());
    assert!(Frame::is_free(first));
    assert_eq!(on_core_1(), Some(number));

    while_all_idle(|| unmap(ADDRESS, 1).unwrap());
    assert!(Frame::is_free(number));
    assert_eq!(on_core_1(), None);
    assert_eq!(LEAKED.load(Ordering::Relaxed), 0);
    assert_eq!(SHOOTDOWN.statistics().fallbacks, 0);
    assert!(unmap(ADDRESS + 1, 1).is_err(), "not the address of a page");
}

#[test]
fn an_idle_core_is_not_skipped_since_kernel_pages_are_in_the_lower_half() {
    let _machine = machine();
    let number = mapped_and_read();
    on_cpu(1, enter_idle);
    while_all_idle(|| unmap(ADDRESS, 1).unwrap());
    assert!(Frame::is_free(number));
    assert_eq!(
        on_core_1(),
        None,
        "the idle core's kernel has no stale page"
    );
    on_cpu(1, leave_idle);
}

/// The control of the test above: the effect of other kernels' policy here.
#[test]
#[expect(
    unsafe_code,
    reason = "breaks a promise on purpose, about memory of the stub"
)]
fn a_policy_that_takes_the_lower_half_for_user_memory_leaves_a_stale_kernel_page() {
    let _machine = machine();
    let mut policy = Policy::new();
    policy.lazy = LazySkip::LOWER_HALF;
    let shootdown: &'static Shootdown<Kernel, 1> =
        Box::leak(Box::new(Shootdown::new(Kernel, policy)));
    for core in [0, 1] {
        let memory = Box::leak(Box::new(PerCpu::new()));
        let domain = shootdown.domain();
        domain
            .register(CpuId::new(core), ApicId::new(core), memory)
            .unwrap();
        let _stays_online = on_cpu(core, || {
            SoftwareCpu::bring_online(domain, &pinned(core), &Tlb)
        })
        .unwrap();
    }
    let number = mapped_and_read();
    // SAFETY: 1. does not hold, which is the point of the test: the kernel's pages are in the lower
    // half. No memory is behind them.
    unsafe { shootdown.domain().enter_lazy(&pinned(1)) };

    let frame = PAGES.unmap(ADDRESS).unwrap();
    let request = Request::Pages {
        pcid: Pcid::ZERO,
        range: PageRange::page(ADDRESS, PageSize::Size4K).unwrap(),
    };
    // Ends at once: core 1 is skipped.
    let pending = shootdown.start(&pinned(0), &[request], &AllOnline, frame);
    let frame = pending.wait(&pinned(0)).unwrap();
    assert_eq!(
        on_core_1(),
        Some(number),
        "stale, and the frame is about to be freed"
    );
    drop(frame);
    // Before the next test.
    let left = on_cpu(1, || shootdown.domain().leave_lazy(&pinned(1), &Tlb));
    assert!(left.flushed);
    assert_eq!(on_core_1(), None);
}
