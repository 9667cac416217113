//! The choices a kernel makes once.

use core::time::Duration;

use rar_payload::{CostModel, Request};
use rar_percpu::{Missed, Skippable};

use crate::counting::Counting;
use crate::global_flush::GlobalFlush;

/// How long to wait, when many small operations become one large one, and what lazy CPUs may go
/// without.
///
/// The times are bounds against hanging, not latencies to expect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub struct Policy {
    /// How long a target may take to answer the signal before the fallback is used.
    pub answer_timeout: Duration,
    /// How long a target may take to answer the fallback before the flush fails. After half of it
    /// the targets get an NMI, if the machine offers one, else another interrupt.
    pub fallback_timeout: Duration,
    /// How long to look for a free slot before the flush goes without one. Where a target's
    /// microcode answers it is [`answer_timeout`](Self::answer_timeout) if that is longer: such a
    /// target may hold off an interrupt.
    pub slot_timeout: Duration,
    /// After how long an unanswered signal is sent once more; `None` never.
    ///
    /// Presumably harmless: signals seem to merge in one latch, and final bytes are skipped
    /// (inferred). Only a RAR unit gains by it: an ordinary interrupt is not lost.
    pub resignal_after: Option<Duration>,
    /// How many operations may go out under one signal, 1 to [`Policy::MAX_OPERATIONS`]. More
    /// become fewer that cover them, step by step.
    pub max_operations: usize,
    /// When to flush a whole address space although its pages fit the entries: it is cheaper.
    pub costs: CostModel,
    /// What a CPU in lazy TLB mode may go without until it leaves the mode.
    pub lazy: LazySkip,
    /// How ranges that are mapped global are flushed.
    pub global_pages: GlobalFlush,
    /// What is counted besides what is rare.
    pub counting: Counting,
}

/// Which requests skip a CPU in lazy TLB mode. What is user memory is the kernel's to say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum LazySkip {
    /// None: lazy CPUs are flushed as any other.
    #[default]
    Nothing,
    /// [`Request::Pages`] whose pages all lie between these addresses.
    Pages {
        /// The first address of user memory.
        first: u64,
        /// The last address of user memory.
        last: u64,
    },
    /// The same, and [`Request::AddressSpace`]: no address space holds a page outside, except for
    /// global ones, that a lazy CPU uses. A kernel with kernel pages under a user PCID (page-table
    /// isolation, per-space stacks) cannot say that.
    PagesAndSpaces {
        /// The first address of user memory.
        first: u64,
        /// The last address of user memory.
        last: u64,
    },
}

impl LazySkip {
    /// Pages of the lower half, for a kernel whose own pages all lie in the upper half.
    pub const LOWER_HALF_PAGES: Self = Self::Pages {
        first: 0,
        last: u64::MAX >> 1,
    };

    /// Pages of the lower half and whole address spaces, for a kernel whose own pages all lie in
    /// the upper half and are global or under a PCID of their own.
    pub const LOWER_HALF: Self = Self::PagesAndSpaces {
        first: 0,
        last: u64::MAX >> 1,
    };

    fn skips(self, request: &Request) -> bool {
        let (first, last, spaces) = match self {
            Self::Nothing => return false,
            Self::Pages { first, last } => (first, last, false),
            Self::PagesAndSpaces { first, last } => (first, last, true),
        };
        match request {
            Request::Pages { range, .. } => {
                let last_byte = range.last() | (range.size().bytes() - 1);
                first <= range.start() && last_byte <= last
            }
            Request::AddressSpace { .. } => spaces,
            _ => false,
        }
    }
}

impl Policy {
    /// The largest number of operations, and so of slots, of one flush.
    pub const MAX_OPERATIONS: usize = 4;

    /// Returns the default: 10 ms for an answer with a second signal after 5 ms, 100 ms for the
    /// fallback, 1 ms for a slot, all [`Policy::MAX_OPERATIONS`], the costs of [`CostModel::new`],
    /// no CPU is skipped for being lazy, global pages go with everything, and only what is rare is
    /// counted.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            answer_timeout: Duration::from_millis(10),
            fallback_timeout: Duration::from_millis(100),
            slot_timeout: Duration::from_millis(1),
            resignal_after: Some(Duration::from_millis(5)),
            max_operations: Self::MAX_OPERATIONS,
            costs: CostModel::new(),
            lazy: LazySkip::Nothing,
            global_pages: GlobalFlush::Everything,
            counting: Counting::Rare,
        }
    }

    /// Returns how many operations may go out under one signal: one goes out whatever the limit.
    pub(crate) const fn most_operations(&self) -> usize {
        match self.max_operations {
            0 => 1,
            most => most,
        }
    }

    /// Returns how many operations may go out without a look at whether CPUs are lazy, at how
    /// pages are flushed, or at what is counted.
    pub(crate) const fn plain_operations(&self) -> usize {
        let is_plain = matches!(self.lazy, LazySkip::Nothing)
            && matches!(self.global_pages, GlobalFlush::Everything)
            && matches!(self.counting, Counting::Rare);
        if is_plain { self.most_operations() } else { 0 }
    }

    /// Returns which CPUs may be skipped for all of the requests.
    pub(crate) fn skippable(&self, requests: &[Request]) -> Skippable {
        if !requests.iter().all(Request::may_skip_guests) {
            Skippable::Never
        } else if self.skips_lazy(requests) {
            Skippable::Lazy(missed_by(requests))
        } else {
            Skippable::InGuest
        }
    }

    /// Returns whether CPUs in lazy TLB mode may be skipped for all of the requests.
    #[inline]
    pub(crate) fn skips_lazy(&self, requests: &[Request]) -> bool {
        self.lazy != LazySkip::Nothing && requests.iter().all(|request| self.lazy.skips(request))
    }
}

/// Returns what a CPU misses that is skipped for all of the requests.
fn missed_by(requests: &[Request]) -> Missed {
    let missed = |request: &Request| match *request {
        Request::Pages { pcid, .. } | Request::AddressSpace { pcid } => Missed::Space(pcid),
        _ => Missed::Anything,
    };
    let all = requests.iter().map(missed).reduce(Missed::and);
    all.unwrap_or(Missed::Anything)
}

impl Default for Policy {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
#[cfg(not(rar_loom))]
mod tests {
    use super::*;

    #[test]
    fn one_operation_goes_out_whatever_the_limit() {
        for (limit, most) in [(0, 1), (1, 1), (3, 3)] {
            let mut policy = Policy::new();
            policy.max_operations = limit;
            assert_eq!(policy.most_operations(), most);
            assert_eq!(policy.plain_operations(), most);
        }
    }

    #[test]
    fn what_needs_a_look_at_the_policy_is_not_plain() {
        let changes: [fn(&mut Policy); 3] = [
            |policy| policy.lazy = LazySkip::LOWER_HALF,
            |policy| policy.counting = Counting::Waits,
            |policy| policy.counting = Counting::Flushes,
        ];
        for change in changes {
            let mut policy = Policy::new();
            change(&mut policy);
            assert_eq!(policy.plain_operations(), 0, "{policy:?}");
        }
    }
}
