//! What the unit of one CPU has executed, readable by every CPU.

use core::ops::Range;
use core::sync::atomic::{AtomicU64, Ordering};

use rar_model::{Action, Execution, Invalidation, Knobs};
use rar_vocabulary::{EntryVerdict as Verdict, UnitCounter};

use crate::unit::counts::{Counts, verdict};
use crate::unit::effect::Effect;
use crate::unit::offence::Offence;

/// How many executions are kept.
const CAPACITY: usize = 256;
const WORDS: usize = 10;

/// One executed entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Executed {
    /// How many were executed on this CPU before it.
    pub number: u64,
    /// The index in the payload table.
    pub index: u8,
    /// Quadwords 0-3 as the unit read them.
    pub words: [u64; 4],
    /// What came of it.
    pub verdict: Verdict,
    /// CR3 of the CPU at that moment.
    pub cr3: u64,
    /// Hash of the payload when a signal announced it; `None` if the entry was armed after the last
    /// signal's look, which is legal.
    pub announced: Option<u64>,
    /// Hash (FNV-1a of the 32 bytes) of the payload when it was executed.
    pub hash: u64,
    /// What left the TLB.
    effect: Option<Effect>,
}

impl Executed {
    /// Returns the type.
    #[must_use]
    pub fn kind(&self) -> u8 {
        let [control, ..] = self.words;
        let [_, kind, ..] = control.to_le_bytes();
        kind
    }

    /// Returns what the entry meant; `None` if it had no meaning.
    #[must_use]
    pub fn action(&self) -> Option<Action> {
        let lenient = Knobs {
            types: u32::MAX,
            ..Knobs::DEFAULT
        };
        Action::decode(self.words, &lenient).ok()
    }

    /// Returns whether the unit took a translation of these addresses, global or not, out of the
    /// TLB for the entry, in whichever address space.
    #[must_use]
    pub fn drops(&self, held: &Range<u64>, global: bool) -> bool {
        self.effect.is_some_and(|effect| effect.drops(held, global))
    }
}

/// The record of one CPU: the latest executions, and how often something went wrong.
#[derive(Debug)]
pub struct Record {
    executions: [[AtomicU64; WORDS]; CAPACITY],
    total: AtomicU64,
    counts: Counts,
}

/// Set in the second word if the payload was announced.
const ANNOUNCED: u64 = 1 << 16;

impl Record {
    pub(crate) const fn new() -> Self {
        Self {
            executions: [const { [const { AtomicU64::new(0) }; WORDS] }; CAPACITY],
            total: AtomicU64::new(0),
            counts: Counts::new(),
        }
    }

    /// Returns how many entries were executed since the launch.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.total.load(Ordering::Acquire)
    }

    /// Returns how many requests were lost, because RAR was disabled or the CPU played deaf.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.counts.get(UnitCounter::Dropped)
    }

    /// Returns how often a driver did this.
    #[must_use]
    pub fn offences(&self, kind: Offence) -> u64 {
        self.counts.get(kind.counter())
    }

    /// Returns what was counted since the launch.
    #[must_use]
    pub const fn counts(&self) -> &Counts {
        &self.counts
    }

    /// Returns the execution with this number; `None` if it was not made yet, or is no longer kept.
    #[must_use]
    pub fn execution(&self, number: u64) -> Option<Executed> {
        let place = self.place(number)?;
        let words = place.each_ref().map(|word| word.load(Ordering::Acquire));
        let [sequence, what, w0, w1, w2, w3, cr3, announced, hash, start] = words;
        let still = place.first()?.load(Ordering::Acquire);
        if sequence != number + 1 || still != sequence {
            return None;
        }
        let [index, code, _, effect @ .., _, _] = what.to_le_bytes();
        Some(Executed {
            number,
            index,
            words: [w0, w1, w2, w3],
            verdict: *Verdict::ALL.get(usize::from(code).checked_sub(1)?)?,
            cr3,
            announced: (what & ANNOUNCED != 0).then_some(announced),
            hash,
            effect: Effect::decode(effect, start),
        })
    }

    /// Returns the executions from a number on that are still kept, oldest first.
    pub fn since(&self, number: u64) -> impl Iterator<Item = Executed> {
        (number..self.total()).filter_map(|number| self.execution(number))
    }

    /// Returns whether all executions from this number on are kept.
    #[must_use]
    pub fn has_all_since(&self, number: u64) -> bool {
        self.total().saturating_sub(number) <= CAPACITY as u64
    }

    fn place(&self, number: u64) -> Option<&[AtomicU64; WORDS]> {
        let place = usize::try_from(number % CAPACITY as u64).ok()?;
        self.executions.get(place)
    }

    /// Keeps an execution and what was invalidated for it. Only the CPU itself calls it.
    pub(crate) fn keep(
        &self,
        execution: &Execution,
        invalidated: Option<Invalidation>,
        cr3: u64,
        announced: Option<u64>,
        hash: u64,
    ) {
        let number = self.total.load(Ordering::Relaxed);
        let verdict = verdict(execution.outcome);
        let ([flags, kind, count], start) = Effect::encode(invalidated.and_then(Effect::of));
        let what = u64::from_le_bytes([0, 0, 0, flags, kind, count, 0, 0])
            | u64::from(execution.index)
            | u64::from(verdict.number()) << 8
            | if announced.is_some() { ANNOUNCED } else { 0 };
        let [w0, w1, w2, w3] = execution.words;
        let announced_hash = announced.unwrap_or(0);
        let values = [what, w0, w1, w2, w3, cr3, announced_hash, hash, start];
        if let Some([sequence, rest @ ..]) = self.place(number) {
            sequence.store(0, Ordering::Release);
            for (word, value) in rest.iter().zip(values) {
                word.store(value, Ordering::Release);
            }
            sequence.store(number + 1, Ordering::Release);
        }
        self.total.store(number + 1, Ordering::Release);
        self.counts.add_entry(w0, execution.outcome);
        if verdict == Verdict::Refused {
            self.offence(Offence::RefusedEntry);
        }
        if announced.is_some_and(|announced| announced != hash) {
            self.offence(Offence::ChangedPayload);
        }
    }

    pub(crate) fn offence(&self, kind: Offence) {
        self.counts.add(kind.counter());
    }
}

#[cfg(test)]
mod tests {
    use rar_model::{Contexts, Globals, Outcome, PageReach, PageSize, Pages, Structures};

    use super::*;

    fn execution(words: [u64; 4], outcome: Outcome) -> Execution {
        Execution {
            index: 7,
            words,
            decoded: Action::decode(words, &Knobs::DEFAULT),
            outcome,
        }
    }

    /// INVPCID, one PCID (5), two pages from 0x7000.
    const TWO_PAGES: [u64; 4] = [2 << 8 | 2 << 37, 0, 5, 0x7000];

    #[test]
    fn executions_are_kept_until_overwritten() {
        let record = Record::new();
        for _ in 0..CAPACITY + 1 {
            record.keep(
                &execution(TWO_PAGES, Outcome::Performed),
                None,
                0x1000,
                None,
                9,
            );
        }
        assert_eq!(record.execution(0), None);
        assert_eq!(record.execution(record.total()), None);
        let last = record.since(CAPACITY as u64).next().unwrap();
        assert_eq!((last.index, last.words, last.cr3), (7, TWO_PAGES, 0x1000));
        assert_eq!(
            (last.verdict, last.announced, last.hash),
            (Verdict::Performed, None, 9)
        );
        assert_eq!(last.kind(), 2);
    }

    #[test]
    fn what_was_invalidated_is_gone_and_nothing_else() {
        let record = Record::new();
        let entry = execution(TWO_PAGES, Outcome::Performed);
        let one = Invalidation::Pages {
            pages: Pages {
                start: 0x7000,
                size: PageSize::Size4K,
                count: 1,
            },
            reach: PageReach::Covering,
            contexts: Contexts::Pcid(5),
            globals: Globals::Exclude,
            structures: Structures::Keep,
        };
        for (invalidated, first, second) in [
            (None, false, false),
            (Some(one), true, false),
            (
                Some(Invalidation::everything(Contexts::All, Globals::Include)),
                true,
                true,
            ),
        ] {
            let number = record.total();
            record.keep(&entry, invalidated, 0, None, 0);
            let kept = record.execution(number).unwrap();
            assert_eq!(kept.words, TWO_PAGES);
            assert_eq!(kept.drops(&(0x7000..0x8000), false), first);
            assert_eq!(kept.drops(&(0x8000..0x9000), false), second);
            assert_eq!(kept.drops(&(0x7000..0x8000), true), second);
        }
    }

    #[test]
    fn a_changed_payload_and_a_refused_one_are_offences() {
        let record = Record::new();
        record.keep(
            &execution(TWO_PAGES, Outcome::Performed),
            None,
            0,
            Some(1),
            1,
        );
        assert_eq!(record.offences(Offence::ChangedPayload), 0);
        record.keep(
            &execution(TWO_PAGES, Outcome::Performed),
            None,
            0,
            Some(1),
            2,
        );
        assert_eq!(record.offences(Offence::ChangedPayload), 1);
        let nonsense = [9 << 8, 0, 0, 0];
        let outcome = Outcome::Illegal(rar_model::Illegal::UnknownType(9));
        record.keep(&execution(nonsense, outcome), None, 0, None, 0);
        assert_eq!(record.offences(Offence::RefusedEntry), 1);
        assert_eq!(record.execution(2).unwrap().action(), None);
    }
}
