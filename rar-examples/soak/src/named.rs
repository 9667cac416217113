//! The pages that an order names.

use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use rar_suite::Space;

use crate::plan::Plan;

/// The pages of a plan, for the CPUs that obey an order.
#[derive(Debug)]
pub(crate) struct Named {
    /// Two spaces, by number, and the pages of each.
    spaces: [AtomicU32; 2],
    masks: [AtomicU64; 2],
    /// Pages of all spaces.
    global: AtomicU64,
    /// The space that gets the PCID of the first of the two, by number from 1.
    heir: AtomicU32,
}

impl Named {
    pub(crate) const fn new() -> Self {
        Self {
            spaces: [const { AtomicU32::new(0) }; 2],
            masks: [const { AtomicU64::new(0) }; 2],
            global: AtomicU64::new(0),
            heir: AtomicU32::new(0),
        }
    }

    /// Names the pages of a plan, or none. The order that is given afterwards publishes them.
    pub(crate) fn name(&self, plan: Option<&Plan>) {
        let parts = plan.map_or([(Space::First, 0); 2], |plan| plan.parts);
        for ((space, mask), (named, pages)) in self.spaces.iter().zip(&self.masks).zip(parts) {
            space.store(number_of(named), Ordering::Relaxed);
            mask.store(pages, Ordering::Relaxed);
        }
        let global = plan.map_or(0, |plan| plan.global);
        self.global.store(global, Ordering::Relaxed);
        let heir = plan.and_then(Plan::heir);
        let number = heir.map_or(0, |heir| number_of(heir) + 1);
        self.heir.store(number, Ordering::Relaxed);
    }

    /// The pages that are named in a space.
    pub(crate) fn mask(&self, space: Space) -> u64 {
        let own = number_of(space);
        let parts = self.spaces.iter().zip(&self.masks);
        let own = parts.filter(|(named, _)| named.load(Ordering::Relaxed) == own);
        let global = self.global.load(Ordering::Relaxed);
        own.fold(global, |all, (_, mask)| all | mask.load(Ordering::Relaxed))
    }

    /// The space that loses its PCID, and the one that gets it.
    pub(crate) fn heir(&self) -> Option<(Space, Space)> {
        let number = self.heir.load(Ordering::Relaxed).checked_sub(1)?;
        let [from, _] = &self.spaces;
        let from = Space::nth(from.load(Ordering::Relaxed) as usize)?;
        Some((from, Space::nth(number as usize)?))
    }
}

fn number_of(space: Space) -> u32 {
    u32::try_from(space.index()).unwrap_or(0)
}
