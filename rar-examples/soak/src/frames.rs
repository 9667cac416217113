//! Frames: taken, shared, freed after a flush, and used again at once.

use core::sync::atomic::{AtomicU8, AtomicU64, Ordering};

use rar_suite::{Platform, Space};

use crate::cpu::Cpu;
use crate::failure::Kind;
use crate::layout::{FRAME_NUMBERS, POOL, frame_place, own_word};
use crate::shared::Shared;
use crate::tally::add;

/// The most frames that one flush frees.
const MOST: usize = 64;

/// Frames that no entry leads to any more. They are not free before the flush has returned.
#[derive(Debug)]
pub(crate) struct Freed {
    frames: [u16; MOST],
    count: usize,
}

impl Freed {
    pub(crate) const fn none() -> Self {
        Self {
            frames: [0; MOST],
            count: 0,
        }
    }

    fn push(&mut self, frame: u16) {
        if let Some(room) = self.frames.get_mut(self.count) {
            *room = frame;
            self.count += 1;
        }
    }

    fn iter(&self) -> impl Iterator<Item = u16> + '_ {
        self.frames.iter().copied().take(self.count)
    }
}

#[expect(clippy::indexing_slicing, reason = "frames below FRAME_NUMBERS")]
impl Shared {
    fn uses(&self, frame: u16) -> &AtomicU8 {
        &self.pool.uses[usize::from(frame)]
    }

    fn frozen(&self, frame: u16) -> &AtomicU64 {
        &self.pool.frozen[usize::from(frame)]
    }
}

/// Only the CPU that flushes calls these; a barrier is between two such CPUs.
impl<L: Platform> Cpu<'_, L> {
    /// Makes all frames free.
    pub(crate) fn fill_pool(&self) {
        for frame in 0..FRAME_NUMBERS {
            self.free(frame);
        }
        self.shared.tally.reused.store(0, Ordering::Relaxed);
    }

    /// Takes the frame that was freed last, and stores a new tag to it; returns both.
    pub(crate) fn take_frame(&self, page: u16, uses: u8) -> (u16, u64) {
        let pool = &self.shared.pool;
        let count = pool.count.load(Ordering::Relaxed).saturating_sub(1);
        pool.count.store(count, Ordering::Relaxed);
        let last = pool.free.get(count as usize);
        let frame = last.map_or(0, |frame| frame.load(Ordering::Relaxed));
        (frame, self.fill_frame(frame, page, uses))
    }

    /// Stores a new tag to a free frame, and returns it.
    pub(crate) fn fill_frame(&self, frame: u16, page: u16, uses: u8) -> u64 {
        let (was, is) = (
            self.shared.frozen(frame).load(Ordering::Relaxed),
            self.sum_of(frame),
        );
        if was != is {
            self.fail(Kind::FrameChanged, (Space::First, frame), was, is);
        }
        let serial = self.shared.serial.fetch_add(1, Ordering::Relaxed) + 1;
        let tag = serial << 6 | u64::from(page);
        let (place, first) = frame_place(frame);
        self.platform.store_frame(place, first, tag);
        self.shared.uses(frame).store(uses, Ordering::Relaxed);
        add(&self.shared.tally.reused, 1);
        tag
    }

    /// Another entry leads to a frame.
    pub(crate) fn share_frame(&self, frame: u16) {
        self.shared.uses(frame).fetch_add(1, Ordering::Relaxed);
    }

    /// Whether several entries lead to a frame.
    pub(crate) fn is_shared(&self, frame: u16) -> bool {
        self.shared.uses(frame).load(Ordering::Relaxed) > 1
    }

    /// An entry no longer leads to a frame: after the last one it is to be freed.
    pub(crate) fn release_frame(&self, frame: u16, freed: &mut Freed) {
        if self.shared.uses(frame).fetch_sub(1, Ordering::Relaxed) == 1 {
            freed.push(frame);
        }
    }

    /// Frees what a flush gave back.
    pub(crate) fn free_all(&self, freed: &Freed) {
        freed.iter().for_each(|frame| self.free(frame));
    }

    fn free(&self, frame: u16) {
        let pool = &self.shared.pool;
        self.shared
            .frozen(frame)
            .store(self.sum_of(frame), Ordering::Relaxed);
        if frame >= POOL {
            return;
        }
        let count = pool.count.load(Ordering::Relaxed);
        if let Some(room) = pool.free.get(count as usize) {
            room.store(frame, Ordering::Relaxed);
            pool.count.store(count + 1, Ordering::Relaxed);
        }
    }

    /// The sum of the words that CPUs store to.
    fn sum_of(&self, frame: u16) -> u64 {
        let (place, first) = frame_place(frame);
        let word = |cpu| self.platform.load_frame(place, first + own_word(cpu));
        (0..self.cpus()).map(word).fold(0, u64::wrapping_add)
    }
}
