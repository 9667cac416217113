//! Physical memory besides the driver's: page tables and data.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{PoisonError, RwLock};

/// Sparse memory of quadwords, zero until stored.
#[derive(Debug, Default)]
pub struct Memory {
    words: RwLock<HashMap<u64, AtomicU64>>,
}

impl Memory {
    /// Returns the quadword at a physical address, a multiple of 8.
    #[must_use]
    pub fn load(&self, address: u64) -> u64 {
        let words = self.words.read().unwrap_or_else(PoisonError::into_inner);
        words
            .get(&address)
            .map_or(0, |word| word.load(Ordering::SeqCst))
    }

    /// Stores a quadword and returns what was there.
    pub fn exchange(&self, address: u64, value: u64) -> u64 {
        {
            let words = self.words.read().unwrap_or_else(PoisonError::into_inner);
            if let Some(word) = words.get(&address) {
                return word.swap(value, Ordering::SeqCst);
            }
        }
        let mut words = self.words.write().unwrap_or_else(PoisonError::into_inner);
        words
            .entry(address)
            .or_default()
            .swap(value, Ordering::SeqCst)
    }

    /// Clears bits of a quadword in one access and returns what was there.
    pub fn clear(&self, address: u64, bits: u64) -> u64 {
        let words = self.words.read().unwrap_or_else(PoisonError::into_inner);
        words
            .get(&address)
            .map_or(0, |word| word.fetch_and(!bits, Ordering::SeqCst))
    }

    /// Sets bits of a quadword in one locked access, if it still holds `expected`. Returns whether
    /// it did.
    #[must_use]
    pub fn set_if(&self, address: u64, expected: u64, bits: u64) -> bool {
        let words = self.words.read().unwrap_or_else(PoisonError::into_inner);
        let (new, order) = (expected | bits, Ordering::SeqCst);
        let set = |word: &AtomicU64| word.compare_exchange(expected, new, order, order).is_ok();
        words.get(&address).is_some_and(set)
    }

    /// Stores a quadword.
    pub fn store(&self, address: u64, value: u64) {
        self.exchange(address, value);
    }
}
