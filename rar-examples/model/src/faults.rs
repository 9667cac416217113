//! What a broken unit does wrong, one field each.

/// How many pages of a ranged entry are flushed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum CountedPages {
    /// As many as the entry says.
    #[default]
    AsEncoded,
    /// All except the last.
    OneFewer,
    /// One behind the last, too.
    OneMore,
}

/// Which PCID an entry acts on that names one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum UsedPcid {
    /// The named one.
    #[default]
    AsEncoded,
    /// The one below, modulo 4096.
    OneLess,
    /// The current one.
    Current,
}

/// Which of the PENDING entries a scan serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum ServedEntries {
    /// All.
    #[default]
    All,
    /// The one that the scan meets first.
    First,
    /// The one with the highest index.
    Highest,
    /// Those before the first byte that is not PENDING.
    UpToGap,
}

/// Faults that a broken unit could have; none by default. Bit *i* of a mask stands for entry *i*.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub struct Faults {
    /// Entries that end in FAILURE without being executed.
    pub fail: u64,
    /// Every n-th entry does so; 0 for none.
    pub fail_every: u8,
    /// Entries that report SUCCESS without being executed, as the Linux RFC v4 cover letter
    /// suspects of self-RAR.
    pub lie: u64,
    /// Entries that do so only if the CPU itself sent the signal, or one of the signals that became
    /// one.
    pub lie_to_itself: u64,
    /// Entries that are never served: the byte stays PENDING.
    pub mute: u64,
    /// Entries whose status is stored before the invalidation is done.
    pub early_status: u64,
    /// The store buffer is not drained before the status.
    pub stores_not_drained: bool,
    /// Pages of a ranged entry that are flushed.
    pub counted_pages: CountedPages,
    /// The stride is 4 KiB, regardless of the entry.
    pub stride_ignored: bool,
    /// Global translations stay although they should be flushed.
    pub globals_kept: bool,
    /// PCID of an entry that names one.
    pub used_pcid: UsedPcid,
    /// While a guest runs, its contexts are flushed instead of the host's.
    pub guest_flushed: bool,
    /// Paging-structure caches stay.
    pub structures_kept: bool,
    /// Page walks that began before an invalidation go on, and fill the TLB after it.
    pub walks_kept: bool,
    /// The CPU still takes flushed pages for dirty: it stores to them again without setting the D
    /// bit of their entries.
    pub dirty_bits_kept: bool,
    /// Entries served by one scan.
    pub served_entries: ServedEntries,
    /// How many entries after its own a byte's payload is read.
    pub payload_shift: u8,
    /// How many bytes after its base the unit lets the action vector begin.
    pub vector_shift: u8,
    /// How many calls of `service` pass before a fresh signal is served.
    pub delay: u16,
    /// Entries that wait for the delay to end read 0x02.
    pub acked_while_delayed: bool,
    /// Every n-th signal is lost; 0 for none.
    pub lose_every: u8,
    /// A signal is served twice.
    pub signal_duplicated: bool,
    /// A signal that meets a latched one cancels it: both are lost.
    pub signals_annihilate: bool,
    /// RFLAGS.IF = 0 holds a signal although IGNORE_IF is 1.
    pub ignore_if_unheeded: bool,
    /// ENABLE = 0 has no effect.
    pub serves_disabled: bool,
    /// INIT leaves a latched signal.
    pub latch_kept_at_init: bool,
    /// Bits 29:0 of the control register may be written; they are not stored.
    pub control_low_bits_accepted: bool,
    /// Bits below the alignment of a base register may be written; they are not stored.
    pub base_low_bits_accepted: bool,
}

impl Faults {
    /// No fault.
    pub const NONE: Self = Self {
        fail: 0,
        fail_every: 0,
        lie: 0,
        lie_to_itself: 0,
        mute: 0,
        early_status: 0,
        stores_not_drained: false,
        counted_pages: CountedPages::AsEncoded,
        stride_ignored: false,
        globals_kept: false,
        used_pcid: UsedPcid::AsEncoded,
        guest_flushed: false,
        structures_kept: false,
        walks_kept: false,
        dirty_bits_kept: false,
        served_entries: ServedEntries::All,
        payload_shift: 0,
        vector_shift: 0,
        delay: 0,
        acked_while_delayed: false,
        lose_every: 0,
        signal_duplicated: false,
        signals_annihilate: false,
        ignore_if_unheeded: false,
        serves_disabled: false,
        latch_kept_at_init: false,
        control_low_bits_accepted: false,
        base_low_bits_accepted: false,
    };
}
