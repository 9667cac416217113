//! The choice of the next flush.

use core::sync::atomic::Ordering;

use rar_suite::{Platform, Space};
use rar_vocabulary::SoakOperation;

use crate::cpu::Cpu;
use crate::layout::{KERNEL_MASK, SPACES, USER, USER_MASK, other};
use crate::plan::Plan;
use crate::random::Random;

/// The most neighbouring pages that one flush names.
const MOST_NEIGHBOURS: u32 = 8;

impl<L: Platform> Cpu<'_, L> {
    /// The pages of a space that are mapped.
    pub(crate) fn mapped(&self, space: Space) -> u64 {
        (0..USER)
            .filter(|page| self.published(space, *page).is_mapped())
            .fold(0, |mask, page| mask | 1 << page)
    }

    pub(crate) fn frame_of(&self, space: Space, page: u16) -> u16 {
        let record = self.shared.page(space, page);
        record.frame.load(Ordering::Relaxed)
    }

    /// Returns the space that a random other CPU runs in.
    fn space_of_another(&self, random: &mut Random) -> Space {
        let distance = 1 + random.below(self.cpus().saturating_sub(1));
        self.space_of((self.me + distance) % self.cpus())
    }

    /// Returns the space that a CPU runs in.
    pub(crate) fn space_of(&self, cpu: u32) -> Space {
        let number = self.shared.post(cpu).space.load(Ordering::Relaxed);
        let found = SPACES.into_iter().nth(number as usize);
        found.unwrap_or(Space::First)
    }

    /// Chooses what the next flush is for.
    pub(crate) fn choose(&self, random: &mut Random) -> Plan {
        let mut space = self.space_of_another(random);
        if random.one_in(8) || self.mapped(space) == 0 {
            space = other(space);
        }
        let (mapped, elsewhere) = (self.mapped(space), self.mapped(other(space)));
        let plan = |operation, mask| Plan::new(operation, space, mask);
        let kernel = || {
            let page = KERNEL_MASK.trailing_zeros();
            plan(SoakOperation::Kernel, 1 << page)
        };
        if mapped == 0 {
            return kernel().with([1 << KERNEL_MASK.trailing_zeros(); 2]);
        }
        match random.below(100) {
            0..4 => {
                let page = random.bit_of(KERNEL_MASK).unwrap_or(USER);
                plan(SoakOperation::Kernel, 0).with([1 << page; 2])
            }
            4..8 if elsewhere != 0 => self.choose_several(random),
            8..10 => {
                let changed = mapped & random.next();
                let one = mapped & mapped.wrapping_neg();
                let changed = if changed == 0 { one } else { changed };
                plan(SoakOperation::Tables, changed)
            }
            10..18 if elsewhere == 0 && self.writable(space) != 0 => {
                plan(SoakOperation::Fork, self.writable(space))
            }
            18..20 if elsewhere != 0 => plan(SoakOperation::Exit, mapped),
            20..40 => {
                let first = random.bit_of(mapped).unwrap_or(0);
                let count = 2 + random.below(MOST_NEIGHBOURS - 1);
                let window = ((1_u64 << count) - 1) << first;
                plan(SoakOperation::Range, mapped & window & USER_MASK)
            }
            _ => self.choose_one_page(random, space, mapped),
        }
    }

    /// Chooses a page of a space for a flush that a fault meets.
    pub(crate) fn choose_remap(&self, random: &mut Random, space: Space) -> Option<Plan> {
        let page = random.bit_of(self.mapped(space))?;
        Some(Plan::new(SoakOperation::Remap, space, 1 << page))
    }

    fn choose_several(&self, random: &mut Random) -> Plan {
        let masks = SPACES.map(|space| {
            let page = random.bit_of(self.mapped(space));
            page.map_or(0, |page| 1 << page)
        });
        Plan::new(SoakOperation::Several, Space::First, 0).with(masks)
    }

    fn choose_one_page(&self, random: &mut Random, space: Space, mapped: u64) -> Plan {
        let page = random.bit_of(mapped).unwrap_or(0);
        let state = self.published(space, page);
        let roll = random.below(10);
        let operation = if state.is_writable() {
            match roll {
                0..5 => SoakOperation::Remap,
                5..8 => SoakOperation::Revoke,
                _ => SoakOperation::Unmap,
            }
        } else if self.is_shared(self.frame_of(space, page)) {
            match roll {
                0..8 => SoakOperation::Copy,
                _ => SoakOperation::Unmap,
            }
        } else {
            match roll {
                0..5 => SoakOperation::Grant,
                5..9 => SoakOperation::Remap,
                _ => SoakOperation::Unmap,
            }
        };
        Plan::new(operation, space, 1 << page)
    }

    fn writable(&self, space: Space) -> u64 {
        (0..USER)
            .filter(|page| self.published(space, *page).is_writable())
            .fold(0, |mask, page| mask | 1 << page)
    }
}
