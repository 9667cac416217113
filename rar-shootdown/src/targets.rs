//! Who is to be flushed.

use rar_percpu::{AtomicCpuSet, CpuSet, DEFAULT_WORDS, Domain};

/// The CPUs that may cache what is to be flushed, read by the library at the right moment.
///
/// The order is: the caller stores to the page table; the library executes a full fence; the library calls
/// [`snapshot`](Self::snapshot). So an implementation must read its source when called, not hand out an older copy.
///
/// The set must hold every CPU that may *cache* the space, not only those that run it now: a CPU that switched away keeps
/// entries of the space until it flushes. Offline CPUs in it are fine, they flush on their way back.
pub trait TargetSet<const WORDS: usize = DEFAULT_WORDS> {
    /// Reads the set. The initiator itself may be a member: it then flushes itself with ordinary instructions.
    fn snapshot(&self, domain: &Domain<'_, WORDS>) -> CpuSet<WORDS>;
}

/// Every CPU that is online, as a flush of kernel memory needs.
#[derive(Clone, Copy, Debug)]
pub struct Everyone;

impl<const WORDS: usize> TargetSet<WORDS> for Everyone {
    fn snapshot(&self, domain: &Domain<'_, WORDS>) -> CpuSet<WORDS> {
        domain.online()
    }
}

impl<const WORDS: usize> TargetSet<WORDS> for AtomicCpuSet<WORDS> {
    fn snapshot(&self, _: &Domain<'_, WORDS>) -> CpuSet<WORDS> {
        Self::snapshot(self)
    }
}

impl<const WORDS: usize, T: TargetSet<WORDS>> TargetSet<WORDS> for &T {
    fn snapshot(&self, domain: &Domain<'_, WORDS>) -> CpuSet<WORDS> {
        T::snapshot(self, domain)
    }
}
