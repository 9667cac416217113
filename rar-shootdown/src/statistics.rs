//! What each CPU counts, and readings of it.

mod text;
mod wait_times;

use rar_percpu::{Counter, Counts};

pub use self::wait_times::WaitTimes;

macro_rules! counts {
    ($($(#[doc = $doc:literal])* $index:ident $name:ident $label:literal,)*) => {
        /// The counts of a CPU, by name.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum Count {
            $($index,)*
        }

        /// A reading of what was counted since the start: by one CPU, or by all together.
        ///
        /// Each CPU counts on cache lines of its own; a reader reads one count after the other, so
        /// a reading is not of one moment. A count is of the CPU that ran the code: the initiator
        /// for a flush, the CPU that waited for its end, the target for what it served.
        ///
        /// What is rare is always counted. [`Policy::counting`](crate::Policy::counting) says
        /// whether what every flush does is counted, too.
        ///
        /// Counts of what is rare, from `fallbacks` on, are exact. The others are never too high,
        /// and never zero after an event; one is too low only if a handler flushes or serves
        /// between two instructions that raise the very same count. While a CPU is unregistered, a
        /// sum over all CPUs may lack its counts or have them twice.
        ///
        /// A kernel that reads twice takes the difference by [`since`](Self::since). Readings of
        /// several CPUs are summed by `+` and [`Iterator::sum`].
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        #[cfg_attr(feature = "defmt", derive(defmt::Format))]
        #[non_exhaustive]
        pub struct Statistics {
            $($(#[doc = $doc])* pub $name: u64,)*
            /// How long waits took, if flushes are counted.
            pub waits: WaitTimes,
            /// Slots in quarantine at this moment; 0 in a reading of one CPU, since slots are of
            /// all.
            pub quarantined: usize,
        }

        const NAMED: usize = [$(Count::$index),*].len();

        impl Statistics {
            pub(crate) fn of(counts: &Counts) -> Self {
                let count = |count: Count| counts.get(count.counter().index());
                Self {
                    $($name: count(Count::$index).copied().unwrap_or_default(),)*
                    waits: WaitTimes::of(counts.last_chunk().copied().unwrap_or_default()),
                    quarantined: 0,
                }
            }

            /// Returns each count but those of waits, with its label.
            fn named(&self) -> [(&'static str, u64); NAMED] {
                [$(($label, self.$name),)*]
            }

            fn combined(self, other: Self, combine: fn(u64, u64) -> u64) -> Self {
                Self {
                    $($name: combine(self.$name, other.$name),)*
                    waits: self.waits.combined(other.waits, combine),
                    quarantined: self.quarantined,
                }
            }
        }
    };
}

counts! {
    /// Flushes that were begun here, those included that had no other target than this CPU. Not
    /// those that the local TLB does not support.
    Flushes flushes "flushes",
    /// The targets of those flushes except this CPU: online, lazy or not.
    Targets targets "targets",
    /// Of the targets, those that were skipped: lazy, or in a guest.
    Skipped skipped "skipped",
    /// Pages that were flushed by address, once a flush whatever the number of targets.
    Pages pages "pages",
    /// Operations that went out for more than pages because the request says so:
    /// `Request::AddressSpace`, `Request::Everything`, and those of guests.
    WholeAsked whole_asked "whole (asked)",
    /// The same because pages one by one cost more, by `Policy::costs`.
    WholeCheaper whole_cheaper "whole (cheaper)",
    /// The same because there were too few entries: more requests than `Policy::max_operations`, or
    /// than free slots.
    WholeCrowded whole_crowded "whole (crowded)",
    /// The same for `Request::GlobalPages`.
    WholeGlobals whole_globals "whole (globals)",
    /// The same for `Request::TablesFreed`.
    WholeTables whole_tables "whole (freed tables)",
    /// Operations that were saved: those of the requests one by one, less those that went out.
    Merged merged "operations merged",
    /// Entries of others that this CPU carried out in software.
    Served served "served",
    /// Entries of others that this CPU refused in software, with FAILURE.
    Refused refused "refused",
    /// Full flushes that others requested of this CPU by generation, and that it has done.
    ServedFull served_full "full flushes served",
    /// CPUs that were asked by the fallback because they did not answer the signal, or answered
    /// FAILURE.
    Fallbacks fallbacks "fallbacks",
    /// Flushes whose signal was sent a second time.
    Resignals resignals "second signals",
    /// Flushes whose fallback was sent as an NMI.
    Nmis nmis "NMIs",
    /// FAILURE answers that were seen.
    Failures failures "FAILURE answers",
    /// Flushes that found no slot and went by generation alone.
    Slotless slotless "slotless",
    /// CPUs that were flushed by generation from the start: demoted, or in a guest.
    ByGeneration by_generation "by generation",
    /// Flushes that became larger than was asked for, for want of entries: more than
    /// `Policy::max_operations`, or than free slots. One that `Policy::costs` makes larger is not
    /// counted.
    Collapsed collapsed "collapsed",
    /// Messages that the machine did not send.
    Unsent unsent "messages not sent",
    /// CPUs whose silent units were demoted.
    Demotions demotions "demotions",
    /// CPUs whose units were found to answer again.
    Promotions promotions "promotions",
    /// Waits that ended in an error.
    Errors errors "errors",
}

// Every count has a word, and no word has two counts.
const _: () = assert!(NAMED + WaitTimes::COUNT == Counter::COUNT);

/// How many of the named counts are not rare: they come first.
const ORDINARY: usize = Count::Fallbacks as usize;

impl Count {
    #[inline]
    pub(crate) const fn counter(self) -> Counter {
        match Counter::new(self as u8) {
            Some(counter) => counter,
            None => unreachable!(),
        }
    }
}

impl Statistics {
    /// Returns what was counted between an earlier reading of the same CPUs and this one. Slots in
    /// quarantine stay those of this reading.
    #[must_use]
    pub fn since(self, earlier: &Self) -> Self {
        self.combined(*earlier, u64::saturating_sub)
    }
}

impl core::ops::Add for Statistics {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            quarantined: self.quarantined.wrapping_add(other.quarantined),
            ..self.combined(other, u64::wrapping_add)
        }
    }
}

impl core::iter::Sum for Statistics {
    fn sum<I: Iterator<Item = Self>>(readings: I) -> Self {
        readings.fold(Self::default(), core::ops::Add::add)
    }
}
