//! PCIDs: fewer than spaces, each used again at once by another space.

use core::sync::atomic::Ordering;

use rar_payload::Pcid;
use rar_percpu::CpuId;
use rar_suite::{Platform, Space};

use crate::cpu::Cpu;
use crate::layout::{PCIDS, STORM_SPACES, bit};
use crate::raw;
use crate::tally::add;

/// Only the CPU that flushes calls those that change something.
impl<L: Platform> Cpu<'_, L> {
    /// Whether there are PCIDs: then CPUs keep what they have cached of a space that they leave.
    pub(crate) fn has_pcids(&self) -> bool {
        self.platform.pcid(Space::First) != Pcid::ZERO
    }

    /// Frees all PCIDs. Without PCIDs, no space needs one.
    pub(crate) fn fill_pcids(&self) {
        let with_pcid = if self.has_pcids() {
            PCIDS
                .iter()
                .for_each(|pcid| self.shared.free_pcids.push(*pcid));
            STORM_SPACES
                .into_iter()
                .fold(0, |all, space| all | bit(space))
        } else {
            u32::MAX
        };
        self.shared.with_pcid.store(with_pcid, Ordering::Release);
    }

    /// Whether another space can get the PCID of this one.
    pub(crate) fn can_lose_pcid(&self, space: Space) -> bool {
        let with_pcid = self.shared.with_pcid.load(Ordering::Relaxed) & bit(space) != 0;
        self.has_pcids() && with_pcid && !STORM_SPACES.contains(&space)
    }

    /// Takes the PCID of a space after the flush of it on all CPUs. No CPU runs in the space.
    pub(crate) fn take_pcid(&self, from: Space) {
        self.shared
            .with_pcid
            .fetch_and(!bit(from), Ordering::AcqRel);
        let all = 0..self.cpus();
        all.for_each(|cpu| raw::leave(self.shared.set(from), CpuId::new(cpu)));
        self.shared.free_pcids.push(self.platform.pcid(from).get());
        self.platform.set_pcid(from, Pcid::ZERO);
    }

    /// Gives a space a free PCID, if there is one.
    pub(crate) fn give_pcid(&self, to: Space) {
        if let Some(pcid) = self.shared.free_pcids.pop() {
            self.platform.set_pcid(to, pcid);
            let assignment = &self.shared.space(to).assignment;
            assignment.fetch_add(1, Ordering::Release);
            self.shared.with_pcid.fetch_or(bit(to), Ordering::AcqRel);
            add(&self.shared.tally.pcids, 1);
        }
    }
}
