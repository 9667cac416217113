//! Which tests a broken RAR unit may break beside the one that must detect it.

use rar_model::Defect;
use rar_suite::{Detects, TestInfo};

/// Which tests may be violated beside the one that has to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Collateral {
    /// Those that detect units without an answer, except these.
    NoAnswer(&'static [&'static str]),
    /// Those that detect answers without a flush, except these.
    NoFlush(&'static [&'static str]),
    /// These.
    Only(&'static [&'static str]),
}

impl Collateral {
    /// Returns whether a test may be violated.
    pub fn includes(self, test: &TestInfo) -> bool {
        match self {
            Self::NoAnswer(except) => {
                test.detects != Detects::Nothing && !except.contains(&test.name)
            }
            Self::NoFlush(except) => {
                test.detects == Detects::NoFlush && !except.contains(&test.name)
            }
            Self::Only(tests) => tests.contains(&test.name),
        }
    }

    /// Returns the tests that are named.
    #[cfg(test)]
    pub fn named(self) -> &'static [&'static str] {
        let (Self::NoAnswer(tests) | Self::NoFlush(tests) | Self::Only(tests)) = self;
        tests
    }
}

/// Returns what else a defect may break on two CPUs.
pub const fn collateral(defect: Defect) -> Collateral {
    use Collateral::{NoAnswer, NoFlush, Only};
    match defect {
        Defect::NeverAnswers
        | Defect::PayloadIndexOff
        | Defect::VectorBaseOff
        | Defect::FailureAlways
        | Defect::FailureSometimes
        | Defect::SignalLost => NoAnswer(&[]),
        // An entry that names no PCID is executed.
        Defect::PcidOneLess => NoAnswer(&["everything", "global-page", "unit-invpg"]),
        Defect::SuccessWithoutFlush => NoFlush(&[]),
        // An entry that names no pages, or more than are looked at, is executed.
        Defect::OnePageTooFew => NoFlush(&[
            "pages-500",
            "address-space",
            "everything",
            "global-page",
            "freed-table",
        ]),
        // What counts the pages of an entry, or looks at their neighbours.
        Defect::OnePageTooMany => Only(&[
            "several-requests",
            "neighbours-1",
            "neighbours-4",
            "neighbours-64",
            "unit-slots-in-turn",
            "unit-pages-1",
            "unit-pages-62",
            "unit-subtypes",
            "unit-invpg",
            "unit-signals-itself",
            "unit-signals-again",
        ]),
        Defect::GlobalsKept => Only(&["everything", "global-page", "unit-invpg"]),
        // What arms several entries before one signal, or leaves one behind.
        Defect::FirstEntryOnly | Defect::HighestEntryOnly => Only(&[
            "pages-64",
            "several-requests",
            "neighbours-64",
            "flush-from-interrupt",
            "signal-unheard",
            "target-deaf-takes-nmi",
            "target-silent",
            "targets-change",
            "storm-interrupts-off",
            "storm-hotplug",
            "storm",
            "unit-scan-order",
            "unit-armed-within-scan",
            "unit-signals-itself",
            "unit-signals-merge",
            "unit-storm",
        ]),
        // What uses a slot behind one that is not in use.
        Defect::ScanStopsAtGap => Only(&[
            "flush-from-interrupt",
            "more-requests-than-slots",
            "one-slot-for-all",
            "signal-unheard",
            "target-deaf-takes-nmi",
            "target-silent",
            "storm-interrupts-off",
            "storm-hotplug",
            "storm",
            "unit-armed-within-scan",
            "unit-executed-once",
            "unit-signals-again",
            "unit-signals-meet",
            "unit-unsignalled",
            "unit-registers-lost-awake",
            "unit-storm",
        ]),
        // What uses the upper slots.
        Defect::HalfTable => Only(&[
            "more-requests-than-slots",
            "one-slot-for-all",
            "signal-unheard",
            "target-deaf-takes-nmi",
            "target-silent",
            "unit-slots-at-once",
            "unit-scan-order",
            "unit-armed-within-scan",
            "unit-executed-once",
            "unit-storm",
        ]),
        // A second service that is late flushes what a silent CPU was not to hear of.
        Defect::SignalDuplicated => {
            Only(&["signal-unheard", "target-deaf-takes-nmi", "target-silent"])
        }
        Defect::HaltNotServed => Only(&["target-halted"]),
        Defect::IgnoreIfUnheeded => Only(&["target-interrupts-off", "storm-interrupts-off"]),
        Defect::DisabledAnswers => Only(&["unit-one-disabled"]),
        Defect::SuccessWithoutFlushToItself
        | Defect::StrideSameSizeOnly
        | Defect::StrideIgnored
        | Defect::SignalsAnnihilate
        | Defect::LatchKeptAtInit
        | Defect::AckedLingers
        | Defect::ControlLowBitsAccepted
        | Defect::BaseLowBitsAccepted
        | Defect::MsrsLostAtInit
        | Defect::StatusBeforeFlush
        | Defect::StoresNotDrained
        | Defect::PcidCurrent
        | Defect::GuestFlushed
        | Defect::StructuresKept
        | Defect::WalkSurvivesFlush
        | Defect::DirtyBitKept
        | Defect::LatchedScan
        | Defect::SignalDelayed => Only(&[]),
    }
}
