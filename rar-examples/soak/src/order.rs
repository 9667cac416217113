//! Orders: what the CPU that flushes asks of the others.

use core::sync::atomic::{AtomicU64, Ordering};

/// What the others are to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    /// Judge the pages of the last flush, then cache those of the next one.
    Step = 0,
    /// Try the old translations before the flush.
    Control,
    /// The CPU that bears a fault recovers.
    Recover,
    /// Judge the pages of the last flush; the scene is over.
    End,
    /// Answer in software from now on.
    Switch,
}

/// How many bits a kind takes.
const KIND_BITS: u32 = 3;
const KIND: u64 = (1 << KIND_BITS) - 1;

/// The newest order: its number, and its kind in the low bits.
#[derive(Debug)]
pub(crate) struct OrderWord(AtomicU64);

impl OrderWord {
    pub(crate) const fn new() -> Self {
        Self(AtomicU64::new(0))
    }

    /// Gives the next order and returns its word. Only one CPU at a time gives orders.
    pub(crate) fn give(&self, order: Order) -> u64 {
        let number = (self.0.load(Ordering::Relaxed) >> KIND_BITS) + 1;
        let word = number << KIND_BITS | order as u64;
        // Release: what the order names was stored before.
        self.0.store(word, Ordering::Release);
        word
    }

    /// Returns the word of the newest order.
    pub(crate) fn word(&self) -> u64 {
        self.0.load(Ordering::Acquire)
    }
}

/// Returns what a word asks for.
pub(crate) const fn order_of(word: u64) -> Order {
    match word & KIND {
        0 => Order::Step,
        1 => Order::Control,
        2 => Order::Recover,
        3 => Order::End,
        _ => Order::Switch,
    }
}
