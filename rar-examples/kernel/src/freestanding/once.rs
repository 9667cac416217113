//! A value that is set once, while the machine starts.

use core::cell::UnsafeCell;
use core::mem::MaybeUninit;
use core::sync::atomic::{AtomicU8, Ordering};

const EMPTY: u8 = 0;
const BUSY: u8 = 1;
const SET: u8 = 2;

/// A cell that goes from empty to set, once.
#[derive(Debug)]
pub struct Once<T> {
    state: AtomicU8,
    value: UnsafeCell<MaybeUninit<T>>,
}

// SAFETY: the value is written by the one winner of EMPTY -> BUSY and only read after SET, so
// sharing the cell shares `&T` (hence `Sync`) and lets any CPU supply the value (hence `Send`).
unsafe impl<T: Send + Sync> Sync for Once<T> {}

impl<T> Once<T> {
    /// An empty cell.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            state: AtomicU8::new(EMPTY),
            value: UnsafeCell::new(MaybeUninit::uninit()),
        }
    }

    /// Sets the value and returns it; a second call leaves the first value and returns that.
    ///
    /// Returns `None` only while another CPU is setting it.
    pub fn set(&self, value: T) -> Option<&T> {
        // Acquire on failure pairs with the Release below, for the value that is there.
        if self
            .state
            .compare_exchange(EMPTY, BUSY, Ordering::Relaxed, Ordering::Acquire)
            .is_ok()
        {
            // SAFETY: only the winner of the exchange gets here, once, and no CPU reads before SET.
            unsafe { (*self.value.get()).write(value) };
            self.state.store(SET, Ordering::Release);
        }
        self.get()
    }

    /// Returns the value, if it was set.
    #[must_use]
    pub fn get(&self) -> Option<&T> {
        // Acquire pairs with the Release in `set`.
        if self.state.load(Ordering::Acquire) == SET {
            // SAFETY: nothing writes the cell again after SET.
            let value = unsafe { &*self.value.get() };
            // SAFETY: SET says the value is there.
            Some(unsafe { value.assume_init_ref() })
        } else {
            None
        }
    }
}

impl<T> Default for Once<T> {
    fn default() -> Self {
        Self::new()
    }
}
