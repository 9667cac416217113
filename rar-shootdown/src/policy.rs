//! The choices a kernel makes once.

/// How long to wait, in ticks of [`Machine::now`](crate::Machine::now), and when many small operations become one large one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Policy {
    /// How long a target may take to answer the signal before the fallback is used.
    pub answer: u64,
    /// How long a target may take to answer the fallback before the flush fails.
    pub fallback: u64,
    /// How long to look for a free slot before the flush goes without one.
    pub slot: u64,
    /// After how long an unanswered signal is sent once more; `None` never.
    ///
    /// Presumably harmless: signals seem to merge in one latch, and final bytes are skipped (inferred). Only a
    /// RAR unit gains by it: an ordinary interrupt is not lost.
    pub resignal: Option<u64>,
    /// How many operations may go out under one signal, 1 to [`Policy::MAX_OPERATIONS`]; more become one that covers all.
    pub operations: usize,
}

impl Policy {
    /// The largest number of operations, and so of slots, of one flush.
    pub const MAX_OPERATIONS: usize = 4;

    /// Returns a policy for a clock of that rate: 10 ms for an answer, 100 ms for the fallback, 1 ms for a slot, no second
    /// signal, all [`Policy::MAX_OPERATIONS`].
    ///
    /// These are bounds against hanging, not latencies to expect.
    #[must_use]
    pub const fn for_clock(ticks_per_millisecond: u64) -> Self {
        Self {
            answer: ticks_per_millisecond.saturating_mul(10),
            fallback: ticks_per_millisecond.saturating_mul(100),
            slot: ticks_per_millisecond,
            resignal: None,
            operations: Self::MAX_OPERATIONS,
        }
    }
}
