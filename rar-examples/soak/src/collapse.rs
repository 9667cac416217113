//! A page table that becomes a large page, and a large page that becomes a page table.

use rar_payload::{PageRange, PageSize, Request, TableOwner};
use rar_suite::{Access, Frame, Mapping, Page, Platform, Scope, Space};
use rar_vocabulary::SoakOperation;

use crate::cpu::Cpu;
use crate::frames::Freed;
use crate::large_page::Form;
use crate::layout::{CHANGING, PARTS_MASK, bits, part_frame};
use crate::plan::Plan;
use crate::random::Random;
use crate::state::State;

/// Only the CPU that flushes calls these.
impl<L: Platform> Cpu<'_, L> {
    /// Chooses a flush for the large page. If it is in another space than this one, it goes.
    pub(crate) fn choose_large(&self, random: &mut Random, space: Space) -> Option<Plan> {
        let Some((own, form)) = self.shared.large_page.get() else {
            if self.shared.large_page.may_come_back() {
                self.map_parts(space);
            }
            return None;
        };
        let operation = match (form, random.below(10)) {
            _ if own != space => SoakOperation::Unmap,
            (_, 0) => SoakOperation::Unmap,
            (Form::Whole, _) => SoakOperation::Split,
            (Form::Split, 1..4) => SoakOperation::Remap,
            (Form::Split, _) => SoakOperation::Collapse,
        };
        let mask = match operation {
            SoakOperation::Remap => 1 << random.bit_of(PARTS_MASK)?,
            _ => PARTS_MASK,
        };
        Some(Plan::new(operation, own, mask))
    }

    /// Maps a page table where nothing was mapped: that needs no flush.
    fn map_parts(&self, space: Space) {
        for page in bits(PARTS_MASK) {
            let (frame, tag) = self.take_frame(page, 1);
            self.begin(space, page, frame, State::mapped(tag, Access::Write));
            self.write_entry(space, page);
        }
        self.platform.split_large(space);
        bits(PARTS_MASK).for_each(|page| self.publish(space, page));
        let split = Some((space, Form::Split));
        self.shared.large_page.set(split);
    }

    /// Changes the parts of a plan.
    pub(crate) fn change_parts(&self, plan: &Plan, freed: &mut Freed) {
        let (space, mask) = (plan.space, plan.mask(plan.space) & PARTS_MASK);
        if mask == 0 {
            return;
        }
        let large = (plan.operation == SoakOperation::Collapse)
            .then(|| self.shared.large_page.take_frame());
        for page in bits(mask) {
            let old = self.frame_of(space, page);
            let (frame, state) = match (plan.operation, large) {
                (SoakOperation::Unmap, _) => (old, State::UNMAPPED),
                (_, Some(large)) => {
                    let frame = part_frame(large, page);
                    let tag = self.fill_frame(frame, page, 1);
                    (frame, State::mapped(tag, Access::Write))
                }
                _ => {
                    let (frame, tag) = self.take_frame(page, 1);
                    (frame, State::mapped(tag, Access::Write))
                }
            };
            self.begin(space, page, frame, state);
            if matches!(plan.operation, SoakOperation::Split | SoakOperation::Remap) {
                self.write_entry(space, page);
            }
            self.release_frame(old, freed);
        }
        let whole = large.map(|large| Mapping {
            frame: Frame::Large(large),
            access: Access::Write,
            scope: Scope::Space,
        });
        match plan.operation {
            SoakOperation::Split => self.platform.split_large(space),
            SoakOperation::Remap => {}
            _ => self.platform.map(space, Page::Large, whole),
        }
    }

    /// What a flush for the large page requests.
    pub(crate) fn request_for_parts(&self, plan: &Plan) -> Option<Request> {
        let (space, mask) = (plan.space, plan.mask(plan.space) & PARTS_MASK);
        let first = u16::try_from(mask.trailing_zeros()).ok()?;
        let part = first.checked_sub(CHANGING).filter(|_| mask != 0)?;
        let (pcid, start) = (
            self.platform.pcid(space),
            self.platform.address(Page::Large),
        );
        let pages = |address, size| {
            let range = PageRange::new(address, 1, size);
            range.map_or(Request::AddressSpace { pcid }, |range| Request::Pages {
                pcid,
                range,
            })
        };
        Some(
            match (plan.operation, self.shared.large_page.form_in(space)) {
                (SoakOperation::Remap, _) => {
                    pages(start + (u64::from(part) << 12), PageSize::Size4K)
                }
                (_, Some(Form::Split)) => Request::TablesFreed(TableOwner::AddressSpace(pcid)),
                _ => pages(start, PageSize::Size2M),
            },
        )
    }

    /// The flush of a plan for the large page has returned.
    pub(crate) fn settle_parts(&self, plan: &Plan) {
        let (space, page) = (plan.space, &self.shared.large_page);
        if plan.mask(space) & PARTS_MASK == 0 || plan.operation == SoakOperation::Remap {
            return;
        }
        if page.form_in(space) == Some(Form::Split) {
            self.reuse_table(space);
        }
        page.set(match plan.operation {
            SoakOperation::Collapse => Some((space, Form::Whole)),
            SoakOperation::Split => Some((space, Form::Split)),
            _ => None,
        });
    }
}
