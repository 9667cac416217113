//! A report whose records are sorted by what they are.

use std::collections::BTreeMap;
use std::fmt;

use rar_report::{
    Backend, Disturbances, EndReason, Event, EventKind, Fact, Head, LeftOut, Machine, Measurement,
    Outcome, Record, Records, Registers, TestResult,
};
use serde::Serialize;

use crate::questions::Question;

/// One report.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Report<'a> {
    /// Where it was found.
    pub sources: Vec<String>,
    /// What report it is.
    pub head: Option<Head<'a>>,
    /// The machine.
    pub machine: Option<Machine<'a>>,
    /// Registers, CPU 0 first.
    pub registers: Vec<Registers>,
    /// Other facts.
    pub facts: Vec<Fact<'a>>,
    /// The tests.
    pub results: Vec<TestResult<'a>>,
    /// The open questions, and what the tests answer.
    pub questions: Vec<Question<'a>>,
    /// The measurements.
    pub measurements: Vec<Measurement<'a>>,
    /// What went wrong.
    pub events: Vec<Event<'a>>,
    /// How the run ended; `None` if the report does not get there.
    pub end: Option<End>,
    /// What could not be read.
    pub problems: Vec<String>,
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct End {
    /// Why.
    pub reason: EndReason,
    /// What the report had no room for.
    pub left_out: LeftOut,
}

/// How many tests of one backend ended how.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Every assertion held.
    pub holds: usize,
    /// An assertion did not hold.
    pub violated: usize,
    /// The machine answered an open question.
    pub observed: usize,
    /// The test could not be run.
    pub not_run: usize,
}

impl Counts {
    /// Counts one test.
    pub(crate) fn add(&mut self, outcome: &Outcome<'_>) {
        let counter = match outcome {
            Outcome::Holds => &mut self.holds,
            Outcome::Violated { .. } => &mut self.violated,
            Outcome::Observed(_) => &mut self.observed,
            Outcome::NotRun(_) => &mut self.not_run,
        };
        *counter += 1;
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} hold, {} violated, {} observed, {} not run",
            self.holds, self.violated, self.observed, self.not_run
        )
    }
}

/// What a whole report comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// Something did not hold.
    Violated,
    /// The run or the report is not complete, and nothing that is known was violated.
    Incomplete,
    /// Nothing was violated, and something ran.
    Holds,
    /// No test ran.
    NothingRan,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Violated => "VIOLATED",
            Self::Incomplete => "INCOMPLETE",
            Self::Holds => "holds",
            Self::NothingRan => "nothing ran",
        })
    }
}

impl<'a> Report<'a> {
    /// Returns the fact with this key.
    #[must_use]
    pub fn fact(&self, key: &str) -> Option<&'a str> {
        let mut facts = self.facts.iter();
        facts.find(|fact| fact.key == key).map(|fact| fact.value)
    }

    /// Reads the records of a report. What cannot be read is named in [`problems`](Self::problems).
    #[must_use]
    pub fn read(bytes: &'a [u8], sources: &[String]) -> Self {
        let mut report = Self {
            sources: sources.to_vec(),
            ..Self::default()
        };
        for record in Records::new(bytes) {
            match record {
                Ok(Record::Head(head)) => report.head = Some(head),
                Ok(Record::Machine(machine)) => report.machine = Some(machine),
                Ok(Record::Registers(registers)) => report.registers.push(registers),
                Ok(Record::Fact(fact)) => report.facts.push(fact),
                Ok(Record::Result(result)) => report.results.push(result),
                Ok(Record::Measurement(measurement)) => report.measurements.push(measurement),
                Ok(Record::Event(event)) => report.events.push(event),
                Ok(Record::End(reason, left_out)) => report.end = Some(End { reason, left_out }),
                Err(error) => report.problems.push(error.to_string()),
            }
        }
        report.questions = Question::all(&report);
        if report.end.is_none() {
            report
                .problems
                .push("the report does not come to its end".to_owned());
        }
        if let Some(left_out) = report
            .end
            .map(|end| end.left_out)
            .filter(|left_out| !left_out.is_nothing())
        {
            let LeftOut {
                results,
                measurements,
                events,
                others,
            } = left_out;
            report.problems.push(format!(
                "the machine had no room for {results} tests, {measurements} measurements, \
                 {events} events and {others} other records"
            ));
        }
        report
    }

    /// Returns the id, as it is written everywhere.
    #[must_use]
    pub fn id(&self) -> String {
        self.head
            .map_or_else(|| "unknown".to_owned(), |head| format!("{:08X}", head.id))
    }

    /// Returns what the processor is called, and its microcode: reports of the same kind of machine
    /// have the same.
    #[must_use]
    pub fn kind(&self) -> (String, String) {
        let Some(machine) = &self.machine else {
            return ("unknown machine".to_owned(), "unknown".to_owned());
        };
        let name = [machine.brand, machine.vendor]
            .into_iter()
            .map(str::trim)
            .find(|name| !name.is_empty());
        let Machine {
            family,
            model,
            stepping,
            ..
        } = machine;
        let name = format!(
            "{} ({family:#x}/{model:#x}/{stepping})",
            name.unwrap_or("unnamed")
        );
        let microcode = machine
            .microcode
            .map_or_else(|| "unknown".to_owned(), |revision| format!("{revision:#x}"));
        (name, microcode)
    }

    /// Returns the counts of each backend that has results.
    #[must_use]
    pub fn counts(&self) -> BTreeMap<Backend, Counts> {
        let mut counts: BTreeMap<_, Counts> = BTreeMap::new();
        for result in &self.results {
            let counts = counts.entry(result.backend).or_default();
            counts.add(&result.outcome);
        }
        counts
    }

    /// Returns what came from outside while the tests of a backend ran.
    #[must_use]
    pub fn disturbances(&self, backend: Backend) -> Disturbances {
        let mut all = Disturbances::NONE;
        let results = self.results.iter();
        let results = results.filter(|result| result.backend == backend);
        results.for_each(|result| all += result.disturbances);
        all
    }

    /// Returns what the report comes to.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        let mut total = Counts::default();
        for counts in self.counts().values() {
            total.holds += counts.holds + counts.observed;
            total.violated += counts.violated;
        }
        let complete = self
            .end
            .is_some_and(|end| end.reason == EndReason::Complete);
        let lost = |event: &Event<'_>| {
            matches!(
                event.kind,
                EventKind::CpuSilent | EventKind::Hung | EventKind::Exception
            )
        };
        if total.violated > 0 {
            Verdict::Violated
        } else if !complete || !self.problems.is_empty() || self.events.iter().any(lost) {
            Verdict::Incomplete
        } else if total.holds == 0 {
            Verdict::NothingRan
        } else {
            Verdict::Holds
        }
    }

    /// Returns the names of all tests, in the order of the run.
    #[must_use]
    pub fn tests(&self) -> Vec<&'a str> {
        let mut tests = Vec::new();
        for result in &self.results {
            if !tests.contains(&result.name) {
                tests.push(result.name);
            }
        }
        tests
    }

    /// Returns the result of a test on a backend.
    #[must_use]
    pub fn result(&self, backend: Backend, test: &str) -> Option<&TestResult<'a>> {
        self.results
            .iter()
            .find(|result| result.backend == backend && result.name == test)
    }

    /// Returns ticks as nanoseconds, if the rate is known.
    #[must_use]
    pub fn nanoseconds(&self, ticks: u64) -> Option<f64> {
        let rate = self.machine.map_or(0, |machine| machine.tsc_hz);
        (rate > 0).then(|| ticks as f64 * 1e9 / rate as f64)
    }
}
