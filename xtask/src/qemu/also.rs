//! Which tests a broken RAR unit breaks beside the one that tells of it.

use rar_model::Defect;

/// Which tests may be violated beside the one that has to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Also {
    /// All but what these lists have: hardly anything of a unit works any more.
    AllBut(&'static [&'static [&'static str]]),
    /// These.
    Only(&'static [&'static str]),
}

/// What asks nothing of the unit of another CPU, or only observes what it does.
const UNTOUCHED: &[&str] = &[
    "subset-of-targets",
    "deferred-is-spared",
    "unit-types",
    "unit-page-counts",
    "unit-cr3-bits",
];

/// What does not ask the record; a load does not tell, since each service empties TCG's TLB.
const UNASKED: &[&str] = &[
    "subset-of-targets",
    "writer-plain",
    "writer-non-temporal",
    "deferred-is-spared",
    "deferred-not-for-tables",
    "targets-change",
    "more-requests-than-slots",
    "one-slot-for-all",
    "signal-unheard",
    "target-silent",
    "storm-interrupts-off",
    "storm",
    "unit-types",
    "unit-page-counts",
    "unit-cr3-bits",
    "unit-signals-meet",
    "unit-stores",
    "unit-registers-lost",
    "unit-combinations",
    "unit-storm",
];

/// Returns what else a defect breaks on two CPUs.
pub(crate) const fn also(defect: Defect) -> Also {
    use Also::{AllBut, Only};
    match defect {
        Defect::NeverAnswers
        | Defect::PayloadIndexOff
        | Defect::VectorBaseOff
        | Defect::FailureAlways
        | Defect::FailureSometimes
        | Defect::SignalLost => AllBut(&[UNTOUCHED]),
        // What names no PCID is flushed.
        Defect::PcidOneLess => AllBut(&[&[
            "everything",
            "global-page",
            "subset-of-targets",
            "deferred-is-spared",
            "unit-invpg",
            "unit-types",
            "unit-page-counts",
            "unit-cr3-bits",
        ]]),
        Defect::SuccessWithoutFlush => AllBut(&[UNASKED]),
        // The same, and what names no pages, or more than are looked at.
        Defect::OnePageTooFew => AllBut(&[
            UNASKED,
            &[
                "pages-500",
                "address-space",
                "everything",
                "global-page",
                "freed-table",
            ],
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
            "target-silent",
            "targets-change",
            "storm-interrupts-off",
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
            "target-silent",
            "storm-interrupts-off",
            "storm",
            "unit-armed-within-scan",
            "unit-executed-once",
            "unit-signals-again",
            "unit-signals-meet",
            "unit-unsignalled",
            "unit-storm",
        ]),
        // What uses the upper slots.
        Defect::HalfTable => Only(&[
            "more-requests-than-slots",
            "one-slot-for-all",
            "signal-unheard",
            "target-silent",
            "unit-slots-at-once",
            "unit-scan-order",
            "unit-armed-within-scan",
            "unit-executed-once",
            "unit-storm",
        ]),
        // A second service that is late flushes what a silent CPU was not to hear of.
        Defect::SignalDuplicated => Only(&["signal-unheard", "target-silent"]),
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
        | Defect::LatchedScan
        | Defect::SignalDelayed => Only(&[]),
    }
}
