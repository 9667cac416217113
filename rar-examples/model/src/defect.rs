//! The catalogue of broken units, by name.

use core::fmt;
use core::str::FromStr;

use crate::{CountedPages, Knobs, LatchClear, MsrsAtInit, PageReach, Scan, ServedEntries};
use crate::{Sleep, UsedPcid};

/// Declares the enum, and the change of the knobs that is each defect.
macro_rules! defects {
    ($($variant:ident $name:literal $description:literal $change:expr;)*) => {
        crate::named_enum! {
            /// One way in which a RAR unit can be broken. Each is a setting of [`Knobs`] with a
            /// stable name.
            pub enum Defect {
                $($variant $name $description;)*
            }
        }

        impl Defect {
            /// Breaks a unit of these knobs; other defects and decisions stay.
            pub fn apply(self, knobs: &mut Knobs) {
                let change: fn(&mut Knobs) = match self {
                    $(Self::$variant => $change,)*
                };
                change(knobs);
            }
        }
    };
}

defects! {
    SuccessWithoutFlush "success-without-flush"
        "Every entry reports SUCCESS and flushes nothing."
        |knobs| knobs.faults.lie = u64::MAX;
    SuccessWithoutFlushToItself "success-without-flush-to-itself"
        "Entries report SUCCESS and flush nothing when the CPU itself sent the signal."
        |knobs| knobs.faults.lie_to_itself = u64::MAX;
    StatusBeforeFlush "status-before-flush"
        "SUCCESS is stored before the invalidation is done."
        |knobs| knobs.faults.early_status = u64::MAX;
    StoresNotDrained "stores-not-drained"
        "SUCCESS is stored while older stores of the CPU wait in its store buffer."
        |knobs| knobs.faults.stores_not_drained = true;
    OnePageTooFew "one-page-too-few"
        "A ranged entry does not flush its last page."
        |knobs| knobs.faults.counted_pages = CountedPages::OneFewer;
    OnePageTooMany "one-page-too-many"
        "A ranged entry flushes one page after its last."
        |knobs| knobs.faults.counted_pages = CountedPages::OneMore;
    StrideSameSizeOnly "stride-same-size-only"
        "A ranged entry flushes pages of exactly its stride: 4K entries leave a 2M page around \
         them."
        |knobs| knobs.reach = PageReach::SameSize;
    StrideIgnored "stride-ignored"
        "A ranged entry with a stride of 2M or 1G flushes as many pages of 4K."
        |knobs| knobs.faults.stride_ignored = true;
    GlobalsKept "globals-kept"
        "Global translations stay although the entry asks for them."
        |knobs| knobs.faults.globals_kept = true;
    PcidOneLess "pcid-one-less"
        "An entry that names a PCID flushes the one below."
        |knobs| knobs.faults.used_pcid = UsedPcid::OneLess;
    PcidCurrent "pcid-current"
        "An entry that names a PCID flushes the current one."
        |knobs| knobs.faults.used_pcid = UsedPcid::Current;
    GuestFlushed "guest-flushed"
        "While a guest runs, its tag is flushed instead of the host's."
        |knobs| knobs.faults.guest_flushed = true;
    StructuresKept "structures-kept"
        "Paging-structure caches stay."
        |knobs| knobs.faults.structures_kept = true;
    WalkSurvivesFlush "walk-survives-flush"
        "A page walk that began before the flush fills the TLB after it."
        |knobs| knobs.faults.walks_kept = true;
    DirtyBitKept "dirty-bit-kept"
        "A flushed page still counts as dirty: later stores do not set the D bit of its entry."
        |knobs| knobs.faults.dirty_bits_kept = true;
    FirstEntryOnly "first-entry-only"
        "A signal serves only the first PENDING entry of the scan."
        |knobs| knobs.faults.served_entries = ServedEntries::First;
    HighestEntryOnly "highest-entry-only"
        "A signal serves only the PENDING entry with the highest index."
        |knobs| knobs.faults.served_entries = ServedEntries::Highest;
    ScanStopsAtGap "scan-stops-at-gap"
        "The scan stops at the first byte that is not PENDING."
        |knobs| knobs.faults.served_entries = ServedEntries::UpToGap;
    HalfTable "half-table"
        "Entries 32 to 63 are never served, though 64 are reported."
        |knobs| knobs.faults.mute |= !0 << 32;
    NeverAnswers "never-answers"
        "No entry is ever served: every byte stays PENDING."
        |knobs| knobs.faults.mute = u64::MAX;
    PayloadIndexOff "payload-index-off"
        "Byte i executes the payload of entry i + 1."
        |knobs| knobs.faults.payload_shift = 1;
    VectorBaseOff "vector-base-off"
        "The unit reads the action vector from one byte after its base."
        |knobs| knobs.faults.vector_shift = 1;
    LatchedScan "latched-scan"
        "All bytes are read at the start and the signal is acknowledged at the end: one that \
         arrives between is lost."
        |knobs| {
            knobs.scan = Scan::Snapshot;
            knobs.latch_clear = LatchClear::AfterScan;
        };
    FailureAlways "failure-always"
        "Every entry ends in FAILURE and flushes nothing."
        |knobs| knobs.faults.fail = u64::MAX;
    FailureSometimes "failure-sometimes"
        "Every third entry ends in FAILURE and flushes nothing."
        |knobs| knobs.faults.fail_every = 3;
    AckedLingers "acked-lingers"
        "Bytes read 0x02 for 48 calls of the handler before their entries are executed."
        |knobs| {
            knobs.faults.delay = 48;
            knobs.faults.acked_while_delayed = true;
        };
    SignalLost "signal-lost"
        "Every third signal is lost."
        |knobs| knobs.faults.lose_every = 3;
    SignalDuplicated "signal-duplicated"
        "Every signal is served twice."
        |knobs| knobs.faults.signal_duplicated = true;
    SignalDelayed "signal-delayed"
        "A signal is served 16 calls of the handler late."
        |knobs| knobs.faults.delay = 16;
    SignalsAnnihilate "signals-annihilate"
        "A signal that meets a latched one cancels it: both are lost."
        |knobs| knobs.faults.signals_annihilate = true;
    HaltNotServed "halt-not-served"
        "A CPU in HLT, MWAIT or C1 serves nothing until something else has woken it."
        |knobs| knobs.halted = Sleep::Hold;
    IgnoreIfUnheeded "ignore-if-unheeded"
        "A CPU with interrupts off serves nothing although IGNORE_IF is 1."
        |knobs| knobs.faults.ignore_if_unheeded = true;
    DisabledAnswers "disabled-answers"
        "Signals are latched and served with ENABLE = 0."
        |knobs| knobs.faults.serves_disabled = true;
    ControlLowBitsAccepted "control-low-bits-accepted"
        "A write of reserved bits 29:0 of the control register raises no #GP."
        |knobs| knobs.faults.control_low_bits_accepted = true;
    BaseLowBitsAccepted "base-low-bits-accepted"
        "A write of a misaligned base raises no #GP; the base is rounded down."
        |knobs| knobs.faults.base_low_bits_accepted = true;
    MsrsLostAtInit "msrs-lost-at-init"
        "INIT clears the registers."
        |knobs| knobs.msrs_at_init = MsrsAtInit::Clear;
    LatchKeptAtInit "latch-kept-at-init"
        "A signal latched before INIT is served after it."
        |knobs| knobs.faults.latch_kept_at_init = true;
}

impl fmt::Display for Defect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// No defect has this name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct UnknownDefect;

impl fmt::Display for UnknownDefect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no defect has this name")
    }
}

impl core::error::Error for UnknownDefect {}

impl FromStr for Defect {
    type Err = UnknownDefect;

    fn from_str(name: &str) -> Result<Self, UnknownDefect> {
        Self::by_name(name).ok_or(UnknownDefect)
    }
}
