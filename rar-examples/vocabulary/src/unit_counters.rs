//! What the shim counts of each CPU, and where a guest reads it.
//!
//! Numbers never change and are never used again: a new counter goes to the end. The page
//! `docs/vrar.md` has the bits.

/// CPUID leaf of the counters; sub-leaf 0 describes them, sub-leaf *n* is the counter *n*.
pub const COUNTER_LEAF: u32 = 0x4000_0101;
/// CPUID leaf of the entries; sub-leaf 0 describes them, [`entry_subleaf`] names the others.
pub const ENTRY_LEAF: u32 = 0x4000_0102;
/// EAX of sub-leaf 0 of both leaves: the version of their layout.
pub const COUNTER_VERSION: u32 = 1;

/// Declares an enum whose variants are numbered from 1, in the order of their rows, with a name and
/// a description for each.
macro_rules! numbered {
    (
        $(#[$doc:meta])*
        pub enum $type:ident { $($variant:ident $name:literal $description:literal;)* }
    ) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum $type {
            $(#[doc = $description] $variant,)*
        }

        impl $type {
            /// All of them, in the order of their numbers.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// Returns the name, in lower case and hyphens.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                }
            }

            /// Returns what it stands for, in one sentence.
            #[must_use]
            pub const fn describe(self) -> &'static str {
                match self {
                    $(Self::$variant => $description,)*
                }
            }

            /// Returns the number, from 1.
            #[must_use]
            pub const fn number(self) -> u8 {
                self as u8 + 1
            }

            /// Returns the one of this name.
            #[must_use]
            pub fn by_name(name: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|each| each.name() == name)
            }
        }
    };
}

numbered! {
    /// What the shim counts of each CPU.
    pub enum UnitCounter {
        Commands "commands" "RAR interrupt commands that this CPU wrote.";
        Latched "latched" "Signals that the unit of this CPU latched.";
        Merged "merged" "Signals that met a latched one and became one with it.";
        Dropped "dropped" "Signals that the unit of this CPU lost.";
        Entries "entries" "Entries that the unit of this CPU executed.";
        Performed "performed" "Entries that were performed.";
        OtherCr3 "other-cr3" "Entries whose CR3 was not that of the CPU.";
        Refused "refused" "Entries that were refused, by one of the next ten reasons.";
        Fault "fault" "Entries that a defect kept the unit from.";
        RefusedType "refused-type" "The type is reserved or not supported.";
        RefusedSubtype "refused-subtype" "The type has no such subtype.";
        RefusedReservedBits "refused-reserved-bits" "Must-be-zero bits are set.";
        RefusedUnusedField "refused-unused-field"
            "A field that the subtype does not use is not zero.";
        RefusedPageSize "refused-page-size" "The page size is reserved.";
        RefusedNoPages "refused-no-pages" "The range has no pages.";
        RefusedMisaligned "refused-misaligned" "The address is not a multiple of the page size.";
        RefusedNotCanonical "refused-not-canonical" "An address is not canonical.";
        RefusedPcid "refused-pcid" "A PCID other than 0 is named while CR4.PCIDE is 0.";
        RefusedOther "refused-other" "Anything else, only with types 3 to 5.";
        OffenceUnknownRequest "offence-unknown-request"
            "Commands with a vector, a shorthand, the broadcast or a level.";
        OffenceRefusedEntry "offence-refused-entry" "Entries that ended in FAILURE by a rule.";
        OffenceChangedPayload "offence-changed-payload"
            "Payloads changed between signal and execution.";
        OffenceEnabledWithPending "offence-enabled-with-pending"
            "Writes of ENABLE while an entry was pending.";
        OffenceRegister "offence-register" "Accesses to RAR registers that raised #GP(0).";
        RegisterWrites "register-writes" "Writes of RAR registers that were done.";
        OffenceHiddenMemory "offence-hidden-memory"
            "Accesses to memory that is hidden from guests: the CPU is gone.";
    }
}

numbered! {
    /// What an entry asks for: its type and subtype.
    pub enum EntryKind {
        InvpgCr3Pages "invpg-cr3-pages" "Type 0, subtype 0.";
        InvpgCr3All "invpg-cr3-all" "Type 0, subtype 2.";
        InvpgCr3NoGlobals "invpg-cr3-no-globals" "Type 0, subtype 3.";
        InvpgPages "invpg-pages" "Type 1, subtype 0.";
        InvpgAll "invpg-all" "Type 1, subtype 2.";
        InvpgNoGlobals "invpg-no-globals" "Type 1, subtype 3.";
        InvpcidPages "invpcid-pages" "Type 2, subtype 0.";
        InvpcidContext "invpcid-context" "Type 2, subtype 1.";
        InvpcidAll "invpcid-all" "Type 2, subtype 2.";
        InvpcidNoGlobals "invpcid-no-globals" "Type 2, subtype 3.";
        Other "other" "Any other type or subtype.";
    }
}

numbered! {
    /// What came of an entry.
    pub enum EntryVerdict {
        Performed "performed" "Executed.";
        OtherCr3 "other-cr3" "INVPG with CR3 match found another CR3.";
        Refused "refused" "The payload has no meaning, or the CPU cannot do it.";
        Fault "fault" "A fault that the knobs asked for.";
    }
}

impl EntryKind {
    /// Returns the kind of an entry with this quadword 0.
    #[must_use]
    pub const fn of(control: u64) -> Self {
        match (control >> 8 & 0xff, control >> 32 & 0b111) {
            (0, 0) => Self::InvpgCr3Pages,
            (0, 2) => Self::InvpgCr3All,
            (0, 3) => Self::InvpgCr3NoGlobals,
            (1, 0) => Self::InvpgPages,
            (1, 2) => Self::InvpgAll,
            (1, 3) => Self::InvpgNoGlobals,
            (2, 0) => Self::InvpcidPages,
            (2, 1) => Self::InvpcidContext,
            (2, 2) => Self::InvpcidAll,
            (2, 3) => Self::InvpcidNoGlobals,
            _ => Self::Other,
        }
    }
}

/// Returns the sub-leaf of [`ENTRY_LEAF`] that counts these entries: the number of the kind in bits
/// 11:4, that of the verdict in bits 3:0.
#[must_use]
pub fn entry_subleaf(kind: EntryKind, verdict: EntryVerdict) -> u32 {
    u32::from(kind.number()) << 4 | u32::from(verdict.number())
}

#[cfg(test)]
mod tests {
    extern crate std;

    use super::*;

    #[test]
    fn numbers_are_stable() {
        // A guest's test may have any of these written down.
        let counters = [
            (UnitCounter::Commands, 1),
            (UnitCounter::Entries, 5),
            (UnitCounter::RefusedType, 10),
            (UnitCounter::RefusedOther, 19),
            (UnitCounter::OffenceUnknownRequest, 20),
            (UnitCounter::RegisterWrites, 25),
            (UnitCounter::OffenceHiddenMemory, 26),
        ];
        assert!(
            counters
                .iter()
                .all(|(each, number)| each.number() == *number)
        );
        assert_eq!(UnitCounter::ALL.len(), 26);
        assert_eq!(
            entry_subleaf(EntryKind::InvpcidAll, EntryVerdict::Performed),
            0x91
        );
        assert_eq!(entry_subleaf(EntryKind::Other, EntryVerdict::Fault), 0xb4);
        assert_eq!([COUNTER_LEAF, ENTRY_LEAF], [0x4000_0101, 0x4000_0102]);
    }

    #[test]
    fn names_differ_and_lead_back() {
        for (place, counter) in UnitCounter::ALL.iter().enumerate() {
            assert_eq!(usize::from(counter.number()), place + 1);
            assert_eq!(UnitCounter::by_name(counter.name()), Some(*counter));
        }
        for kind in EntryKind::ALL {
            assert_eq!(EntryKind::by_name(kind.name()), Some(*kind));
        }
        assert_eq!(EntryVerdict::by_name("wrong"), None);
    }

    #[test]
    fn the_page_has_every_number() {
        const PAGE: &str = include_str!("../../../docs/vrar.md");
        let row = |number, name, what| std::format!("| {number} | `{name}` | {what} |");
        let counters = UnitCounter::ALL
            .iter()
            .map(|each| row(each.number(), each.name(), each.describe()));
        let kinds = EntryKind::ALL
            .iter()
            .map(|each| row(each.number(), each.name(), each.describe()));
        let verdicts = EntryVerdict::ALL
            .iter()
            .map(|each| row(each.number(), each.name(), each.describe()));
        let numbered = |line: &&str| {
            let cell = line.strip_prefix("| ").and_then(|rest| rest.chars().next());
            cell.is_some_and(|first| first.is_ascii_digit()) && line.contains(" | `")
        };
        let found: std::vec::Vec<_> = PAGE
            .lines()
            .filter(numbered)
            .filter(|line| !line.starts_with("| 0x"))
            .collect();
        let expected: std::vec::Vec<_> = counters.chain(kinds).chain(verdicts).collect();
        assert_eq!(found, expected, "write this:\n{}", expected.join("\n"));
    }

    #[test]
    fn kinds_follow_type_and_subtype() {
        assert_eq!(EntryKind::of(2 << 8 | 2 << 32), EntryKind::InvpcidAll);
        assert_eq!(EntryKind::of(63 << 37), EntryKind::InvpgCr3Pages);
        for other in [
            9 << 8,
            1 << 8 | 1 << 32,
            2 << 8 | 7 << 32,
            0x102 << 8 | 4 << 32,
        ] {
            assert_eq!(EntryKind::of(other), EntryKind::Other, "{other:#x}");
        }
    }
}
