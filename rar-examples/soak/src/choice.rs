//! The choice of the next flush.

use core::sync::atomic::Ordering;

use rar_suite::{Platform, Space};
use rar_vocabulary::SoakOperation;

use crate::cpu::Cpu;
use crate::large_page::Form;
use crate::layout::{KERNEL_MASK, STORM_SPACES, USER, USER_MASK, bit};
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
    pub(crate) fn space_of_another(&self, random: &mut Random) -> Space {
        let distance = 1 + random.below(self.cpus().saturating_sub(1));
        self.space_of((self.me + distance) % self.cpus())
    }

    /// Returns the space that a CPU runs in.
    pub(crate) fn space_of(&self, cpu: u32) -> Space {
        let number = self.shared.post(cpu).space.load(Ordering::Relaxed);
        Space::nth(number as usize).unwrap_or(Space::First)
    }

    /// Chooses what the next flush is for.
    pub(crate) fn choose(&self, random: &mut Random) -> Plan {
        let space = self.choose_space(random);
        let mapped = self.mapped(space);
        if mapped == 0 {
            return Plan::of_global(KERNEL_MASK.trailing_zeros().try_into().unwrap_or(USER));
        }
        let plan = match random.below(100) {
            0..4 => random.bit_of(KERNEL_MASK).map(Plan::of_global),
            4..8 => self.choose_several(random, space, mapped),
            8..10 if self.shared.large_page.form_in(space) != Some(Form::Split) => {
                let changed = some_of(mapped, random);
                Some(Plan::new(SoakOperation::Tables, space, changed))
            }
            10..17 => self.choose_fork(random, space),
            17..20 => self.choose_exit(random, space, mapped),
            20..26 => self.choose_recycling(random, space),
            26..36 => self.choose_large(random, space),
            36..50 => {
                let first = random.bit_of(mapped).unwrap_or(0);
                let count = 2 + random.below(MOST_NEIGHBOURS - 1);
                let window = ((1_u64 << count) - 1) << first;
                let pages = mapped & window & USER_MASK;
                Some(Plan::new(SoakOperation::Range, space, pages))
            }
            _ => None,
        };
        plan.unwrap_or_else(|| self.choose_one_page(random, space, mapped))
    }

    /// Chooses a page of a space for a flush that a fault meets.
    pub(crate) fn choose_remap(&self, random: &mut Random, space: Space) -> Option<Plan> {
        let page = random.bit_of(self.mapped(space))?;
        Some(Plan::new(SoakOperation::Remap, space, 1 << page))
    }

    /// Mostly the space of another CPU, so that the flush has a target.
    fn choose_space(&self, random: &mut Random) -> Space {
        let theirs = self.space_of_another(random);
        let alive = self.shared.alive.load(Ordering::Relaxed);
        if alive & bit(theirs) != 0 && !random.one_in(8) {
            theirs
        } else {
            random.space_of(alive).unwrap_or(theirs)
        }
    }

    fn choose_several(&self, random: &mut Random, space: Space, mapped: u64) -> Option<Plan> {
        let alive = self.shared.alive.load(Ordering::Relaxed);
        let theirs = self.space_of_another(random);
        let other = if alive & bit(theirs) != 0 && theirs != space {
            theirs
        } else {
            random.space_of(alive & !bit(space))?
        };
        let page = random.bit_of(mapped)?;
        let other_page = random.bit_of(self.mapped(other))?;
        let plan = Plan::new(SoakOperation::Several, space, 1 << page);
        Some(plan.and((other, 1 << other_page)))
    }

    fn choose_fork(&self, random: &mut Random, space: Space) -> Option<Plan> {
        let dead = !self.shared.alive.load(Ordering::Relaxed);
        let child = random.space_of(dead & ((1 << Space::COUNT) - 1))?;
        let mask = Some(self.writable(space)).filter(|mask| *mask != 0)?;
        Some(Plan {
            other: Some(child),
            ..Plan::new(SoakOperation::Fork, space, mask)
        })
    }

    /// Another space has to be left for the CPUs.
    fn may_close(&self, space: Space) -> bool {
        self.shared.runnable() & !bit(space) != 0
    }

    /// The spaces that live without a PCID.
    fn waiting(&self) -> u32 {
        let with_pcid = self.shared.with_pcid.load(Ordering::Relaxed);
        self.shared.alive.load(Ordering::Relaxed) & !with_pcid
    }

    fn choose_exit(&self, random: &mut Random, space: Space, mapped: u64) -> Option<Plan> {
        let has_large = self.shared.large_page.form_in(space).is_some();
        (self.may_close(space) && !has_large).then(|| {
            let loses_pcid = self.can_lose_pcid(space);
            Plan {
                loses_pcid,
                other: random.space_of(self.waiting()).filter(|_| loses_pcid),
                frees_table: random.one_in(2),
                ..Plan::new(SoakOperation::Exit, space, mapped)
            }
        })
    }

    /// A space without a PCID gets that of another, whose pages it shows otherwise.
    fn choose_recycling(&self, random: &mut Random, space: Space) -> Option<Plan> {
        let heir = random.space_of(self.waiting())?;
        let candidates = self.shared.runnable() & !STORM_SPACES.map(bit).iter().sum::<u32>();
        let from = match self.can_lose_pcid(space) {
            true => space,
            false => random.space_of(candidates)?,
        };
        let differs = |page: &u16| {
            let [old, new] = [from, heir].map(|space| self.published(space, *page));
            old.shows() != new.shows()
        };
        let pages = (0..USER).filter(differs);
        let mask = pages.fold(0, |mask, page| mask | 1 << page);
        let is_possible = self.may_close(from) && mask & self.mapped(from) != 0;
        is_possible.then(|| Plan {
            loses_pcid: true,
            other: Some(heir),
            ..Plan::new(
                SoakOperation::Recycle,
                from,
                some_of(mask & self.mapped(from), random),
            )
        })
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

/// Some bits of a mask; at least one if it has any.
fn some_of(mask: u64, random: &mut Random) -> u64 {
    match mask & random.next() {
        0 => mask & mask.wrapping_neg(),
        some => some,
    }
}
