//! The open questions, and what a report answers.

use rar_report::{Backend, Outcome};
use rar_suite::questions;
use serde::Serialize;

use crate::report::Report;

/// One open question, and what this report answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Question<'a> {
    /// The id.
    pub id: &'static str,
    /// The question.
    pub asks: &'static str,
    /// Why no test asks it, if none does.
    pub not_testable: Option<&'static str>,
    /// What follows if the answer is yes, or as expected.
    pub if_so: &'static str,
    /// What follows otherwise.
    pub if_not: &'static str,
    /// One for each backend that has units, in the order of backends.
    pub answers: Vec<Answer<'a>>,
}

/// What one backend answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Answer<'a> {
    /// Who was asked.
    pub backend: Backend,
    /// What the outcomes of the tests come to.
    pub means: AnswerKind,
    /// The tests that ask.
    pub tests: Vec<Asked<'a>>,
}

/// One test that asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Asked<'a> {
    /// The test.
    pub test: &'static str,
    /// How it ended; `None` if the report has no result.
    pub outcome: Option<Outcome<'a>>,
}

/// What the outcomes of the tests of a question come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum AnswerKind {
    /// It is so: all tests that ran hold.
    So,
    /// It is not so: a test was violated.
    NotSo,
    /// A reader has to judge by what was observed.
    AsObserved,
    /// No test ran.
    NotRun,
}

impl<'a> Question<'a> {
    /// Returns all questions, with what the results of a report answer.
    pub(crate) fn all(report: &Report<'a>) -> Vec<Self> {
        let ran: Vec<_> = report.counts().into_keys().collect();
        let (software, units): (Vec<_>, Vec<_>) = ran
            .into_iter()
            .partition(|backend| *backend == Backend::Software);
        // A machine without units says at least why nothing was asked.
        let backends = if units.is_empty() { software } else { units };
        let all = questions::QUESTIONS.iter();
        all.map(|question| Self::of(question, report, &backends))
            .collect()
    }

    fn of(question: &questions::Question, report: &Report<'a>, backends: &[Backend]) -> Self {
        let not_testable = question.not_testable();
        let tests: Vec<_> = question.tests().collect();
        let backends = backends.iter().filter(|_| not_testable.is_none());
        Self {
            id: question.id,
            asks: question.asks,
            not_testable,
            if_so: question.yes,
            if_not: question.no,
            answers: backends
                .map(|backend| Answer::of(report, *backend, &tests))
                .collect(),
        }
    }

    /// Returns what the first backend answers: hardware, where there is any.
    pub(crate) fn means(&self) -> AnswerKind {
        let first = self.answers.first();
        first.map_or(AnswerKind::NotRun, |answer| answer.means)
    }
}

impl<'a> Answer<'a> {
    fn of(report: &Report<'a>, backend: Backend, tests: &[&'static str]) -> Self {
        let asked = |test: &&'static str| Asked {
            test,
            outcome: report
                .result(backend, test)
                .map(|result| result.outcome)
                // What an interrupt did answers no question about RAR.
                .filter(|outcome| {
                    backend != Backend::Software || matches!(outcome, Outcome::NotRun(_))
                }),
        };
        let tests: Vec<_> = tests.iter().map(asked).collect();
        Self {
            backend,
            means: AnswerKind::of(tests.iter().filter_map(|test| test.outcome)),
            tests,
        }
    }
}

impl AnswerKind {
    fn of<'a>(outcomes: impl Iterator<Item = Outcome<'a>>) -> Self {
        let each = outcomes.map(|outcome| match outcome {
            Outcome::Violated { .. } => Self::NotSo,
            Outcome::Observed(_) => Self::AsObserved,
            Outcome::Holds => Self::So,
            Outcome::NotRun(_) => Self::NotRun,
        });
        each.fold(Self::NotRun, |all, one| {
            let rank = |means| match means {
                Self::NotRun => 0,
                Self::So => 1,
                Self::AsObserved => 2,
                Self::NotSo => 3,
            };
            if rank(one) > rank(all) { one } else { all }
        })
    }
}

#[cfg(test)]
mod tests {
    use rar_report::TestResult;

    use super::*;

    fn report(results: &[(Backend, &'static str, Outcome<'static>)]) -> Vec<Question<'static>> {
        let results = results.iter().map(|&(backend, name, outcome)| TestResult {
            backend,
            name,
            outcome,
            initiators: 1,
            fallbacks: 0,
            resignals: 0,
            disturbances: rar_report::Disturbances::NONE,
        });
        Question::all(&Report {
            results: results.collect(),
            ..Report::default()
        })
    }

    fn find<'q>(questions: &'q [Question<'static>], id: &str) -> &'q Question<'static> {
        questions.iter().find(|question| question.id == id).unwrap()
    }

    #[test]
    fn every_question_is_asked_or_says_why_not() {
        let all = report(&[(Backend::Vrar, "one-page", Outcome::Holds)]);
        assert_eq!(all.len(), questions::QUESTIONS.len());
        for question in all {
            let asked = question
                .answers
                .iter()
                .any(|answer| !answer.tests.is_empty());
            assert_eq!(asked, question.not_testable.is_none(), "{}", question.id);
        }
    }

    #[test]
    fn the_worst_outcome_decides_and_what_did_not_run_says_nothing() {
        let not_run = Outcome::NotRun("alone");
        let violated = Outcome::Violated {
            initiator: 0,
            why: "stale",
        };
        let observed = Outcome::Observed("0x02");
        for (outcomes, means) in [
            (&[][..], AnswerKind::NotRun),
            (&[not_run], AnswerKind::NotRun),
            (&[Outcome::Holds, not_run], AnswerKind::So),
            (&[observed, Outcome::Holds], AnswerKind::AsObserved),
            (&[observed, violated, Outcome::Holds], AnswerKind::NotSo),
        ] {
            assert_eq!(
                AnswerKind::of(outcomes.iter().copied()),
                means,
                "{outcomes:?}"
            );
        }
    }

    #[test]
    fn hardware_speaks_first_and_software_only_alone() {
        let not_run = Outcome::NotRun("no units");
        let test = "unit-scan-order";
        let questions = report(&[
            (Backend::Software, test, not_run),
            (Backend::Vrar, test, Outcome::Observed("upwards")),
            (Backend::Hardware, test, Outcome::Observed("downwards")),
        ]);
        let order = find(&questions, "6-scan-order");
        let backends: Vec<_> = order.answers.iter().map(|answer| answer.backend).collect();
        assert_eq!(backends, [Backend::Hardware, Backend::Vrar]);
        assert_eq!(order.means(), AnswerKind::AsObserved);
        let said = order.answers[0].tests[0].outcome;
        assert_eq!(said, Some(Outcome::Observed("downwards")));
        // A question that the report says nothing of stays open.
        assert_eq!(find(&questions, "6-mwait").means(), AnswerKind::NotRun);

        let alone = report(&[(Backend::Software, test, not_run)]);
        let order = find(&alone, "6-scan-order");
        assert_eq!(order.answers[0].tests[0].outcome, Some(not_run));
    }
}
