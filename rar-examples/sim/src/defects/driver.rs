//! Broken drivers, produced by altering the correct driver at its machine boundary.

use rar_model::{Knobs, TableSize};
use rar_percpu::CpuSet;

/// Where the page count lies in quadword 0.
const COUNT_SHIFT: u32 = 37;
const COUNT: u64 = 0x3f;
/// The type INVPCID.
const INVPCID: u64 = 2;

rar_model::named_enum! {
    /// One way in which a driver can be broken; those of the Linux series are named after it.
    pub enum DriverDefect {
        SixSlots "driver-six-slots"
            "Six of the slots are used, however many the units report (Linux RFC v3).";
        OnePageTooMany "driver-one-page-too-many"
            "A ranged entry names one page too many (Linux RFC v1 to v4).";
        OnePageTooFew "driver-one-page-too-few"
            "A ranged entry names one page too few.";
        OnePageLate "driver-one-page-late"
            "A ranged entry begins one page late.";
        StalePageCount "driver-stale-page-count"
            "An entry without a range carries the page count of an earlier one (Linux RFC v4).";
        UnsynchronisedMaximum "driver-unsynchronised-maximum"
            "The table size of the first CPU is used for all CPUs (Linux RFC v3).";
        PcidOfTheSender "driver-pcid-of-the-sender"
            "An entry names the space by the sender's own PCID for it (Intel's branch of 2019).";
        SignalBeforeArm "driver-signal-before-arm"
            "The signal leaves before the bytes are armed, so its scan finds nothing.";
        LastTargetNotSignalled "driver-last-target-not-signalled"
            "The last target is armed but not signalled.";
        OwnTlbKept "driver-own-tlb-kept"
            "The initiator does not flush its own TLB (suspected of Linux RFC v4).";
    }
}

impl DriverDefect {
    /// Changes quadwords 0 to 3 of an entry on their way from the driver to the units.
    pub(crate) fn rewrite(self, sender: u32, words: &mut [u64; 4]) {
        let [control, _, operand, address] = words;
        let count = *control >> COUNT_SHIFT & COUNT;
        let mut set_count = |count: u64| {
            *control = *control & !(COUNT << COUNT_SHIFT) | count.min(COUNT) << COUNT_SHIFT
        };
        match self {
            Self::OnePageTooMany if count != 0 => set_count(count + 1),
            Self::OnePageTooFew if count != 0 => set_count(count - 1),
            Self::OnePageLate if count != 0 => *address += 0x1000,
            Self::StalePageCount if count == 0 => set_count(1),
            Self::PcidOfTheSender if names_pcid(*control) => {
                *operand = (*operand + 16 * (1 + u64::from(sender))) & 0xfff;
            }
            _ => {}
        }
    }

    /// Removes the targets that the broken driver does not signal in time.
    pub(crate) fn choose_targets(self, targets: &mut CpuSet) {
        match self {
            Self::SignalBeforeArm => *targets = CpuSet::new(),
            Self::LastTargetNotSignalled => {
                if let Some(last) = targets.iter().last() {
                    targets.remove(last);
                }
            }
            _ => {}
        }
    }

    /// Returns how many of the available slots the driver uses.
    pub(crate) fn slots(self, entries: u8) -> u8 {
        match self {
            Self::SixSlots => entries.min(6),
            _ => entries,
        }
    }

    /// Returns the units of the machine on which the defect has an effect.
    pub(crate) fn units(self) -> Vec<Knobs> {
        let mut second = Knobs::DEFAULT;
        if let (Self::UnsynchronisedMaximum, Some(half)) = (self, TableSize::new(32)) {
            second.table = half;
        }
        vec![Knobs::DEFAULT, second]
    }
}

/// Whether an INVPCID entry of this quadword 0 names a PCID.
const fn names_pcid(control: u64) -> bool {
    control >> 8 & 0xff == INVPCID && control >> 32 & 0b111 < 2
}
