//! Who is to be flushed.

use rar_percpu::{AtomicCpuSet, CpuSet, DEFAULT_WORDS, Domain};

/// The CPUs that may cache what is to be flushed, read by the library at the right moment.
///
/// A flush promises that every CPU of this set has flushed. The set must hold every CPU that may
/// *cache* the space, not only those that run it now: a CPU that switched away keeps entries of the
/// space until it flushes. Offline CPUs in it are fine, they flush on their way back.
///
/// The order is: the caller stores to the page table; the library executes a full fence; the
/// library calls [`add_to`](Self::add_to). So an implementation reads its source when called, and
/// hands out no older copy. It may take a lock of the kernel's, if no CPU waits for a flush with
/// that lock held.
pub trait TargetSet<const WORDS: usize = DEFAULT_WORDS> {
    /// Reads the set. The initiator itself may be a member: it then flushes itself with ordinary
    /// instructions.
    fn snapshot(&self, domain: &Domain<WORDS>) -> CpuSet<WORDS>;

    /// Reads the set as [`snapshot`](Self::snapshot) does, and adds its members to `targets`.
    ///
    /// A set of many CPUs is large. An implementation that adds them where they are to be saves the
    /// flush a copy.
    #[inline]
    fn add_to(&self, domain: &Domain<WORDS>, targets: &mut CpuSet<WORDS>) {
        targets.union_with(&self.snapshot(domain));
    }
}

/// Every CPU that is online, as a flush of kernel memory needs.
#[derive(Clone, Copy, Debug)]
pub struct AllOnline;

impl<const WORDS: usize> TargetSet<WORDS> for AllOnline {
    fn snapshot(&self, domain: &Domain<WORDS>) -> CpuSet<WORDS> {
        domain.online()
    }

    #[inline]
    fn add_to(&self, domain: &Domain<WORDS>, targets: &mut CpuSet<WORDS>) {
        domain.add_online(targets);
    }
}

impl<const WORDS: usize> TargetSet<WORDS> for AtomicCpuSet<WORDS> {
    fn snapshot(&self, _: &Domain<WORDS>) -> CpuSet<WORDS> {
        Self::snapshot(self)
    }

    #[inline]
    fn add_to(&self, _: &Domain<WORDS>, targets: &mut CpuSet<WORDS>) {
        Self::add_to(self, targets);
    }
}

/// A target set that a closure reads: a mask of the kernel's own, or the union of several.
///
/// ```
/// use core::sync::atomic::{AtomicU64, Ordering};
/// use rar_percpu::CpuSet;
/// use rar_shootdown::TargetFn;
///
/// let mask = AtomicU64::new(0b101);
/// let targets = TargetFn(|_: &_| CpuSet::<1>::from_words([mask.load(Ordering::Acquire)]));
/// # let _: &dyn rar_shootdown::TargetSet<1> = &targets;
/// ```
#[derive(Clone, Copy, Debug)]
pub struct TargetFn<F>(pub F);

impl<F: Fn(&Domain<WORDS>) -> CpuSet<WORDS>, const WORDS: usize> TargetSet<WORDS> for TargetFn<F> {
    fn snapshot(&self, domain: &Domain<WORDS>) -> CpuSet<WORDS> {
        (self.0)(domain)
    }
}

impl<const WORDS: usize, T: TargetSet<WORDS> + ?Sized> TargetSet<WORDS> for &T {
    fn snapshot(&self, domain: &Domain<WORDS>) -> CpuSet<WORDS> {
        T::snapshot(self, domain)
    }

    #[inline]
    fn add_to(&self, domain: &Domain<WORDS>, targets: &mut CpuSet<WORDS>) {
        T::add_to(self, domain, targets);
    }
}
