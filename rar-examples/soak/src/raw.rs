//! The unsafe calls of the small kernel, each with its promise.
#![expect(
    unsafe_code,
    reason = "what a kernel promises: who may cache a space, and what a lazy CPU uses"
)]

use rar_percpu::{AtomicCpuSet, CpuId, Domain, PinnedCpu};

/// Takes a CPU out of the set of a space that it has left by loading CR3.
pub(crate) fn leave(set: &AtomicCpuSet, cpu: CpuId) {
    // SAFETY: 1. and 2. the CPU has loaded another CR3 and drops what it caches of this space when
    // it loads this one again, or has flushed the space's PCID before another space gets it. Frames
    // under test live as long as the machine: a stale translation shows the oracle a wrong value,
    // and breaks nothing else.
    unsafe { set.remove(cpu) };
}

/// Puts this CPU into lazy TLB mode.
pub(crate) fn enter_lazy(domain: &Domain, cpu: &PinnedCpu<'_>) {
    // SAFETY: 1. until it leaves the mode, the code on this CPU uses no page under test.
    unsafe { domain.enter_lazy(cpu) };
}
