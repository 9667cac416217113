//! The A and D bits that software has cleared, and what a flush after that promises of them.

use std::collections::HashMap;

use crate::page_tables::Entry;

/// Records the cleared bits of the entry that leads to each frame.
#[derive(Debug, Default)]
pub(super) struct UseBits {
    cleared: HashMap<(u64, u64), Cleared>,
    last: u64,
}

#[derive(Debug)]
struct Cleared {
    /// Which clearing it was, since two CPUs may clear the same bit.
    number: u64,
    /// The flush that has returned since then.
    flush: Option<String>,
}

impl UseBits {
    /// Software is about to clear both bits of the entry that leads to this frame. Returns the
    /// number of this clearing.
    pub(super) fn clears(&mut self, frame: u64) -> u64 {
        self.last += 1;
        let number = self.last;
        for bit in [Entry::ACCESSED, Entry::DIRTY] {
            let flush = None;
            self.cleared.insert((frame, bit), Cleared { number, flush });
        }
        number
    }

    /// The flush after this clearing has returned: each later use sets the bits first.
    pub(super) fn is_flushed(&mut self, frame: u64, number: u64, flush: &str) {
        for bit in [Entry::ACCESSED, Entry::DIRTY] {
            if let Some(cleared) = self.cleared.get_mut(&(frame, bit))
                && cleared.number == number
            {
                cleared.flush = Some(flush.to_owned());
            }
        }
    }

    /// A CPU has set a bit.
    pub(super) fn sets(&mut self, frame: u64, bit: u64) {
        self.cleared.remove(&(frame, bit));
    }

    /// Whether the bit is clear, and the flush after which a use that leaves it clear is wrong.
    pub(super) fn clear_since(&self, frame: u64, bit: u64) -> Option<Option<&str>> {
        let cleared = self.cleared.get(&(frame, bit))?;
        Some(cleared.flush.as_deref())
    }
}
