//! What CPUs do in a history.

use proptest::collection::vec;
use proptest::prelude::*;
use serde::{Deserialize, Serialize};

use super::layout::{KERNEL_PAGES, PAGES, REGIONS, SPACES, Slot};

/// One operation of a CPU.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Op {
    /// Accesses a page of its own space.
    Touch {
        /// Which page.
        slot: Slot,
        /// A store, not a load.
        write: bool,
    },
    /// Loads from every page of its own space.
    Sweep,
    /// Remaps a page to a new frame, flushes, and frees the old frame. Maps it if it is not mapped.
    Remap {
        /// The space.
        space: u8,
        /// Which page.
        slot: Slot,
    },
    /// Remaps several pages of a region under one flush.
    RemapMany {
        /// The space.
        space: u8,
        /// The region.
        region: u8,
        /// The first page.
        first: u8,
        /// How many pages, cut to the region.
        count: u8,
    },
    /// Remaps a page in each of two spaces under one signal.
    RemapTwo {
        /// One space.
        space: u8,
        /// The other.
        other: u8,
        /// Which page, of both.
        slot: Slot,
    },
    /// Remaps the pages of a region in each of two spaces, two pages under one signal. Starts all
    /// these flushes before it waits for the first, so that the CPU holds many slots.
    RemapAtOnce {
        /// One space.
        space: u8,
        /// The other.
        other: u8,
        /// The region.
        region: u8,
    },
    /// Unmaps a page, flushes, and frees the frame.
    Unmap {
        /// The space.
        space: u8,
        /// Which page.
        slot: Slot,
    },
    /// Makes a page read-only and flushes.
    Revoke {
        /// The space.
        space: u8,
        /// Which page.
        slot: Slot,
    },
    /// Clears the A and D bits of a page and flushes.
    Clean {
        /// The space.
        space: u8,
        /// Which page.
        slot: Slot,
    },
    /// Removes a page table with all its pages, flushes, and frees them.
    FreeTable {
        /// The space.
        space: u8,
        /// The region.
        region: u8,
    },
    /// Replaces a page table by one large page, or a large page by a new table.
    Collapse {
        /// The space.
        space: u8,
        /// The region.
        region: u8,
    },
    /// Replaces the page table of the global pages, flushes, and frees the old one.
    FreeKernelTable,
    /// Starts a flush and never waits for it; nothing is freed.
    Abandon {
        /// The space.
        space: u8,
        /// Which page.
        slot: Slot,
    },
    /// Starts a flush and forgets its value: the owned value is leaked, and the slots stay posted.
    Forget {
        /// The space.
        space: u8,
        /// Which page.
        slot: Slot,
    },
    /// Remaps a page and queues the flush. Any CPU may end it.
    Queue {
        /// The space.
        space: u8,
        /// Which page.
        slot: Slot,
    },
    /// Polls a queued flush once. Frees what it owned if it has ended.
    Poll,
    /// Owns free slots for a while, and posts nothing.
    Hold {
        /// How many.
        slots: u8,
        /// For how many moments.
        moments: u8,
    },
    /// Ignores signals for a while and accesses pages. Also ignores interrupts and NMIs if
    /// `silent`.
    Deaf {
        /// For how many moments.
        moments: u8,
        /// Ignores everything.
        silent: bool,
    },
    /// Verifies its RAR unit.
    Verify,
    /// Dies, is declared dead, and another CPU with its number comes online.
    Die {
        /// For how many moments.
        moments: u8,
    },
    /// Switches to another space and keeps the cached translations.
    Switch {
        /// The space.
        space: u8,
    },
    /// Switches to another space and flushes the old one.
    SwitchAndForget {
        /// The space.
        space: u8,
    },
    /// Idles in lazy mode: flushes may skip this CPU.
    Idle {
        /// For how many moments.
        moments: u8,
        /// Halted, not spinning.
        halted: bool,
    },
    /// Runs a guest.
    Guest {
        /// For how many moments.
        moments: u8,
        /// Flushes may skip this CPU meanwhile.
        deferred: bool,
    },
    /// Accesses pages with interrupts disabled.
    InterruptsOff {
        /// For how many moments.
        moments: u8,
    },
    /// Goes offline and comes back.
    Unplug {
        /// For how many moments.
        moments: u8,
        /// What happens to the registers meanwhile.
        reset: Reset,
    },
    /// Interrupts a CPU, whose handler remaps a global page: a flush from an interrupt.
    Interrupt {
        /// Which CPU, modulo their number.
        target: u16,
    },
}

impl Op {
    /// How many kinds of operations there are.
    pub const KINDS: usize = 27;

    /// Returns the number of its kind, below [`KINDS`](Self::KINDS).
    pub(crate) const fn kind(&self) -> usize {
        match self {
            Self::Touch { .. } => 0,
            Self::Sweep => 1,
            Self::Remap { .. } => 2,
            Self::RemapMany { .. } => 3,
            Self::RemapTwo { .. } => 4,
            Self::RemapAtOnce { .. } => 5,
            Self::Unmap { .. } => 6,
            Self::Revoke { .. } => 7,
            Self::FreeTable { .. } => 8,
            Self::Collapse { .. } => 9,
            Self::FreeKernelTable => 10,
            Self::Abandon { .. } => 11,
            Self::Switch { .. } => 12,
            Self::SwitchAndForget { .. } => 13,
            Self::Idle { .. } => 14,
            Self::Guest { .. } => 15,
            Self::InterruptsOff { .. } => 16,
            Self::Unplug { .. } => 17,
            Self::Interrupt { .. } => 18,
            Self::Forget { .. } => 19,
            Self::Queue { .. } => 20,
            Self::Poll => 21,
            Self::Hold { .. } => 22,
            Self::Deaf { .. } => 23,
            Self::Verify => 24,
            Self::Die { .. } => 25,
            Self::Clean { .. } => 26,
        }
    }
}

/// What happens to an offline CPU.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Reset {
    /// Nothing.
    None,
    /// INIT.
    Init,
    /// It loses power.
    Power,
}

/// Kinds of operations that only some histories have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Extra {
    /// Those of hard conditions.
    pub(crate) rough: bool,
    /// [`Op::Clean`].
    pub(crate) cleans: bool,
}

/// A history: the operations of each CPU, in order, and the seed of the interleaving.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct History {
    /// Decides every choice of the scheduler and the machine.
    pub seed: u64,
    /// The parts of all CPUs.
    pub ops: Vec<(u16, Op)>,
}

impl History {
    /// Returns random histories of at most `ops` operations on `cpus` CPUs, with the extra kinds.
    pub(crate) fn any(cpus: u32, ops: usize, seed: u64, extra: Extra) -> BoxedStrategy<Self> {
        let cpus = u16::try_from(cpus).unwrap_or(u16::MAX);
        let op = if extra.rough {
            prop_oneof![4 => op(), 1 => rough_op()].boxed()
        } else {
            op().boxed()
        };
        let op = if extra.cleans {
            prop_oneof![6 => op, 1 => clean_op(), 1 => store_op()].boxed()
        } else {
            op
        };
        vec((0..cpus, op), 0..=ops)
            .prop_map(move |ops| Self { seed, ops })
            .boxed()
    }
}

/// Operations that need tolerance of late CPUs.
fn rough_op() -> impl Strategy<Value = Op> {
    prop_oneof![
        3 => (any::<u8>(), any::<bool>())
            .prop_map(|(moments, silent)| Op::Deaf { moments, silent }),
        2 => any::<u8>().prop_map(|moments| Op::InterruptsOff { moments }),
        2 => Just(Op::Verify),
        2 => (0..40_u8).prop_map(|moments| Op::Die { moments }),
    ]
}

fn clean_op() -> impl Strategy<Value = Op> {
    (0..SPACES, slot()).prop_map(|(space, slot)| Op::Clean { space, slot })
}

/// Stores make pages dirty, and show whether they set D again.
fn store_op() -> impl Strategy<Value = Op> {
    slot().prop_map(|slot| Op::Touch { slot, write: true })
}

fn op() -> impl Strategy<Value = Op> {
    let space = || 0..SPACES;
    let region = || 0..REGIONS;
    prop_oneof![
        12 => (slot(), any::<bool>()).prop_map(|(slot, write)| Op::Touch { slot, write }),
        6 => Just(Op::Sweep),
        12 => (space(), slot()).prop_map(|(space, slot)| Op::Remap { space, slot }),
        4 => (space(), region(), 0..PAGES, 2..=PAGES)
            .prop_map(|(space, region, first, count)| {
                Op::RemapMany { space, region, first, count }
            }),
        2 => (space(), space(), slot())
            .prop_map(|(space, other, slot)| Op::RemapTwo { space, other, slot }),
        1 => (space(), space(), region())
            .prop_map(|(space, other, region)| Op::RemapAtOnce { space, other, region }),
        4 => (space(), slot()).prop_map(|(space, slot)| Op::Unmap { space, slot }),
        4 => (space(), slot()).prop_map(|(space, slot)| Op::Revoke { space, slot }),
        3 => (space(), region()).prop_map(|(space, region)| Op::FreeTable { space, region }),
        2 => (space(), region()).prop_map(|(space, region)| Op::Collapse { space, region }),
        1 => Just(Op::FreeKernelTable),
        1 => (space(), slot()).prop_map(|(space, slot)| Op::Abandon { space, slot }),
        1 => (space(), slot()).prop_map(|(space, slot)| Op::Forget { space, slot }),
        3 => (space(), slot()).prop_map(|(space, slot)| Op::Queue { space, slot }),
        3 => Just(Op::Poll),
        2 => (1..=4_u8, 0..20_u8).prop_map(|(slots, moments)| Op::Hold { slots, moments }),
        4 => space().prop_map(|space| Op::Switch { space }),
        3 => space().prop_map(|space| Op::SwitchAndForget { space }),
        3 => (0..50_u8, any::<bool>()).prop_map(|(moments, halted)| Op::Idle { moments, halted }),
        2 => (0..50_u8, any::<bool>())
            .prop_map(|(moments, deferred)| Op::Guest { moments, deferred }),
        2 => (0..30_u8).prop_map(|moments| Op::InterruptsOff { moments }),
        2 => (0..50_u8, reset()).prop_map(|(moments, reset)| Op::Unplug { moments, reset }),
        3 => any::<u16>().prop_map(|target| Op::Interrupt { target }),
    ]
}

fn reset() -> impl Strategy<Value = Reset> {
    prop_oneof![Just(Reset::None), Just(Reset::Init), Just(Reset::Power)]
}

fn slot() -> impl Strategy<Value = Slot> {
    prop_oneof![
        6 => (0..REGIONS, 0..PAGES).prop_map(|(region, page)| Slot::Small { region, page }),
        1 => Just(Slot::Large),
        1 => Just(Slot::Huge),
        2 => (0..KERNEL_PAGES).prop_map(|page| Slot::Kernel { page }),
    ]
}
