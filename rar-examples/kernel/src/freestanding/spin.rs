//! A lock for what CPUs change while they start.

use core::cell::UnsafeCell;
use core::fmt;
use core::ops::{Deref, DerefMut};
use core::sync::atomic::{AtomicBool, Ordering};

use super::irq::Disabled;
use super::percpu;

/// Looks at a lock before its holder is taken for dead. Seconds, on anything; no holder needs a
/// millisecond.
pub(crate) const BOUND: u32 = 500_000_000;

/// A lock held with interrupts disabled, for short sections without flushes.
pub struct SpinLock<T> {
    taken: AtomicBool,
    value: UnsafeCell<T>,
}

// SAFETY: the value is reached only through a guard, and one guard exists at a time; it moves
// between CPUs (`Send`).
unsafe impl<T: Send> Sync for SpinLock<T> {}

impl<T> SpinLock<T> {
    /// A free lock.
    #[must_use]
    pub const fn new(value: T) -> Self {
        Self {
            taken: AtomicBool::new(false),
            value: UnsafeCell::new(value),
        }
    }

    /// Takes the lock.
    ///
    /// # Panics
    ///
    /// When the holder does not let go within seconds.
    #[expect(
        clippy::panic,
        reason = "a lost lock cannot be waited for, and the panic names it"
    )]
    pub fn lock(&self) -> SpinGuard<'_, T> {
        let irq = Disabled::new();
        // Before the lock is taken, so that an NMI never stops a CPU that has it.
        percpu::this().locks().fetch_add(1, Ordering::Relaxed);
        for _ in 0..BOUND {
            // Acquire pairs with the Release of the guard's drop.
            if !self.taken.swap(true, Ordering::Acquire) {
                return SpinGuard {
                    lock: self,
                    _irq: irq,
                };
            }
            core::hint::spin_loop();
        }
        percpu::this().locks().fetch_sub(1, Ordering::Relaxed);
        panic!("a kernel lock was not released: its holder died or takes it twice")
    }
}

impl<T> fmt::Debug for SpinLock<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SpinLock")
            .field("taken", &self.taken)
            .finish_non_exhaustive()
    }
}

/// The right to the value of a [`SpinLock`].
#[derive(Debug)]
pub struct SpinGuard<'l, T> {
    lock: &'l SpinLock<T>,
    _irq: Disabled,
}

impl<T> Deref for SpinGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: the guard holds the lock.
        unsafe { &*self.lock.value.get() }
    }
}

impl<T> DerefMut for SpinGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: the guard holds the lock and is borrowed mutably.
        unsafe { &mut *self.lock.value.get() }
    }
}

impl<T> Drop for SpinGuard<'_, T> {
    fn drop(&mut self) {
        self.lock.taken.store(false, Ordering::Release);
        percpu::this().locks().fetch_sub(1, Ordering::Relaxed);
    }
}
