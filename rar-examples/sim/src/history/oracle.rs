//! The oracle: which frames may still be used, and which were used.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use rar_model::Translation;
use serde::Serialize;

use super::use_bits::UseBits;
use crate::machine::{Stored, lock};
use crate::page_tables::Entry;

/// A use of a flushed translation, which must never happen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Violation {
    /// The CPU.
    pub cpu: u32,
    /// The use.
    pub kind: Use,
    /// The linear address, or the physical one of a page table.
    pub address: u64,
    /// The flush that had returned before.
    pub flush: String,
}

/// How a CPU uses a translation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Use {
    /// A load.
    Load,
    /// A store is translated.
    Store,
    /// A store that was translated earlier reaches memory.
    BufferedStore,
    /// A walk reads a page table.
    Walk,
    /// An access leaves the A bit of its entry clear.
    WithoutAccessed,
    /// A store leaves the D bit of its entry clear.
    WithoutDirty,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            cpu,
            kind,
            address,
            flush,
        } = self;
        let kind = match kind {
            Use::Load => "loads by a stale translation of",
            Use::Store => "stores by a stale translation of",
            Use::BufferedStore => "lets a buffered store go by a stale translation of",
            Use::Walk => "walks the freed page table at",
            Use::WithoutAccessed => "does not set the A bit again when it uses",
            Use::WithoutDirty => "does not set the D bit again when it stores to",
        };
        write!(
            f,
            "CPU {cpu} {kind} {address:#x} after {flush} had returned"
        )
    }
}

/// The counts of an oracle.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Tally {
    /// Accesses that were judged.
    pub accesses: u64,
    /// Uses of a replaced translation whose flush had not returned. They are legal, and prove that
    /// stale translations exist.
    pub stale_uses: u64,
    /// Steps of page walks that were judged.
    pub walks: u64,
    /// Translations that were dropped.
    pub dropped: u64,
    /// Of these, those that the page tables still contain: dropped needlessly.
    pub needless: u64,
    /// Frames and tables that a flush allowed to be freed.
    pub freed: u64,
}

/// The state of a frame.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Fate {
    /// The tables lead to it.
    Mapped,
    /// The tables no longer lead to it; the flush has not returned.
    Replaced,
    /// Free, after this flush.
    Free(String),
}

/// Records the state of every frame and page table. Each is used once, so that a physical address
/// always names one mapping.
#[derive(Debug, Default)]
pub(crate) struct Oracle {
    state: Mutex<State>,
    found: AtomicBool,
}

#[derive(Debug, Default)]
struct State {
    fates: HashMap<u64, Fate>,
    /// Frames that must no longer be written, and after which flush.
    read_only: HashMap<u64, String>,
    /// Frames that are mapped read-only; the flush has not returned.
    revoked: HashSet<u64>,
    bits: UseBits,
    tally: Tally,
    violation: Option<Violation>,
}

impl Oracle {
    /// Records that the tables lead to this frame, or page table.
    pub(crate) fn maps(&self, frame: u64) {
        lock(&self.state).fates.insert(frame, Fate::Mapped);
    }

    /// Records that the tables no longer lead to this frame.
    pub(crate) fn replaces(&self, frame: u64) {
        lock(&self.state).fates.insert(frame, Fate::Replaced);
    }

    /// Records that the flush has returned: the frame is free.
    pub(crate) fn frees(&self, frame: u64, flush: &str) {
        let mut state = lock(&self.state);
        state.tally.freed += 1;
        state.fates.insert(frame, Fate::Free(flush.to_owned()));
    }

    /// Records that the page-table entry forbids stores.
    pub(crate) fn revokes(&self, frame: u64) {
        lock(&self.state).revoked.insert(frame);
    }

    /// Records that the flush has returned: no store may reach the frame.
    pub(crate) fn is_read_only(&self, frame: u64, flush: &str) {
        let mut state = lock(&self.state);
        state.read_only.insert(frame, flush.to_owned());
    }

    /// Records that software clears the A and D bits of the entry that leads to this frame, before
    /// it does so. Returns the number of this clearing.
    pub(crate) fn clears_bits(&self, frame: u64) -> u64 {
        lock(&self.state).bits.clears(frame)
    }

    /// Records that the flush after this clearing has returned: each later use sets the bits.
    pub(crate) fn bits_are_flushed(&self, frame: u64, number: u64, flush: &str) {
        lock(&self.state).bits.is_flushed(frame, number, flush);
    }

    /// Records that a walk sets a bit of the entry that leads to this frame.
    pub(crate) fn records(&self, frame: u64, bit: u64) {
        lock(&self.state).bits.sets(frame, bit);
    }

    pub(crate) fn judge(&self, cpu: u32, translation: &Translation, kind: Use) {
        let mut state = lock(&self.state);
        let frame = translation.physical();
        state.tally.accesses += 1;
        let stores = kind != Use::Load;
        let flush = match state.fates.get(&frame) {
            Some(Fate::Free(flush)) => Some(flush.clone()),
            Some(Fate::Replaced) => {
                state.tally.stale_uses += 1;
                None
            }
            _ if stores => state.read_only.get(&frame).cloned(),
            _ => None,
        };
        if stores && state.revoked.contains(&frame) && flush.is_none() {
            state.tally.stale_uses += 1;
        }
        if let Some(flush) = flush {
            self.find(&mut state, cpu, kind, translation.linear(), flush);
        }
        self.judge_bit(&mut state, cpu, translation, Entry::ACCESSED);
        if stores {
            self.judge_bit(&mut state, cpu, translation, Entry::DIRTY);
        }
    }

    /// Judges a use that may have left a bit of its entry clear.
    fn judge_bit(&self, state: &mut State, cpu: u32, translation: &Translation, bit: u64) {
        let flush = match state.bits.clear_since(translation.physical(), bit) {
            None => return,
            Some(None) => {
                state.tally.stale_uses += 1;
                return;
            }
            Some(Some(flush)) => flush.to_owned(),
        };
        let kind = if bit == Entry::DIRTY {
            Use::WithoutDirty
        } else {
            Use::WithoutAccessed
        };
        self.find(state, cpu, kind, translation.linear(), flush);
    }

    pub(crate) fn drains(&self, cpu: u32, stored: &Stored) {
        self.judge(cpu, &stored.translation, Use::BufferedStore);
    }

    pub(crate) fn walks(&self, cpu: u32, table: u64) {
        let mut state = lock(&self.state);
        state.tally.walks += 1;
        match state.fates.get(&table) {
            Some(Fate::Free(flush)) => {
                let flush = flush.clone();
                self.find(&mut state, cpu, Use::Walk, table, flush);
            }
            Some(Fate::Replaced) => state.tally.stale_uses += 1,
            _ => {}
        }
    }

    pub(crate) fn drops(&self, translation: &Translation) {
        let mut state = lock(&self.state);
        state.tally.dropped += 1;
        let frame = translation.physical();
        let right = state.fates.get(&frame) == Some(&Fate::Mapped)
            && !(translation.is_writable() && state.revoked.contains(&frame));
        state.tally.needless += u64::from(right);
    }

    pub(crate) fn tally(&self) -> Tally {
        lock(&self.state).tally
    }

    pub(crate) fn violation(&self) -> Option<Violation> {
        lock(&self.state).violation.clone()
    }

    pub(crate) fn has_violation(&self) -> bool {
        self.found.load(Ordering::Acquire)
    }

    /// Keeps the first violation.
    fn find(&self, state: &mut State, cpu: u32, kind: Use, address: u64, flush: String) {
        state.violation.get_or_insert(Violation {
            cpu,
            kind,
            address,
            flush,
        });
        self.found.store(true, Ordering::Release);
    }
}
