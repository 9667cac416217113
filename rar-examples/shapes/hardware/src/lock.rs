//! A spin lock with a spin function of the kernel.
#![expect(unsafe_code, reason = "a lock makes exclusive access of shared access")]

use core::cell::UnsafeCell;
use core::ops::{Deref, DerefMut};
use core::sync::atomic::{AtomicBool, Ordering};

/// A spin lock.
#[derive(Debug, Default)]
pub struct SpinLock<T> {
    is_locked: AtomicBool,
    value: UnsafeCell<T>,
}

// SAFETY: the value is reached by one holder of the lock at a time, which may be on any CPU.
unsafe impl<T: Send> Sync for SpinLock<T> {}

/// The value of a [`SpinLock`], which is locked while this lives.
#[derive(Debug)]
pub struct Locked<'a, T>(&'a SpinLock<T>);

impl<T> SpinLock<T> {
    /// Returns an unlocked value.
    pub const fn new(value: T) -> Self {
        Self {
            is_locked: AtomicBool::new(false),
            value: UnsafeCell::new(value),
        }
    }

    /// Locks, and calls `spin` again and again while another CPU holds the lock.
    pub fn lock(&self, mut spin: impl FnMut()) -> Locked<'_, T> {
        while self.is_locked.swap(true, Ordering::Acquire) {
            spin();
        }
        Locked(self)
    }
}

impl<T> Deref for Locked<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: the lock is held, so there is no other reference.
        unsafe { &*self.0.value.get() }
    }
}

impl<T> DerefMut for Locked<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: the lock is held, and this borrow of the guard is unique.
        unsafe { &mut *self.0.value.get() }
    }
}

impl<T> Drop for Locked<'_, T> {
    fn drop(&mut self) {
        self.0.is_locked.store(false, Ordering::Release);
    }
}
