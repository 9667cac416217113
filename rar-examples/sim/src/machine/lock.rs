//! Locks of the host.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Locks a mutex, also after a panic: that ends the run, and its data reaches no verdict.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
