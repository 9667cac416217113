//! The open questions: what this machine answers, and what that means.

use crate::questions::{Answer, Means, Question, letters};
use crate::report::Report;
use crate::text;
use maud::{Markup, html};
use rar_report::Backend;

pub(super) fn section(report: &Report<'_>) -> Markup {
    let answered = |means| {
        let questions = report.questions.iter();
        questions.filter(|one| one.means() == means).count()
    };
    html! {
        h3 { "Open questions" }
        p {
            "What no public source settles about RAR, and what was seen here: "
            (answered(Means::So)) " are so, " (answered(Means::NotSo)) " are not, "
            (answered(Means::AsObserved)) " are to be judged by what was observed, "
            (answered(Means::NotRun)) " were not asked."
            @if report.counts().contains_key(&Backend::Vrar) {
                " What " (Backend::Vrar.name()) " answers is about this project's own units, not about the processor."
            }
        }
        p { (letters()) }
        table {
            thead { tr { th { "question" } th { "what was seen here" } th { "what it means" } } }
            tbody {
                @for question in &report.questions {
                    tr {
                        td { code { (question.id) } " " (question.asks) }
                        td { (seen(question)) }
                        td { (meaning(question)) }
                    }
                }
            }
        }
    }
}

fn seen(question: &Question<'_>) -> Markup {
    html! {
        @if let Some(why) = question.not_testable {
            span.not-run { "not testable: " (why) }
        } @else if question.answers.is_empty() {
            span.not-run { "no result" }
        }
        @for answer in &question.answers {
            div { strong { (answer.backend.name()) } (tests(answer)) }
        }
    }
}

fn tests(answer: &Answer<'_>) -> Markup {
    html! {
        @for asked in &answer.tests {
            div {
                code { (asked.test) } ": "
                @match &asked.outcome {
                    Some(outcome) => span class=(text::class(outcome)) { (text::outcome(outcome)) },
                    None => span.not-run { "no result" },
                }
            }
        }
    }
}

fn meaning(question: &Question<'_>) -> Markup {
    let Question { if_so, if_not, .. } = question;
    let first = question.answers.first().map(|answer| answer.backend);
    let whose = match first {
        Some(Backend::Hardware) | None => String::new(),
        Some(other) => format!(" ({})", other.name()),
    };
    html! {
        @match question.means() {
            Means::So => { strong { "So" (whose) ": " } (if_so) "." }
            Means::NotSo => { strong { "Not so" (whose) ": " } (if_not) "." }
            Means::AsObserved | Means::NotRun => {
                div { "If so: " (if_so) "." }
                div { "If not: " (if_not) "." }
            }
        }
    }
}
