//! How often the rare things happened.

#[cfg(not(all(rar_observed, not(rar_loom))))]
pub(crate) use core::sync::atomic::AtomicU64;
use core::sync::atomic::Ordering;
#[cfg(all(rar_observed, not(rar_loom)))]
pub(crate) use rar_percpu::observed::AtomicU64;

macro_rules! counters {
    ($($(#[doc = $doc:literal])* $name:ident,)*) => {
        /// Counts of what is rare in a healthy system, on pairs of lines of their own. The ordinary
        /// flush counts nothing.
        #[repr(align(128))]
        #[derive(Debug)]
        pub(crate) struct Counters {
            $(pub(crate) $name: AtomicU64,)*
        }

        /// A reading of the counts since the start, each for all CPUs together.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        #[cfg_attr(feature = "defmt", derive(defmt::Format))]
        #[non_exhaustive]
        pub struct Statistics {
            $($(#[doc = $doc])* pub $name: u64,)*
            /// Slots in quarantine at this moment.
            pub quarantined: usize,
        }

        impl Counters {
            pub(crate) const fn new() -> Self {
                Self { $($name: AtomicU64::new(0),)* }
            }

            pub(crate) fn read(&self, quarantined: usize) -> Statistics {
                Statistics {
                    $($name: self.$name.load(Ordering::Relaxed),)*
                    quarantined,
                }
            }
        }
    };
}

counters! {
    /// CPUs that were asked by the fallback because they did not answer the signal, or answered
    /// FAILURE.
    fallbacks,
    /// Flushes whose signal was sent a second time.
    resignals,
    /// Flushes whose fallback was sent as an NMI.
    nmis,
    /// FAILURE answers that were seen.
    failures,
    /// Flushes that found no slot and went by generation alone.
    slotless,
    /// CPUs that were flushed by generation from the start: demoted, or in a guest.
    by_generation,
    /// Flushes that became larger than was asked for, for want of entries: more than
    /// `Policy::max_operations`, or than free slots. One that `Policy::costs` makes larger is not
    /// counted.
    collapsed,
    /// Messages that the machine did not send.
    unsent,
    /// CPUs whose silent units were demoted.
    demotions,
    /// CPUs whose units were found to answer again.
    promotions,
    /// Waits that ended in an error.
    errors,
}

pub(crate) fn count(counter: &AtomicU64, events: usize) {
    counter.fetch_add(events as u64, Ordering::Relaxed);
}
