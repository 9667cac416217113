//! The open questions: what this machine answers, and what that means.

use maud::{Markup, html};
use rar_report::{Backend, Outcome};

use super::observation::observation;
use crate::questions::{Answer, AnswerKind, Question};
use crate::report::Report;
use crate::text;

/// The groups of questions, in the order of the page; no test can ask those of `None`.
const GROUPS: [(Option<AnswerKind>, &str, &str, &str); 5] = [
    (
        Some(AnswerKind::NotSo),
        "No",
        "violated",
        "a test was violated: read what did not hold",
    ),
    (
        Some(AnswerKind::So),
        "Yes",
        "holds",
        "each test that ran holds",
    ),
    (
        Some(AnswerKind::AsObserved),
        "Observed",
        "observed",
        "to be judged by what was seen",
    ),
    (
        Some(AnswerKind::NotRun),
        "Not asked",
        "not-run",
        "no test could run",
    ),
    (None, "Not testable", "not-run", "no test can ask"),
];

pub(super) fn section(report: &Report<'_>) -> Markup {
    let groups = GROUPS.map(|(means, ..)| {
        let questions = report.questions.iter();
        questions
            .filter(|question| group(question) == means)
            .collect::<Vec<_>>()
    });
    let shown: Vec<_> = groups.iter().flatten().copied().collect();
    html! {
        p {
            "No public source settles these questions about RAR. Each answer comes from tests that "
            "ran here; \u{201c}observed\u{201d} leaves the judgement to the reader."
            @if report.counts().contains_key(&Backend::Vrar) {
                " Answers of the backend " (Backend::Vrar.name())
                " are about this project's own units, not about the processor."
            }
        }
        @for ((means, name, class, reason), questions) in GROUPS.into_iter().zip(&groups) {
            @if !questions.is_empty() {
                details open[means.is_some_and(|kind| kind != AnswerKind::NotRun)] {
                    summary {
                        span.badge.(class) { (name) }
                        span.tally { (questions.len()) ", " (reason) }
                    }
                    div.inside.questions {
                        @for question in questions { (one(report, question, &shown)) }
                    }
                }
            }
        }
    }
}

/// Returns the answer by which a question is grouped; `None` if no test can ask it.
fn group(question: &Question<'_>) -> Option<AnswerKind> {
    question.not_testable.is_none().then(|| question.means())
}

/// One question; `shown` are all, in the order of the page.
fn one(report: &Report<'_>, question: &Question<'_>, shown: &[&Question<'_>]) -> Markup {
    html! {
        div.question id=(anchor(report, question.id)) {
            p.asks {
                (question.asks) code.id { (question.id) }
            }
            @if let Some(why) = question.not_testable {
                p.muted { "not testable: " (marked(why)) }
            } @else if question.answers.is_empty() {
                p.muted { "no result" }
            }
            @for answer in &question.answers { (said(report, question, answer, shown)) }
            (meaning(question))
        }
    }
}

/// Returns where a question stands on a page that may have several reports.
fn anchor(report: &Report<'_>, id: &str) -> String {
    format!("question-{id}-{}", report.id())
}

/// What one backend says.
fn said(
    report: &Report<'_>,
    question: &Question<'_>,
    answer: &Answer<'_>,
    shown: &[&Question<'_>],
) -> Markup {
    html! {
        p.said {
            (answer.backend.name()) ": "
            @for (place, asked) in answer.tests.iter().enumerate() {
                @if place > 0 { ", " }
                code { (asked.test) } " "
                @match &asked.outcome {
                    Some(Outcome::Observed(_)) => {
                        span.observed { "observed" }
                        @let before = first_with(asked.test, shown);
                        @if before != question.id {
                            ", see "
                            a href={ "#" (anchor(report, before)) } { code { (before) } }
                        }
                    }
                    Some(seen) => span.(text::class(seen)) { (text::outcome(seen)) },
                    None => span.not-run { "no result" },
                }
            }
        }
        @for asked in &answer.tests {
            @if first_with(asked.test, shown) == question.id {
                @if let Some(Outcome::Observed(seen)) = asked.outcome {
                    (observation(asked.test, seen))
                }
            }
        }
    }
}

/// Returns the first question on the page that a test answers: its observation is written there
/// only.
fn first_with(test: &str, shown: &[&Question<'_>]) -> &'static str {
    let asks = |question: &&&Question<'_>| {
        let mut tests = question.answers.iter().flat_map(|answer| &answer.tests);
        tests.any(|asked| asked.test == test)
    };
    shown.iter().find(asks).map_or("", |question| question.id)
}

fn meaning(question: &Question<'_>) -> Markup {
    let Question { if_so, if_not, .. } = question;
    let first = question.answers.first();
    let whose = match first.map(|answer| answer.backend) {
        Some(Backend::Hardware) | None => String::new(),
        Some(other) => format!(" ({})", other.name()),
    };
    let follows = |what| {
        html! { p.means { strong { "It follows" (whose) ": " } (marked(what)) "." } }
    };
    html! {
        @match question.means() {
            AnswerKind::So => (follows(if_so)),
            AnswerKind::NotSo => (follows(if_not)),
            AnswerKind::AsObserved | AnswerKind::NotRun => {
                p.means { "If yes: " (marked(if_so)) "." br; "If no: " (marked(if_not)) "." }
            }
        }
    }
}

/// Returns text in which code stands between backticks.
fn marked(text: &str) -> Markup {
    html! {
        @for (place, piece) in text.split('`').enumerate() {
            @if place % 2 == 0 { (piece) } @else { code { (piece) } }
        }
    }
}
