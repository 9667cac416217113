//! The oracle: what may still be used, and what was used.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use rar_model::Translation;
use serde::Serialize;

use crate::machine::{Stored, lock};

/// A use of what had been flushed away: the one thing that must never happen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Violation {
    /// The CPU.
    pub cpu: u32,
    /// What it did.
    pub deed: Deed,
    /// The linear address, or the physical one of a page table.
    pub address: u64,
    /// The flush that had returned.
    pub flush: String,
}

/// What a CPU does with a translation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Deed {
    /// A load.
    Load,
    /// A store is translated.
    Store,
    /// A store that was translated earlier reaches memory.
    BufferedStore,
    /// A walk reads a page table.
    Walk,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            cpu,
            deed,
            address,
            flush,
        } = self;
        let deed = match deed {
            Deed::Load => "loads by a stale translation of",
            Deed::Store => "stores by a stale translation of",
            Deed::BufferedStore => "lets a buffered store go by a stale translation of",
            Deed::Walk => "walks the freed page table at",
        };
        write!(
            f,
            "CPU {cpu} {deed} {address:#x} after {flush} had returned"
        )
    }
}

/// Counts of what an oracle saw.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Tally {
    /// Accesses that were judged.
    pub accesses: u64,
    /// Uses of a translation that was replaced already and whose flush had not returned: legal, and the proof that
    /// stale translations are there to be seen.
    pub stale_uses: u64,
    /// Steps of page walks that were judged.
    pub walks: u64,
    /// Translations that were dropped.
    pub dropped: u64,
    /// Of these, those that the page tables still give: dropped needlessly.
    pub needless: u64,
    /// Frames and tables that a flush allowed to be freed.
    pub freed: u64,
}

/// What became of a frame.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Fate {
    /// The tables lead to it.
    Mapped,
    /// They did; the flush has not returned.
    Replaced,
    /// Free, by the word of this flush.
    Free(String),
}

/// Knows the fate of every frame and page table. Each is used once, so that a physical address names one mapping for ever.
#[derive(Debug, Default)]
pub(crate) struct Oracle {
    state: Mutex<State>,
    found: AtomicBool,
}

#[derive(Debug, Default)]
struct State {
    fates: HashMap<u64, Fate>,
    /// Frames that may not be written any more, and by the word of which flush.
    read_only: HashMap<u64, String>,
    /// Frames that are mapped read-only by now; the flush has not returned.
    revoked: HashSet<u64>,
    tally: Tally,
    violation: Option<Violation>,
}

impl Oracle {
    /// The tables lead to this frame, or page table, from now on.
    pub(crate) fn maps(&self, frame: u64) {
        lock(&self.state).fates.insert(frame, Fate::Mapped);
    }

    /// They do so no more.
    pub(crate) fn replaces(&self, frame: u64) {
        lock(&self.state).fates.insert(frame, Fate::Replaced);
    }

    /// The flush has returned: the frame is free.
    pub(crate) fn frees(&self, frame: u64, flush: &str) {
        let mut state = lock(&self.state);
        state.tally.freed += 1;
        state.fates.insert(frame, Fate::Free(flush.to_owned()));
    }

    /// The page-table entry forbids stores from now on.
    pub(crate) fn revokes(&self, frame: u64) {
        lock(&self.state).revoked.insert(frame);
    }

    /// The flush has returned: no store goes to the frame any more.
    pub(crate) fn is_read_only(&self, frame: u64, flush: &str) {
        let mut state = lock(&self.state);
        state.read_only.insert(frame, flush.to_owned());
    }

    pub(crate) fn judge(&self, cpu: u32, translation: &Translation, deed: Deed) {
        let mut state = lock(&self.state);
        let frame = translation.physical();
        state.tally.accesses += 1;
        let stores = deed != Deed::Load;
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
            self.find(&mut state, cpu, deed, translation.linear(), flush);
        }
    }

    pub(crate) fn drains(&self, cpu: u32, stored: &Stored) {
        self.judge(cpu, &stored.translation, Deed::BufferedStore);
    }

    pub(crate) fn walks(&self, cpu: u32, table: u64) {
        let mut state = lock(&self.state);
        state.tally.walks += 1;
        match state.fates.get(&table) {
            Some(Fate::Free(flush)) => {
                let flush = flush.clone();
                self.find(&mut state, cpu, Deed::Walk, table, flush);
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

    /// Keeps the first.
    fn find(&self, state: &mut State, cpu: u32, deed: Deed, address: u64, flush: String) {
        state.violation.get_or_insert(Violation {
            cpu,
            deed,
            address,
            flush,
        });
        self.found.store(true, Ordering::Release);
    }
}
