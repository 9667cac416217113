//! The table of knobs: the name of each field, and what it decides.

use crate::knob::KnobRow;
use crate::knob_value::KnobValue;
use crate::{Faults, Knobs};

/// Declares [`ROWS`], and refuses to compile while a field of [`Knobs`] or [`Faults`] has no row.
macro_rules! table {
    (knobs { $($knob:ident $what:literal)* } faults { $($fault:ident $wrong:literal)* }) => {
        pub(crate) static ROWS: &[KnobRow] = &[
            $(row!(concat!(stringify!($knob)), $what, $knob),)*
            $(row!(concat!("faults.", stringify!($fault)), $wrong, faults.$fault),)*
        ];

        /// Names every field, and no other.
        const _: fn(Knobs) = |knobs| {
            let Knobs { $($knob: _,)* faults } = knobs;
            let Faults { $($fault: _,)* } = faults;
        };
    };
}

macro_rules! row {
    ($name:expr, $description:literal, $($field:ident).+) => {
        KnobRow {
            name: $name,
            description: $description,
            allowed: allowed(|knobs| &knobs.$($field).+),
            set: |knobs, text| {
                knobs.$($field).+ = KnobValue::parse(text)?;
                Some(())
            },
            write: |knobs, f| KnobValue::write(&knobs.$($field).+, f),
            is_same: |one, other| one.$($field).+ == other.$($field).+,
        }
    };
}

/// Returns the values that the type of a field takes.
const fn allowed<T: KnobValue>(_field: fn(&Knobs) -> &T) -> &'static [&'static str] {
    T::ALLOWED
}

table! {
    knobs {
        table "Entries of the payload table."
        types "Payload types that the unit executes, bit t for type t."
        reported_types "Payload types that MSR_RAR_INFO 31:0 reports, bit t for type t."
        physical_address_bits "MAXPHYADDR, at most 52; the shim takes it from CPUID instead."
        linear "Width of linear addresses; the shim takes it from the guest's paging instead."
        msr_reserved_bits "Reserved bits in a write of a register: #GP(0), or treated as zero."
        rebase "A base register written while ENABLE is 1: #GP(0), or used by the next scan."
        while_disabled "Signals while ENABLE is 0."
        at_disable "A signal that is latched when ENABLE becomes 0."
        msrs_at_init "The registers at INIT."
        while_inhibited "New signals in SMM, wait-for-SIPI and shutdown."
        halted "A signal in HLT, MWAIT and C1."
        deep_sleep "A signal in C6 and deeper."
        order "The order in which a scan visits the entries."
        scan "When a scan reads the action bytes: each in its turn, all at the start, or twice."
        latch_clear "When the signal is acknowledged."
        acked "Whether an action byte reads 0x02 while its entry is executed."
        cr3_mask "The bits of CR3 that INVPG with CR3 match compares."
        cr3_mismatch "The action byte when CR3 differs."
        reserved_bits "Must-be-zero bits of a payload: FAILURE, or treated as zero."
        unused_fields "Fields that the subtype does not use: FAILURE, or treated as zero."
        misaligned "An address that is not a multiple of the page size: FAILURE, or rounded down."
        zero_pages "A page count of 0: FAILURE, or SUCCESS with nothing flushed."
        reach "Which cached pages an address reaches: that hold it, of the same size, or any part."
        invpg_globals "Global translations under INVPG by address."
        invpg_contexts "The contexts that INVPG reaches."
    }
    faults {
        fail "Entries that end in FAILURE unexecuted, bit i for entry i."
        fail_every "Every n-th entry ends in FAILURE unexecuted; 0 for none."
        lie "Entries that report SUCCESS unexecuted, bit i for entry i."
        lie_to_itself "Entries that do so when the CPU itself sent the signal, bit i for entry i."
        mute "Entries that are never served, bit i for entry i."
        early_status "Entries whose status comes before the invalidation, bit i for entry i."
        stores_not_drained "The status comes before older stores of the CPU."
        counted_pages "How many pages of a range are flushed."
        stride_ignored "The stride is 4 KiB, regardless of the entry."
        globals_kept "Global translations stay although they should be flushed."
        used_pcid "The PCID on which an entry acts that names one."
        guest_flushed "While a guest runs, its contexts are flushed instead of the host's."
        structures_kept "Paging-structure caches stay."
        walks_kept "Page walks that began before an invalidation fill the TLB after it."
        dirty_bits_kept "Stores to a flushed page do not set the D bit of its entry again."
        served_entries "Which PENDING entries a scan serves."
        payload_shift "How many entries after its own a byte's payload is read."
        vector_shift "How many bytes after its base the action vector begins."
        delay "Stays in the handler before a fresh signal is served."
        acked_while_delayed "Action bytes read 0x02 in that time."
        lose_every "Every n-th signal is lost; 0 for none."
        signal_duplicated "A signal is served twice."
        signals_annihilate "A signal that meets a latched one cancels it."
        ignore_if_unheeded "RFLAGS.IF = 0 holds a signal although IGNORE_IF is 1."
        serves_disabled "ENABLE = 0 has no effect."
        latch_kept_at_init "INIT leaves a latched signal."
        control_low_bits_accepted "Bits 29:0 of the control register may be written."
        base_low_bits_accepted "Bits below the alignment of a base register may be written."
    }
}
