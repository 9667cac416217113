//! Every decision that the public sources leave open, by name.
//!
//! Where a doc says "documented" the sources back the default; everything else is a choice of this
//! model. Intel 341431 is known only through quotations.

use crate::{
    Acked, Contexts, Cr3Mismatch, Faults, Globals, LatchClear, LinearWidth, MsrsAtInit, Offence,
    PageReach, Rebase, Scan, ScanOrder, Signals, Sleep, TableSize, ZeroPages,
};

/// The decisions, one field each. [`Knobs::DEFAULT`] is the unit that the sources make likely,
/// strict towards software.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Knobs {
    /// Entries of the payload table. Default 64 (seen on real parts, Linux RFC cover letters).
    pub table: TableSize,
    /// Payload types that the unit executes, bit *t* for type *t*. Default 0, 1 and 2: no source
    /// gives the full encoding of 3-5.
    pub types: u32,
    /// Payload types that MSR_RAR_INFO 31:0 reports. Default as `types`.
    pub reported_types: u32,
    /// MAXPHYADDR, at most 52. Default 46.
    pub physical_address_bits: u8,
    /// Width of linear addresses, if the TLB does not know it. Default 48 bits.
    pub linear: LinearWidth,
    /// Reserved bits in an MSR write. Default #GP(0), the rule for MSRs in general (SDM vol. 2,
    /// WRMSR).
    pub msr_reserved_bits: Offence,
    /// Base registers written while enabled. Default #GP(0): a cautious driver disables first.
    pub rebase: Rebase,
    /// Signals while ENABLE is 0. Default dropped (documented: SDM vol. 4, as far as it could be
    /// verified).
    pub while_disabled: Signals,
    /// A signal that is latched when ENABLE becomes 0. Default dropped.
    pub at_disable: Signals,
    /// Registers at INIT; the latch is always cleared. Default kept.
    pub msrs_at_init: MsrsAtInit,
    /// New signals in SMM, wait-for-SIPI, shutdown and BIOS Guard mode. Default held, as other
    /// events blocked there.
    pub while_inhibited: Signals,
    /// HLT, MWAIT and C1. Default served, without waking software.
    pub halted: Sleep,
    /// C6 and deeper; sources disagree. Default held.
    pub deep_sleep: Sleep,
    /// Scan order. Default ascending.
    pub order: ScanOrder,
    /// Live scan or snapshot. Default live.
    pub scan: Scan,
    /// Acknowledgement of the signal. Default before the scan.
    pub latch_clear: LatchClear,
    /// The old state 0x02. Default never: the public document no longer lists it.
    pub acked: Acked,
    /// CR3 bits that INVPG with CR3 match compares. Default 51:0.
    pub cr3_mask: u64,
    /// Status when CR3 differs. Default SUCCESS.
    pub cr3_mismatch: Cr3Mismatch,
    /// Nonzero must-be-zero fields in qwords 0 and 1. Default FAILURE.
    pub reserved_bits: Offence,
    /// Nonzero fields that the subtype does not use. Default FAILURE; Linux RFC v4 leaves a stale
    /// page count in such entries.
    pub unused_fields: Offence,
    /// An address that is not a multiple of the page size. Default FAILURE; otherwise rounded down.
    pub misaligned: Offence,
    /// A page count of 0. Default FAILURE.
    pub zero_pages: ZeroPages,
    /// Cached page sizes that an address reaches. Default as INVLPG.
    pub reach: PageReach,
    /// Whether INVPG by address drops global translations. Default yes, as INVLPG.
    pub invpg_globals: Globals,
    /// Whether INVPG reaches [`Current`](Contexts::Current) or [`All`](Contexts::All) contexts.
    /// Default the current one, as INVLPG.
    pub invpg_contexts: Contexts,
    /// Faults. Default none.
    pub faults: Faults,
}

impl Knobs {
    /// The default of every knob.
    pub const DEFAULT: Self = Self {
        table: TableSize::MAX,
        types: 0b111,
        reported_types: 0b111,
        physical_address_bits: 46,
        linear: LinearWidth::Bits48,
        msr_reserved_bits: Offence::Fail,
        rebase: Rebase::Fault,
        while_disabled: Signals::Drop,
        at_disable: Signals::Drop,
        msrs_at_init: MsrsAtInit::Keep,
        while_inhibited: Signals::Hold,
        halted: Sleep::Serve,
        deep_sleep: Sleep::Hold,
        order: ScanOrder::Ascending,
        scan: Scan::Live,
        latch_clear: LatchClear::BeforeScan,
        acked: Acked::Never,
        cr3_mask: (1 << 52) - 1,
        cr3_mismatch: Cr3Mismatch::Success,
        reserved_bits: Offence::Fail,
        unused_fields: Offence::Fail,
        misaligned: Offence::Fail,
        zero_pages: ZeroPages::Fail,
        reach: PageReach::Covering,
        invpg_globals: Globals::Include,
        invpg_contexts: Contexts::Current,
        faults: Faults::NONE,
    };

    /// The honest unit that flushes least: every question that the sources leave open is answered
    /// against the driver.
    ///
    /// A driver that relies only on known facts works on this unit too, perhaps by its fallback.
    pub const SPARING: Self = Self {
        while_inhibited: Signals::Drop,
        halted: Sleep::Hold,
        order: ScanOrder::Descending,
        scan: Scan::Snapshot,
        acked: Acked::WhileExecuting,
        cr3_mask: u64::MAX,
        zero_pages: ZeroPages::Nothing,
        reach: PageReach::SameSize,
        invpg_globals: Globals::Exclude,
        ..Self::DEFAULT
    };
}

impl Default for Knobs {
    fn default() -> Self {
        Self::DEFAULT
    }
}
