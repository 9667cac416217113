//! Where the large page is.

use core::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use rar_suite::{LARGE_FRAMES, Space};

/// What is mapped at the address of the large page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// A large page.
    Whole,
    /// A page table.
    Split,
}

/// The one space that has anything there, if one has.
#[derive(Debug)]
pub(crate) struct LargePage {
    /// The number of the space from 1, and the form in the low bit.
    state: AtomicU32,
    /// How many large frames were taken so far.
    taken: AtomicU32,
    /// Whether CPUs may still be in the middle of an access to what was unmapped.
    is_fresh: AtomicBool,
}

/// Only the CPU that flushes calls these.
impl LargePage {
    pub(crate) const fn new() -> Self {
        Self {
            state: AtomicU32::new(0),
            taken: AtomicU32::new(0),
            is_fresh: AtomicBool::new(false),
        }
    }

    pub(crate) fn get(&self) -> Option<(Space, Form)> {
        let state = self.state.load(Ordering::Relaxed);
        let number = (state >> 1).checked_sub(1)?;
        let form = match state & 1 {
            0 => Form::Whole,
            _ => Form::Split,
        };
        Some((Space::nth(number as usize)?, form))
    }

    pub(crate) fn form_in(&self, space: Space) -> Option<Form> {
        let (own, form) = self.get()?;
        (own == space).then_some(form)
    }

    pub(crate) fn set(&self, state: Option<(Space, Form)>) {
        let state = state.map_or(0, |(space, form)| {
            let number = u32::try_from(space.index()).unwrap_or(0) + 1;
            number << 1 | u32::from(form == Form::Split)
        });
        self.state.store(state, Ordering::Relaxed);
        self.is_fresh.store(state == 0, Ordering::Relaxed);
    }

    /// Whether something may be mapped there again: not before the next order.
    pub(crate) fn may_come_back(&self) -> bool {
        !self.is_fresh.swap(false, Ordering::Relaxed)
    }

    /// Takes the next large frame, in turn.
    pub(crate) fn take_frame(&self) -> u8 {
        let taken = self.taken.fetch_add(1, Ordering::Relaxed);
        u8::try_from(taken % u32::from(LARGE_FRAMES)).unwrap_or(0)
    }
}
