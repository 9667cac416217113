//! The changes of page tables.

use core::sync::atomic::Ordering;

use rar_suite::{Access, Frame, Mapping, Page, Platform, Scope, Space};
use rar_vocabulary::SoakOperation;

use crate::cpu::Cpu;
use crate::frames::Freed;
use crate::layout::{
    CHANGING, KERNEL_MASK, PARTS_MASK, POISON, POISONED, STORM_SPACES, USER, USER_MASK, bit, bits,
    storm_frame, storm_page,
};
use crate::plan::Plan;
use crate::random::Random;
use crate::state::State;

/// Only the CPU that flushes calls these.
impl<L: Platform> Cpu<'_, L> {
    /// Maps all pages of the first space, and the global ones of all.
    pub(crate) fn map_at_first(&self) {
        self.fill_pool();
        self.platform.store_frame(POISON, 0, POISONED);
        for page in 0..USER {
            self.map_new(Space::First, page);
        }
        for page in bits(KERNEL_MASK) {
            let (frame, tag) = self.take_frame(page, 1);
            let state = State::mapped(tag, Access::Write);
            Space::all().for_each(|space| self.show(space, page, frame, state));
        }
    }

    /// Maps this CPU's page for storms.
    pub(crate) fn map_storm_page(&self, value: u64) {
        let frame = storm_frame(self.me, value);
        self.platform.store_frame(frame, 0, value);
        self.post().storm_begun.store(value, Ordering::Release);
        for space in STORM_SPACES {
            let mapping = of_storm(self.me, value);
            self.platform.map(space, storm_page(self.me), Some(mapping));
        }
    }

    /// Maps a page that was unmapped: that needs no flush.
    fn map_new(&self, space: Space, page: u16) {
        let (frame, tag) = self.take_frame(page, 1);
        self.show(space, page, frame, State::mapped(tag, Access::Write));
    }

    /// Maps a page that was unmapped to a frame.
    fn show(&self, space: Space, page: u16, frame: u16, state: State) {
        self.begin(space, page, frame, state);
        self.write_entry(space, page);
        self.publish(space, page);
    }

    /// Maps a page that is not mapped, except those of the plan.
    pub(crate) fn refill(&self, plan: &Plan, random: &mut Random) {
        let Some(space) = random.space_of(self.shared.alive.load(Ordering::Relaxed)) else {
            return;
        };
        let free = !self.mapped(space) & !plan.mask(space) & USER_MASK;
        if let Some(page) = random.bit_of(free) {
            self.map_new(space, page);
        }
    }

    /// Changes the entries of a plan; returns the frames to which none leads any more.
    pub(crate) fn change(&self, plan: &Plan) -> Freed {
        let mut freed = Freed::none();
        for page in bits(plan.global) {
            self.change_global(page, &mut freed);
        }
        self.change_parts(plan, &mut freed);
        for (space, mask) in plan.parts {
            let small = mask & !PARTS_MASK;
            bits(small).for_each(|page| self.change_page(plan, space, page, &mut freed));
        }
        if plan.frees_table {
            self.replace_table(plan.space);
        }
        freed
    }

    fn change_global(&self, page: u16, freed: &mut Freed) {
        let old = self.frame_of(Space::First, page);
        let (frame, tag) = self.take_frame(page, 1);
        self.begin(Space::First, page, frame, State::mapped(tag, Access::Write));
        Space::all().for_each(|space| self.write_entry(space, page));
        self.release_frame(old, freed);
    }

    fn change_page(&self, plan: &Plan, space: Space, page: u16, freed: &mut Freed) {
        let (old, state) = (self.frame_of(space, page), self.published(space, page));
        let is_unmapped = matches!(plan.operation, SoakOperation::Unmap | SoakOperation::Exit);
        let (frame, new) = match plan.operation {
            SoakOperation::Recycle => (old, state),
            SoakOperation::Revoke | SoakOperation::Fork => {
                (old, State::mapped(state.tag(), Access::Read))
            }
            SoakOperation::Grant => (old, State::mapped(state.tag(), Access::Write)),
            _ if is_unmapped => (old, State::UNMAPPED),
            operation => {
                let access = match operation {
                    SoakOperation::Copy => Access::Write,
                    _ => state.access(),
                };
                let (frame, tag) = self.take_frame(page, 1);
                (frame, State::mapped(tag, access))
            }
        };
        self.begin(space, page, frame, new);
        if !plan.frees_table {
            self.write_entry(space, page);
        }
        if is_unmapped || frame != old {
            self.release_frame(old, freed);
        }
    }

    /// Fills the spare page table, and puts it to use.
    fn replace_table(&self, space: Space) {
        for page in 0..CHANGING {
            let mapping = self.mapping(space, page);
            self.platform.map_in_spare(space, page, mapping);
        }
        let of_storms = STORM_SPACES.contains(&space);
        for cpu in (0..self.cpus()).filter(|_| of_storms) {
            let value = self
                .shared
                .post(cpu)
                .storm_published
                .load(Ordering::Relaxed);
            if let Page::Small(page) = storm_page(cpu) {
                let mapping = of_storm(cpu, value);
                self.platform.map_in_spare(space, page, Some(mapping));
            }
        }
        self.platform.swap_tables(space);
    }

    /// The page table of a space that was replaced is free, and is used for something else.
    pub(crate) fn reuse_table(&self, space: Space) {
        for page in 0..CHANGING {
            let poison = Mapping {
                frame: POISON,
                access: Access::Write,
                scope: Scope::Space,
            };
            self.platform.map_in_spare(space, page, Some(poison));
        }
    }

    /// The flush of a plan has returned: what was begun is what the pages show, and what it freed
    /// is used again.
    pub(crate) fn publish_all(&self, plan: &Plan) {
        let (shared, space) = (self.shared, plan.space);
        for (space, mask) in plan.parts.into_iter().chain([(Space::First, plan.global)]) {
            bits(mask).for_each(|page| self.publish(space, page));
        }
        if plan.frees_table {
            self.reuse_table(space);
        }
        self.settle_parts(plan);
        if plan.operation == SoakOperation::Exit {
            shared.alive.fetch_and(!bit(space), Ordering::AcqRel);
        }
        if plan.loses_pcid {
            self.take_pcid(space);
        }
        if let Some(other) = plan.other {
            if plan.operation == SoakOperation::Fork {
                self.copy_space(space, other);
                shared.alive.fetch_or(bit(other), Ordering::AcqRel);
            }
            if shared.with_pcid.load(Ordering::Relaxed) & bit(other) == 0 {
                self.give_pcid(other);
            }
        }
    }

    /// Lets an empty space share all pages of another, read-only.
    fn copy_space(&self, from: Space, to: Space) {
        for page in bits(self.mapped(from)) {
            let (frame, state) = (self.frame_of(from, page), self.published(from, page));
            self.share_frame(frame);
            self.show(to, page, frame, State::mapped(state.tag(), Access::Read));
        }
    }

    /// Notes what a page will show, before its entry is changed.
    pub(crate) fn begin(&self, space: Space, page: u16, frame: u16, state: State) {
        let record = self.shared.page(space, page);
        let before = record.published.load(Ordering::Relaxed);
        record.before.store(before, Ordering::Relaxed);
        record.frame.store(frame, Ordering::Relaxed);
        record.begun.store(state.bits(), Ordering::SeqCst);
    }

    pub(crate) fn publish(&self, space: Space, page: u16) {
        let record = self.shared.page(space, page);
        let state = record.begun.load(Ordering::Relaxed);
        record.published.store(state, Ordering::Release);
    }

    /// The mapping that a page will have.
    fn mapping(&self, space: Space, page: u16) -> Option<Mapping> {
        let record = self.shared.page(space, page);
        let state = State::from_bits(record.begun.load(Ordering::Relaxed));
        state.is_mapped().then(|| Mapping {
            frame: Frame::Small(record.frame.load(Ordering::Relaxed)),
            access: state.access(),
            scope: if (USER..CHANGING).contains(&page) {
                Scope::Global
            } else {
                Scope::Space
            },
        })
    }

    /// Parts of the large page are in the spare table while it is split.
    pub(crate) fn write_entry(&self, space: Space, page: u16) {
        let mapping = self.mapping(space, page);
        match page.checked_sub(CHANGING) {
            None => self.platform.map(space, Page::Small(page), mapping),
            Some(part) => self.platform.map_in_spare(space, part, mapping),
        }
    }
}

fn of_storm(cpu: u32, value: u64) -> Mapping {
    Mapping {
        frame: storm_frame(cpu, value),
        access: Access::Write,
        scope: Scope::Space,
    }
}
