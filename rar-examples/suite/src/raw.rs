//! The unsafe calls of tests, each with its promise.
#![expect(
    unsafe_code,
    reason = "tests break on purpose what kernels promise: memory under test is never freed"
)]

use rar_percpu::{AtomicCpuSet, CpuId, Domain, PinnedCpu, SlotIndex};

/// Takes a CPU out of the set of a space.
pub(crate) fn remove(set: &AtomicCpuSet, cpu: CpuId) {
    // SAFETY: 1. and 2. the set belongs to the suite, and no memory is freed after flushes of it:
    // frames and page tables under test live as long as the machine. A stale translation shows a
    // test only a wrong value.
    unsafe { set.remove(cpu) };
}

/// Puts this CPU into lazy TLB mode.
pub(crate) fn enter_lazy(domain: &Domain, cpu: &PinnedCpu<'_>) {
    // SAFETY: 1. until the test leaves the mode, the CPU uses no user memory except the pages under
    // test, whose frames are never freed.
    unsafe { domain.enter_lazy(cpu) };
}

/// Marks a written entry PENDING for a CPU.
///
/// Only while every CPU is offline, or for the calling CPU while it is offline: then no flush is in
/// flight in the slot.
pub(crate) fn arm(domain: &Domain, cpu: CpuId, slot: SlotIndex) {
    let Some(state) = domain.cpu(cpu) else { return };
    // SAFETY: 1. tests of units take every CPU offline first and run in step, so no flush is in
    // flight. Flushes of a later test find the byte final, since a CPU clears its vector when it
    // comes online.
    unsafe { state.vector().arm_unowned(slot) };
}
