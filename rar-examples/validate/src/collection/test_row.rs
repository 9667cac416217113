//! One test on one backend, all its initiators together.

use rar_report::TestResult;
use rar_vocabulary::{Backend, Disturbances, Outcome, Text};

use super::event::{Name, Why};

/// One test on one backend, all its initiators together: the worst that was seen counts.
#[derive(Clone, Debug)]
pub(super) struct TestRow {
    pub(super) backend: Option<Backend>,
    pub(super) name: Name,
    outcome: Option<Outcome>,
    /// The first CPU as initiator that saw it.
    initiator: u32,
    why: Why,
    initiators: u32,
    fallbacks: u64,
    resignals: u64,
    disturbances: Disturbances,
}

/// What one initiator saw.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seen<'a> {
    pub(super) outcome: Outcome,
    pub(super) initiator: u32,
    pub(super) why: &'a str,
    pub(super) fallbacks: u64,
    pub(super) resignals: u64,
    pub(super) disturbances: Disturbances,
}

/// How bad an outcome is.
const fn rank(outcome: Option<Outcome>) -> u8 {
    match outcome {
        None => 0,
        Some(Outcome::Skipped) => 1,
        Some(Outcome::Pass) => 2,
        Some(Outcome::Observed) => 3,
        Some(Outcome::Fail) => 4,
    }
}

impl TestRow {
    pub(super) const EMPTY: Self = Self {
        backend: None,
        name: Text::new(),
        outcome: None,
        initiator: 0,
        why: Text::new(),
        initiators: 0,
        fallbacks: 0,
        resignals: 0,
        disturbances: Disturbances::NONE,
    };

    /// Adds what one initiator saw; returns whether it is another observation than the row keeps.
    pub(super) fn add(&mut self, seen: Seen<'_>) -> bool {
        let differs = seen.outcome == Outcome::Observed
            && self.outcome == Some(seen.outcome)
            && self.why.as_str() != seen.why;
        if rank(Some(seen.outcome)) > rank(self.outcome) {
            self.outcome = Some(seen.outcome);
            self.initiator = seen.initiator;
            self.why = Text::of(format_args!("{}", seen.why));
        }
        if seen.outcome != Outcome::Skipped {
            self.initiators += 1;
        }
        self.fallbacks += seen.fallbacks;
        self.resignals += seen.resignals;
        self.disturbances += seen.disturbances;
        differs
    }

    /// Returns the row in the words of reports.
    pub(super) fn result(&self) -> Option<TestResult<'_>> {
        let why = self.why.as_str();
        Some(TestResult {
            backend: self.backend?,
            name: self.name.as_str(),
            outcome: match self.outcome? {
                Outcome::Pass => rar_report::Outcome::Holds,
                Outcome::Fail => rar_report::Outcome::Violated {
                    initiator: self.initiator,
                    why,
                },
                Outcome::Observed => rar_report::Outcome::Observed(why),
                Outcome::Skipped => rar_report::Outcome::NotRun(why),
            },
            initiators: self.initiators,
            fallbacks: self.fallbacks,
            resignals: self.resignals,
            disturbances: self.disturbances,
        })
    }
}
