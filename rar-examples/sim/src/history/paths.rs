//! Which paths the driver took.

use rar_shootdown::Statistics;
use serde::Serialize;

use crate::machine::Answering;

macro_rules! paths {
    ($($(#[doc = $doc:literal])* $name:ident $words:literal,)*) => {
        /// How often the driver left the fast path, and by which path.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
        pub struct Paths {
            $($(#[doc = $doc])* pub $name: u64,)*
        }

        impl Paths {
            /// Returns each count with its description.
            #[must_use]
            pub fn named(&self) -> Vec<(&'static str, u64)> {
                vec![$(($words, self.$name),)*]
            }

            /// Adds the counts of another history.
            pub fn add(&mut self, other: &Self) {
                $(self.$name += other.$name;)*
            }
        }
    };
}

paths! {
    /// CPUs that received a fallback.
    fallbacks "CPUs by fallback",
    /// Signals that were sent again.
    resignals "second signals",
    /// Fallbacks that were sent as NMIs.
    nmis "NMIs",
    /// FAILURE bytes.
    failures "FAILURE bytes",
    /// Flushes that found no slot.
    slotless "without a slot",
    /// CPUs that were flushed by generation from the start.
    by_generation "CPUs by generation",
    /// Units that were demoted.
    demotions "demotions",
    /// Units that were promoted.
    promotions "promotions",
    /// Claims that took over an answered slot.
    taken_over "slots taken over",
    /// Flushes whose operations became fewer.
    collapsed "collapsed",
    /// Flushes that did not end in time.
    errors "errors",
    /// Slots in quarantine at the end of a history.
    quarantined "slots left in quarantine",
    /// Flushes that another CPU ended than the one that started them.
    ended_elsewhere "ended by another CPU",
    /// Flushes whose value was forgotten.
    forgotten "forgotten",
    /// CPUs that were declared dead.
    dead "CPUs declared dead",
    /// CPUs that flushed when they left lazy mode or a guest.
    made_up "lazy CPUs that flushed later",
    /// Flushes from an interrupt of a CPU that held slots.
    nested "nested flushes",
}

impl Paths {
    /// Adds the driver's statistics.
    pub(crate) fn count(&mut self, statistics: &Statistics) {
        let Statistics {
            fallbacks,
            resignals,
            nmis,
            failures,
            slotless,
            by_generation,
            collapsed,
            demotions,
            promotions,
            errors,
            quarantined,
            ..
        } = *statistics;
        let counted = Self {
            fallbacks,
            resignals,
            nmis,
            failures,
            slotless,
            by_generation,
            collapsed,
            demotions,
            promotions,
            errors,
            quarantined: quarantined as u64,
            ..Self::default()
        };
        self.add(&counted);
    }

    /// Returns the paths that were not taken, among those of a machine.
    #[must_use]
    pub fn missing(&self, backend: Answering) -> Vec<&'static str> {
        // A handler never refuses, and answers entries and generations alike.
        let only_units = ["FAILURE bytes", "demotions", "promotions"];
        let has = |name| backend == Answering::Units || !only_units.contains(&name);
        self.named()
            .into_iter()
            .filter(|(name, count)| *count == 0 && has(name))
            .map(|(name, _)| name)
            .collect()
    }
}
