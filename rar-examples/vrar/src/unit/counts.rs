//! The counters of one CPU, which a guest reads by CPUID.

use core::sync::atomic::{AtomicU64, Ordering};

use rar_model::{Illegal, Outcome, Refused};
use rar_vocabulary::{EntryKind, EntryVerdict, UnitCounter};

/// What happened to one CPU since its launch. INIT changes nothing.
#[derive(Debug)]
pub struct Counts {
    counters: [AtomicU64; UnitCounter::ALL.len()],
    entries: [[AtomicU64; EntryVerdict::ALL.len()]; EntryKind::ALL.len()],
}

impl Counts {
    pub(crate) const fn new() -> Self {
        Self {
            counters: [const { AtomicU64::new(0) }; UnitCounter::ALL.len()],
            entries: [const { [const { AtomicU64::new(0) }; EntryVerdict::ALL.len()] };
                EntryKind::ALL.len()],
        }
    }

    /// Returns a counter.
    #[must_use]
    pub fn get(&self, counter: UnitCounter) -> u64 {
        self.place(counter)
            .map_or(0, |count| count.load(Ordering::Acquire))
    }

    /// Returns how many entries of this kind ended in this way.
    #[must_use]
    pub fn entries(&self, kind: EntryKind, verdict: EntryVerdict) -> u64 {
        self.entry_place(kind, verdict)
            .map_or(0, |count| count.load(Ordering::Acquire))
    }

    pub(crate) fn add(&self, counter: UnitCounter) {
        if let Some(count) = self.place(counter) {
            count.fetch_add(1, Ordering::AcqRel);
        }
    }

    /// Counts an entry whose quadword 0 is `control`.
    pub(crate) fn add_entry(&self, control: u64, outcome: Outcome) {
        let verdict = verdict(outcome);
        self.add(UnitCounter::Entries);
        self.add(match verdict {
            EntryVerdict::Performed => UnitCounter::Performed,
            EntryVerdict::OtherCr3 => UnitCounter::OtherCr3,
            EntryVerdict::Refused => UnitCounter::Refused,
            EntryVerdict::Fault => UnitCounter::Fault,
        });
        if let Some(reason) = refusal(outcome) {
            self.add(reason);
        }
        if let Some(count) = self.entry_place(EntryKind::of(control), verdict) {
            count.fetch_add(1, Ordering::AcqRel);
        }
    }

    fn place(&self, counter: UnitCounter) -> Option<&AtomicU64> {
        self.counters.get(usize::from(counter.number() - 1))
    }

    fn entry_place(&self, kind: EntryKind, verdict: EntryVerdict) -> Option<&AtomicU64> {
        let row = self.entries.get(usize::from(kind.number() - 1))?;
        row.get(usize::from(verdict.number() - 1))
    }
}

/// Returns what came of an entry, without the reason.
pub(crate) const fn verdict(outcome: Outcome) -> EntryVerdict {
    match outcome {
        Outcome::Performed => EntryVerdict::Performed,
        Outcome::Cr3Differs(_) => EntryVerdict::OtherCr3,
        Outcome::Illegal(_) | Outcome::Refused(_) => EntryVerdict::Refused,
        Outcome::InjectedFailure | Outcome::SuccessWithoutFlush | Outcome::Unanswered => {
            EntryVerdict::Fault
        }
    }
}

/// Returns the counter of the reason for which an entry was refused.
const fn refusal(outcome: Outcome) -> Option<UnitCounter> {
    Some(match outcome {
        Outcome::Illegal(illegal) => match illegal {
            Illegal::UnknownType(_) | Illegal::UnsupportedType(_) => UnitCounter::RefusedType,
            Illegal::UnknownSubtype { .. } => UnitCounter::RefusedSubtype,
            Illegal::ReservedBits { .. } => UnitCounter::RefusedReservedBits,
            Illegal::UnusedField { .. } => UnitCounter::RefusedUnusedField,
            Illegal::PageSize => UnitCounter::RefusedPageSize,
            Illegal::ZeroPages => UnitCounter::RefusedNoPages,
            Illegal::Misaligned(_) => UnitCounter::RefusedMisaligned,
            Illegal::NonCanonical { .. } => UnitCounter::RefusedNotCanonical,
            Illegal::VpidZero => UnitCounter::RefusedOther,
        },
        Outcome::Refused(Refused::PcidsDisabled { .. }) => UnitCounter::RefusedPcid,
        Outcome::Refused(_) => UnitCounter::RefusedOther,
        Outcome::Performed
        | Outcome::Cr3Differs(_)
        | Outcome::InjectedFailure
        | Outcome::SuccessWithoutFlush
        | Outcome::Unanswered => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_counts_by_kind_verdict_and_reason() {
        let counts = Counts::new();
        let stale = Illegal::UnusedField {
            word: 0,
            bits: 63 << 37,
        };
        counts.add_entry(2 << 8 | 2 << 32, Outcome::Illegal(stale));
        counts.add_entry(2 << 8 | 2 << 32, Outcome::Performed);
        counts.add_entry(2 << 8, Outcome::Refused(Refused::PcidsDisabled { pcid: 5 }));
        counts.add_entry(2 << 8, Outcome::Unanswered);
        let expected = [
            (UnitCounter::Entries, 4),
            (UnitCounter::Performed, 1),
            (UnitCounter::Refused, 2),
            (UnitCounter::Fault, 1),
            (UnitCounter::RefusedUnusedField, 1),
            (UnitCounter::RefusedPcid, 1),
        ];
        for &counter in UnitCounter::ALL {
            let expected = expected.iter().find(|(each, _)| *each == counter);
            assert_eq!(counts.get(counter), expected.map_or(0, |(_, count)| *count));
        }
        let all = EntryKind::InvpcidAll;
        assert_eq!(counts.entries(all, EntryVerdict::Performed), 1);
        assert_eq!(counts.entries(all, EntryVerdict::Refused), 1);
        assert_eq!(
            counts.entries(EntryKind::InvpcidPages, EntryVerdict::Fault),
            1
        );
        assert_eq!(counts.entries(EntryKind::Other, EntryVerdict::Performed), 0);
    }

    #[test]
    fn every_refusal_has_a_reason_of_its_own() {
        let refusals = [
            Outcome::Illegal(Illegal::UnknownType(6)),
            Outcome::Illegal(Illegal::UnknownSubtype {
                kind: 1,
                subtype: 1,
            }),
            Outcome::Illegal(Illegal::ReservedBits { word: 1, bits: 1 }),
            Outcome::Illegal(Illegal::UnusedField { word: 3, bits: 1 }),
            Outcome::Illegal(Illegal::PageSize),
            Outcome::Illegal(Illegal::ZeroPages),
            Outcome::Illegal(Illegal::Misaligned(1)),
            Outcome::Illegal(Illegal::NonCanonical {
                start: 1 << 48,
                count: 1,
            }),
            Outcome::Refused(Refused::PcidsDisabled { pcid: 1 }),
            Outcome::Refused(Refused::NotInVmxRoot),
        ];
        let numbers = refusals.map(|outcome| refusal(outcome).map(UnitCounter::number));
        let expected = [10, 11, 12, 13, 14, 15, 16, 17, 18, 19];
        assert_eq!(numbers, expected.map(Some));
    }
}
