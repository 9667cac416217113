//! The tests: a row for each, a column for each backend.

use crate::report::Report;
use crate::text;
use maud::{Markup, html};
use rar_report::{Backend, Outcome, TestResult};

pub(super) fn table(report: &Report<'_>) -> Markup {
    let backends: Vec<_> = report.counts().into_keys().collect();
    if backends.is_empty() {
        return html! { p { "No test ran." } };
    }
    let tests = report.tests();
    let differing = tests
        .iter()
        .filter(|test| differs(report, &backends, test))
        .count();
    html! {
        @if differing > 0 {
            p { (differing) " tests end differently on different backends; they are marked." }
        }
        table {
            thead { tr { th { "test" } @for backend in &backends { th { (backend.name()) } } } }
            tbody {
                @for test in tests {
                    tr class=[differs(report, &backends, test).then_some("differs")] {
                        td { code { (test) } }
                        @for backend in &backends { (cell(report.result(*backend, test))) }
                    }
                }
            }
        }
    }
}

/// Returns whether backends that ran a test saw different things. A test that one cannot run says nothing about the others.
fn differs(report: &Report<'_>, backends: &[Backend], test: &str) -> bool {
    let mut ran = backends
        .iter()
        .filter_map(|backend| report.result(*backend, test))
        .filter(|result| !matches!(result.outcome, Outcome::NotRun(_)))
        .map(|result| match result.outcome {
            Outcome::Violated { .. } => "violated".to_owned(),
            other => text::outcome(&other),
        });
    let Some(first) = ran.next() else {
        return false;
    };
    ran.any(|other| other != first)
}

fn cell(result: Option<&TestResult<'_>>) -> Markup {
    let Some(result) = result else {
        return html! { td.not-run { "no result" } };
    };
    let TestResult {
        initiators,
        fallbacks,
        resignals,
        ..
    } = result;
    html! {
        td class=(text::class(&result.outcome)) title=(format!("{initiators} initiators")) {
            (text::outcome(&result.outcome))
            @if *fallbacks > 0 { ", " (fallbacks) " fallbacks" }
            @if *resignals > 0 { ", " (resignals) " signals sent again" }
        }
    }
}
