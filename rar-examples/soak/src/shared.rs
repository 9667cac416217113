//! What the CPUs of a soak share.

use core::sync::atomic::{AtomicBool, AtomicU8, AtomicU16, AtomicU32, AtomicU64};

use rar_percpu::AtomicCpuSet;
use rar_suite::Space;

use crate::failure::FirstFailure;
use crate::layout::{CHANGING, MOST_CPUS, POOL, index};
use crate::order::OrderWord;
use crate::tally::Tally;

/// One page of one space, as the oracle knows it.
#[derive(Debug)]
pub(crate) struct PageRecord {
    /// What the page shows since the last flush returned.
    pub(crate) published: AtomicU64,
    /// What it will show: stored before the entry is.
    pub(crate) begun: AtomicU64,
    /// What it showed before.
    pub(crate) before: AtomicU64,
    /// The frame that the entry leads to.
    pub(crate) frame: AtomicU16,
}

impl PageRecord {
    const fn new() -> Self {
        Self {
            published: AtomicU64::new(0),
            begun: AtomicU64::new(0),
            before: AtomicU64::new(0),
            frame: AtomicU16::new(0),
        }
    }
}

/// What one CPU says to the others: on lines of its own.
#[derive(Debug)]
#[repr(align(128))]
pub(crate) struct Post {
    /// The last order that it has obeyed.
    pub(crate) obeyed: AtomicU64,
    /// The space that it runs in, by index.
    pub(crate) space: AtomicU32,
    /// When it last lost much time, in nanoseconds.
    pub(crate) lost_time: AtomicU64,
    /// Whether it spins with its interrupts disabled.
    pub(crate) spins: AtomicBool,
    /// The value of its page in storms since the last flush returned, and while one is in flight.
    pub(crate) storm_published: AtomicU64,
    pub(crate) storm_begun: AtomicU64,
    /// The last of its flushes in storms that is verified.
    pub(crate) storm_verified: AtomicU64,
}

impl Post {
    const fn new() -> Self {
        Self {
            obeyed: AtomicU64::new(0),
            space: AtomicU32::new(0),
            lost_time: AtomicU64::new(0),
            spins: AtomicBool::new(false),
            storm_published: AtomicU64::new(0),
            storm_begun: AtomicU64::new(0),
            storm_verified: AtomicU64::new(0),
        }
    }
}

/// The frames of the pages that change.
#[derive(Debug)]
pub(crate) struct Pool {
    /// Free frames; the last one is taken first.
    pub(crate) free: [AtomicU16; POOL as usize],
    pub(crate) count: AtomicU32,
    /// How many entries lead to a frame.
    pub(crate) uses: [AtomicU8; POOL as usize],
    /// The sum of the words that CPUs store to, when the frame was freed.
    pub(crate) frozen: [AtomicU64; POOL as usize],
}

/// What the CPUs of a soak share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) failure: FirstFailure,
    pub(crate) tally: Tally,
    pub(crate) sets: [AtomicCpuSet; 2],
    pub(crate) pages: [[PageRecord; CHANGING as usize]; 2],
    pub(crate) pool: Pool,
    pub(crate) posts: [Post; MOST_CPUS as usize],
    pub(crate) order: OrderWord,
    /// The pages of each space that the order names: those to be judged, and those to be cached.
    pub(crate) judged: [AtomicU64; 2],
    pub(crate) cached: [AtomicU64; 2],
    /// The CPU that bears a fault, plus one; and the fault, by index.
    pub(crate) victim: AtomicU32,
    pub(crate) fault: AtomicU32,
    /// The last order whose flush has returned.
    pub(crate) flushed: AtomicU64,
    /// How many CPUs have shown that the last flush was needed, and took place.
    pub(crate) witnesses: AtomicU64,
    pub(crate) arrived: AtomicU64,
    pub(crate) serial: AtomicU64,
    pub(crate) flushes: AtomicU64,
    /// The last flush: its kind.
    pub(crate) doing: AtomicU64,
    pub(crate) ended: AtomicBool,
}

impl Shared {
    pub(crate) const fn new() -> Self {
        Self {
            failure: FirstFailure::new(),
            tally: Tally::new(),
            sets: [AtomicCpuSet::new(), AtomicCpuSet::new()],
            pages: [const { [const { PageRecord::new() }; CHANGING as usize] }; 2],
            pool: Pool {
                free: [const { AtomicU16::new(0) }; POOL as usize],
                count: AtomicU32::new(0),
                uses: [const { AtomicU8::new(0) }; POOL as usize],
                frozen: [const { AtomicU64::new(0) }; POOL as usize],
            },
            posts: [const { Post::new() }; MOST_CPUS as usize],
            order: OrderWord::new(),
            judged: [const { AtomicU64::new(0) }; 2],
            cached: [const { AtomicU64::new(0) }; 2],
            victim: AtomicU32::new(0),
            fault: AtomicU32::new(0),
            flushed: AtomicU64::new(0),
            witnesses: AtomicU64::new(0),
            arrived: AtomicU64::new(0),
            serial: AtomicU64::new(0),
            flushes: AtomicU64::new(0),
            doing: AtomicU64::new(0),
            ended: AtomicBool::new(false),
        }
    }

    #[expect(clippy::indexing_slicing, reason = "pages below CHANGING, two spaces")]
    pub(crate) fn page(&self, space: Space, page: u16) -> &PageRecord {
        &self.pages[index(space)][usize::from(page)]
    }

    #[expect(clippy::indexing_slicing, reason = "a soak refuses more CPUs")]
    pub(crate) fn post(&self, cpu: u32) -> &Post {
        &self.posts[cpu as usize]
    }

    #[expect(clippy::indexing_slicing, reason = "two spaces")]
    pub(crate) fn set(&self, space: Space) -> &AtomicCpuSet {
        &self.sets[index(space)]
    }
}
