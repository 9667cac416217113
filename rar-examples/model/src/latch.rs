//! The latch for a signal: one bit that requests a scan, and the kinds of its senders.

use core::sync::atomic::{AtomicU8, Ordering};

/// The sender of a signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Sender {
    /// The CPU that owns the unit: self-RAR.
    Itself,
    /// Another CPU.
    Another,
}

const WANTED: u8 = 1;
const BY_ITSELF: u8 = 2;
const TWICE: u8 = 4;

/// What a latch holds; empty if no signal is latched.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Latched(u8);

impl Latched {
    pub(crate) const fn by(sender: Sender) -> Self {
        match sender {
            Sender::Itself => Self(WANTED | BY_ITSELF),
            Sender::Another => Self(WANTED),
        }
    }

    /// The same signal, to be served twice.
    pub(crate) const fn twice(self) -> Self {
        Self(self.0 | TWICE)
    }

    /// What is left to serve after one service.
    pub(crate) const fn rest(self) -> Option<Self> {
        if self.0 & TWICE == 0 {
            None
        } else {
            Some(Self(self.0 & !TWICE))
        }
    }

    pub(crate) const fn is_wanted(self) -> bool {
        self.0 & WANTED != 0
    }

    /// Whether one of the merged signals is the CPU's own.
    pub(crate) const fn is_by_itself(self) -> bool {
        self.0 & BY_ITSELF != 0
    }
}

#[derive(Debug, Default)]
pub(crate) struct Latch(AtomicU8);

impl Latch {
    /// Adds a signal and returns what was latched before.
    pub(crate) fn add(&self, signal: Latched) -> Latched {
        Latched(self.0.fetch_or(signal.0, Ordering::AcqRel))
    }

    pub(crate) fn get(&self) -> Latched {
        Latched(self.0.load(Ordering::Acquire))
    }

    /// Empties the latch. Acquire pairs with the Release in `add`: every byte armed before a merged
    /// signal is seen.
    pub(crate) fn take(&self) -> Latched {
        Latched(self.0.swap(0, Ordering::AcqRel))
    }
}
