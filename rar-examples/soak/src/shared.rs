//! What the CPUs of a soak share.

use core::sync::atomic::{AtomicBool, AtomicU8, AtomicU16, AtomicU32, AtomicU64, Ordering};

use rar_percpu::AtomicCpuSet;
use rar_suite::Space;

use crate::failure::FirstFailure;
use crate::free_pcids::FreePcids;
use crate::large_page::LargePage;
use crate::layout::{ALL, CHANGING, FRAME_NUMBERS, MOST_CPUS, POOL, USER, bit};
use crate::named::Named;
use crate::order::OrderWord;
use crate::tally::Tally;
use crate::thread::{THREADS, Thread};

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

/// One space.
#[derive(Debug)]
pub(crate) struct SpaceRecord {
    /// The CPUs that may cache its translations.
    cpus: AtomicCpuSet,
    /// Its pages; the global ones are those of the first space.
    pages: [PageRecord; ALL as usize],
    /// How often it was given a PCID.
    pub(crate) assignment: AtomicU32,
    pub(crate) threads: [Thread; THREADS],
}

impl SpaceRecord {
    const fn new() -> Self {
        Self {
            cpus: AtomicCpuSet::new(),
            pages: [const { PageRecord::new() }; ALL as usize],
            assignment: AtomicU32::new(0),
            threads: [const { Thread::new() }; THREADS],
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
    pub(crate) uses: [AtomicU8; FRAME_NUMBERS as usize],
    /// The sum of the words that CPUs store to, when the frame was freed.
    pub(crate) frozen: [AtomicU64; FRAME_NUMBERS as usize],
}

/// What the CPUs of a soak share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) failure: FirstFailure,
    pub(crate) tally: Tally,
    spaces: [SpaceRecord; Space::COUNT],
    /// The spaces that live, those that have a PCID, and those that a CPU may enter.
    pub(crate) alive: AtomicU32,
    pub(crate) with_pcid: AtomicU32,
    pub(crate) open: AtomicU32,
    pub(crate) free_pcids: FreePcids,
    pub(crate) large_page: LargePage,
    pub(crate) pool: Pool,
    pub(crate) posts: [Post; MOST_CPUS as usize],
    pub(crate) order: OrderWord,
    /// The pages that the order names: those to be judged, and those to be cached.
    pub(crate) judged: Named,
    pub(crate) cached: Named,
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
            spaces: [const { SpaceRecord::new() }; Space::COUNT],
            alive: AtomicU32::new(0),
            with_pcid: AtomicU32::new(0),
            open: AtomicU32::new(0),
            free_pcids: FreePcids::new(),
            large_page: LargePage::new(),
            pool: Pool {
                free: [const { AtomicU16::new(0) }; POOL as usize],
                count: AtomicU32::new(0),
                uses: [const { AtomicU8::new(0) }; FRAME_NUMBERS as usize],
                frozen: [const { AtomicU64::new(0) }; FRAME_NUMBERS as usize],
            },
            posts: [const { Post::new() }; MOST_CPUS as usize],
            order: OrderWord::new(),
            judged: Named::new(),
            cached: Named::new(),
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

    #[expect(clippy::indexing_slicing, reason = "a number below Space::COUNT")]
    pub(crate) fn space(&self, space: Space) -> &SpaceRecord {
        &self.spaces[space.index()]
    }

    #[expect(clippy::indexing_slicing, reason = "pages below ALL")]
    pub(crate) fn page(&self, space: Space, page: u16) -> &PageRecord {
        let is_global = (USER..CHANGING).contains(&page);
        let space = if is_global { Space::First } else { space };
        &self.space(space).pages[usize::from(page)]
    }

    #[expect(clippy::indexing_slicing, reason = "a soak refuses more CPUs")]
    pub(crate) fn post(&self, cpu: u32) -> &Post {
        &self.posts[cpu as usize]
    }

    pub(crate) fn set(&self, space: Space) -> &AtomicCpuSet {
        &self.space(space).cpus
    }

    /// The spaces that live and have a PCID: a CPU can run in them.
    pub(crate) fn runnable(&self) -> u32 {
        self.alive.load(Ordering::Acquire) & self.with_pcid.load(Ordering::Acquire)
    }

    /// Whether a CPU may enter a space, or stay in it.
    pub(crate) fn is_open(&self, space: Space) -> bool {
        self.open.load(Ordering::Acquire) & bit(space) != 0
    }
}
