//! PCIDs that no space has.

use core::sync::atomic::{AtomicU16, AtomicU32, Ordering};

use rar_payload::Pcid;

use crate::layout::PCIDS;

/// PCIDs that no CPU caches anything of; the last one is given first.
#[derive(Debug)]
pub(crate) struct FreePcids {
    pcids: [AtomicU16; PCIDS.len()],
    count: AtomicU32,
}

impl FreePcids {
    pub(crate) const fn new() -> Self {
        Self {
            pcids: [const { AtomicU16::new(0) }; PCIDS.len()],
            count: AtomicU32::new(0),
        }
    }

    pub(crate) fn push(&self, pcid: u16) {
        let count = self.count.load(Ordering::Relaxed);
        if let Some(room) = self.pcids.get(count as usize) {
            room.store(pcid, Ordering::Relaxed);
            self.count.store(count + 1, Ordering::Relaxed);
        }
    }

    pub(crate) fn pop(&self) -> Option<Pcid> {
        let last = self.count.load(Ordering::Relaxed).checked_sub(1)?;
        self.count.store(last, Ordering::Relaxed);
        let pcid = self.pcids.get(last as usize)?.load(Ordering::Relaxed);
        Pcid::new(pcid).ok()
    }
}
