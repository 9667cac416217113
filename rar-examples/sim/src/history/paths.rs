//! Which ways the driver went.

use rar_shootdown::Statistics;
use serde::Serialize;

use crate::machine::Backend;

macro_rules! paths {
    ($($(#[doc = $doc:literal])* $name:ident $words:literal,)*) => {
        /// How often the driver left the fast path, and by which way.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
        pub struct Paths {
            $($(#[doc = $doc])* pub $name: u64,)*
        }

        impl Paths {
            /// Returns each count, with what it counts in words.
            #[must_use]
            pub fn named(&self) -> Vec<(&'static str, u64)> {
                vec![$(($words, self.$name),)*]
            }

            /// Adds what another history counted.
            pub fn add(&mut self, other: &Self) {
                $(self.$name += other.$name;)*
            }
        }
    };
}

paths! {
    /// CPUs that were asked by the fallback.
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
    /// Units that were given up.
    demotions "demotions",
    /// Units that were trusted again.
    promotions "promotions",
    /// Claims that took over a slot that served nobody any more.
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
    /// Takes what the driver counted.
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

    /// Returns the ways that were not gone, of those that a machine has.
    #[must_use]
    pub fn missing(&self, backend: Backend) -> Vec<&'static str> {
        // A handler refuses nothing, and answers entries and generations alike.
        let only_units = ["FAILURE bytes", "demotions", "promotions"];
        let has = |name| backend == Backend::Hardware || !only_units.contains(&name);
        self.named()
            .into_iter()
            .filter(|(name, count)| *count == 0 && has(name))
            .map(|(name, _)| name)
            .collect()
    }
}
