//! What was seen so far: counts for each backend, and the first things that went wrong.

use core::fmt;

use rar_suite::Record;
use rar_vocabulary::{Counts, Disturbances, Text, Verdict};

use crate::Coverage;
use crate::Name;
use crate::answers::Answers;
use crate::wording::Short;

/// One backend's part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// The backend.
    pub backend: Name,
    /// How many runs it begins with.
    pub runs: u32,
    /// Its counts.
    pub counts: Counts,
    /// Whether its suite came to its end.
    pub ended: bool,
}

/// A test that has run for every initiator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finished {
    /// The test.
    pub name: Name,
    /// How its runs ended.
    pub counts: Counts,
    /// How many points it measured.
    pub points: usize,
    /// What came from outside meanwhile.
    pub disturbances: Disturbances,
}

impl fmt::Display for Finished {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:28} ", self.name.as_str())?;
        write!(f, "{}", Short(&self.counts))?;
        if self.points > 0 {
            write!(f, " {} points measured", self.points)?;
        }
        match self.disturbances.is_none() {
            true => Ok(()),
            false => write!(f, ", disturbed by {}", self.disturbances),
        }
    }
}

/// How many backends a run can have.
const PARTS: usize = 4;

/// What was seen so far.
#[derive(Clone, Debug)]
pub struct Tally {
    parts: [Part; PARTS],
    count: usize,
    current: Finished,
    /// Whether a backend that is there was refused.
    refused: bool,
    answers: Answers,
    coverage: Coverage,
}

impl Tally {
    /// Nothing yet.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            parts: [const {
                Part {
                    backend: Name::new(),
                    runs: 0,
                    counts: Counts::NONE,
                    ended: false,
                }
            }; PARTS],
            count: 0,
            current: Finished {
                name: Name::new(),
                counts: Counts::NONE,
                points: 0,
                disturbances: Disturbances::NONE,
            },
            refused: false,
            answers: Answers::new(),
            coverage: Coverage::UNKNOWN,
        }
    }

    /// Takes in how many of the CPUs take part.
    pub fn cover(&mut self, coverage: Coverage) {
        self.coverage = coverage;
    }

    /// Returns how many of the CPUs take part.
    #[must_use]
    pub const fn coverage(&self) -> Coverage {
        self.coverage
    }

    /// The driver refuses RAR units that the machine announces: the other backends do not stand for
    /// them.
    pub fn refuse(&mut self) {
        self.refused = true;
    }

    /// Takes in a record; returns the test that it shows to be finished.
    pub fn add(&mut self, record: &Record<'_>) -> Option<Finished> {
        self.answers.add(record);
        if let Record::Start { backend, runs, .. } = *record {
            let part = self.parts.get_mut(self.count)?;
            part.backend = Text::of(format_args!("{backend}"));
            part.runs = runs;
            self.count += 1;
            return None;
        }
        let last = self.count.checked_sub(1);
        let part = last.and_then(|last| self.parts.get_mut(last))?;
        match *record {
            Record::Begin { name, .. } => {
                let name = Text::of(format_args!("{name}"));
                return (name != self.current.name)
                    .then(|| self.next(name))
                    .flatten();
            }
            Record::Test {
                outcome,
                disturbances,
                ..
            } => {
                part.counts.add(outcome);
                self.current.counts.add(outcome);
                self.current.disturbances += disturbances;
            }
            Record::Measurement(_) => self.current.points += 1,
            Record::End { .. } => {
                part.ended = true;
                return self.next(Name::new());
            }
            _ => {}
        }
        None
    }

    fn next(&mut self, name: Name) -> Option<Finished> {
        let counts = Counts::NONE;
        let before = core::mem::replace(
            &mut self.current,
            Finished {
                name,
                counts,
                points: 0,
                disturbances: Disturbances::NONE,
            },
        );
        (!before.name.is_empty()).then_some(before)
    }

    /// Returns the answers to the first questions.
    #[must_use]
    pub const fn answers(&self) -> &Answers {
        &self.answers
    }

    /// Returns the test that runs, empty between two.
    #[must_use]
    pub fn running(&self) -> &str {
        self.current.name.as_str()
    }

    /// Returns the backends that began, in their order.
    #[must_use]
    pub fn parts(&self) -> &[Part] {
        self.parts.get(..self.count).unwrap_or_default()
    }

    /// Returns the counts of all backends together.
    #[must_use]
    pub fn counts(&self) -> Counts {
        let mut all = Counts::NONE;
        self.parts().iter().for_each(|part| all += part.counts);
        all
    }

    /// Returns what the whole run shows.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        let parts = self.parts();
        if parts.iter().any(|part| part.counts.failed > 0) {
            Verdict::Violated
        } else if self.refused || parts.iter().any(|part| !part.ended) {
            Verdict::Incomplete
        } else if parts
            .iter()
            .all(|part| part.counts.passed + part.counts.observed == 0)
        {
            Verdict::NothingRan
        } else {
            Verdict::Holds
        }
    }
}

impl Default for Tally {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::wording::Full;
    use rar_vocabulary::Outcome;

    const START: Record<'_> = Record::Start {
        backend: "software",
        cpus: 4,
        tests: 1,
        runs: 4,
        initiators: 4,
    };
    const END: Record<'_> = Record::End {
        passed: 0,
        failed: 0,
        observed: 0,
        skipped: 0,
    };

    const DISTURBED: Disturbances = Disturbances {
        nmis: 2,
        ..Disturbances::NONE
    };

    fn test(outcome: Outcome) -> Record<'static> {
        Record::Test {
            name: "storm",
            question: None,
            backend: "software",
            cpus: 4,
            initiator: 0,
            flushes: 1,
            controls: &[],
            fallbacks: 0,
            resignals: 0,
            disturbances: DISTURBED,
            outcome,
            why: "",
        }
    }

    /// Returns the tally of backends that each had these outcomes and did not end.
    pub(crate) fn tally_of(backends: &[&str], outcomes: &[Outcome]) -> Tally {
        let mut tally = Tally::new();
        for backend in backends.iter().copied() {
            tally.add(&Record::Start {
                backend,
                cpus: 4,
                tests: 4,
                runs: 4,
                initiators: 1,
            });
            for outcome in outcomes.iter().copied() {
                tally.add(&test(outcome));
            }
        }
        tally
    }

    fn verdict(records: &[Record<'_>]) -> Verdict {
        let mut tally = Tally::new();
        for record in records {
            tally.add(record);
        }
        tally.verdict()
    }

    #[test]
    fn a_verdict_is_never_better_than_what_was_seen() {
        let (pass, fail, skip) = (
            test(Outcome::Pass),
            test(Outcome::Fail),
            test(Outcome::Skipped),
        );
        assert_eq!(verdict(&[]), Verdict::NothingRan);
        assert_eq!(verdict(&[START, skip.clone(), END]), Verdict::NothingRan);
        assert_eq!(verdict(&[START, pass.clone(), END]), Verdict::Holds);
        assert_eq!(verdict(&[START, pass.clone()]), Verdict::Incomplete);
        assert_eq!(
            verdict(&[START, pass.clone(), START, pass.clone(), END]),
            Verdict::Incomplete
        );
        assert_eq!(
            verdict(&[START, fail, END, START, pass, END]),
            Verdict::Violated
        );
    }

    #[test]
    fn a_driver_that_refuses_units_does_not_pass_by_the_other_backends() {
        let mut tally = Tally::new();
        for record in [START, test(Outcome::Pass), END] {
            tally.add(&record);
        }
        assert_eq!(tally.verdict(), Verdict::Holds);
        tally.refuse();
        assert_eq!(tally.verdict(), Verdict::Incomplete);
    }

    #[test]
    fn a_test_is_finished_when_the_next_one_begins() {
        let begin = |name, initiator| Record::Begin { name, initiator };
        let mut tally = Tally::new();
        let mut lines = Vec::new();
        for record in [
            START,
            begin("one-page", 0),
            test(Outcome::Pass),
            begin("one-page", 1),
            test(Outcome::Fail),
            begin("storm", 0),
            test(Outcome::Skipped),
            END,
        ] {
            lines.extend(tally.add(&record).map(|done| done.to_string()));
        }
        assert_eq!(lines.len(), 2);
        assert!(
            lines[0].starts_with("one-page ")
                && lines[0].ends_with(" 1 hold 1 VIOLATED, disturbed by 4 foreign NMIs")
        );
        assert!(
            lines[1].contains(" 1 not run, disturbed by 2 "),
            "{lines:?}"
        );
        assert_eq!(tally.running(), "");
    }

    #[test]
    fn each_backend_has_its_counts() {
        let mut tally = Tally::new();
        for record in [
            START,
            test(Outcome::Pass),
            test(Outcome::Skipped),
            END,
            START,
        ] {
            tally.add(&record);
        }
        let [first, second] = tally.parts() else {
            panic!("{tally:?}")
        };
        assert_eq!(first.backend.as_str(), "software");
        assert_eq!(
            Full(&first.counts).to_string(),
            "1 hold, 0 violated, 0 observed, 1 not run"
        );
        assert_eq!(second.counts, Counts::default());
    }
}
