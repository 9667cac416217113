//! The answers that a knob can have.

/// The number of payload entries that the unit has, 1..=64.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TableSize(u8);

impl TableSize {
    /// 64 entries: what the Linux RFC cover letters report of real parts.
    pub const MAX: Self = Self(64);

    /// Returns a table size, or `None` outside 1..=64.
    #[must_use]
    pub const fn new(entries: u8) -> Option<Self> {
        match entries {
            1..=64 => Some(Self(entries)),
            _ => None,
        }
    }

    /// Returns the number of entries.
    #[must_use]
    pub const fn entries(self) -> u8 {
        self.0
    }

    /// Returns the highest index, as MSR_RAR_INFO 37:32 reports it.
    #[must_use]
    pub const fn max_index(self) -> u8 {
        self.0 - 1
    }
}

/// The consequence of a broken rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Offence {
    /// The entry ends in FAILURE; an MSR write raises #GP(0).
    Fail,
    /// The offending bits are treated as zero.
    Ignore,
}

/// The fate of a signal that arrives when it cannot be served.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Signals {
    /// It is lost.
    Drop,
    /// It stays latched.
    Hold,
}

/// Whether the base registers may be written while ENABLE is 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Rebase {
    /// #GP(0).
    Fault,
    /// The next scan uses the new address.
    AtOnce,
}

/// What INIT does to the three writable registers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MsrsAtInit {
    /// They keep their values.
    Keep,
    /// They become zero.
    Clear,
}

/// What a sleeping CPU does with a signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Sleep {
    /// It serves the signal and continues to sleep.
    Serve,
    /// It serves the signal and stays awake.
    ServeAndWake,
    /// It serves the signal once something else has woken it.
    Hold,
}

/// The order in which the indices are visited.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ScanOrder {
    /// 0 up to the highest index.
    Ascending,
    /// The highest index down to 0.
    Descending,
    /// Upwards from this index (modulo the table size), with wrap-around.
    From(u8),
}

/// When the bytes of the action vector are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scan {
    /// Each byte when the scan reaches it: an entry armed before that is honoured.
    Live,
    /// All bytes at the start: an entry armed later waits for the next signal.
    Snapshot,
    /// As [`Live`](Self::Live), and once more after the first pass.
    Twice,
}

/// When the pending signal is acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LatchClear {
    /// Before the scan: the only choice without a race.
    BeforeScan,
    /// After the scan: a signal that arrives during the scan is lost.
    AfterScan,
}

/// Whether the intermediate state 0x02 is ever seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Acked {
    /// The byte goes from PENDING to its final value.
    Never,
    /// The byte is 0x02 from the start of the execution to its end, as in older Intel code.
    WhileExecuting,
}

/// What INVPG with CR3 match answers when CR3 differs. Nothing is invalidated in either case.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Cr3Mismatch {
    /// SUCCESS.
    Success,
    /// FAILURE.
    Failure,
}

/// The width of linear addresses, which decides what is canonical.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LinearWidth {
    /// 4-level paging.
    Bits48,
    /// 5-level paging.
    Bits57,
}

impl LinearWidth {
    /// Returns whether `address` is canonical.
    #[must_use]
    pub const fn is_canonical(self, address: u64) -> bool {
        let upper = match self {
            Self::Bits48 => address >> 47,
            Self::Bits57 => address >> 56,
        };
        let all_ones = match self {
            Self::Bits48 => u64::MAX >> 47,
            Self::Bits57 => u64::MAX >> 56,
        };
        upper == 0 || upper == all_ones
    }
}

/// What a ranged entry with a page count of 0 does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ZeroPages {
    /// FAILURE.
    Fail,
    /// SUCCESS, with nothing invalidated.
    Nothing,
}

/// Which cached translations the addresses of a ranged entry reach.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PageReach {
    /// Any page size, if the page holds one of the addresses: the rule of INVLPG. A 4K stride drops
    /// a 2M page around it; a 2M stride over 4K pages drops one page in 512.
    Covering,
    /// Only pages of exactly the stride's size.
    SameSize,
    /// Every page that overlaps the span from the first byte to the last.
    Span,
}
