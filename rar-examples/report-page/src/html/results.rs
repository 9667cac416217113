//! The tests: groups that fold, a row for each test, a column for each backend.

use maud::{Markup, html};
use rar_report::{Backend, Outcome, TestResult};

use super::observation::observation;
use crate::groups::{Group, grouped};
use crate::report::{Counts, Report};
use crate::text;

pub(super) fn section(report: &Report<'_>) -> Markup {
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
        p {
            "A group opens to its tests; one in which a test was violated is open."
            @match differing {
                0 => {}
                1 => " 1 test ends differently on different backends; it is marked.",
                more => {
                    " " (more) " tests end differently on different backends; they are marked."
                }
            }
        }
        @for group in grouped(&tests) { (one_group(report, &backends, &group)) }
    }
}

fn one_group(report: &Report<'_>, backends: &[Backend], group: &Group<'_>) -> Markup {
    let results = group.tests.iter().flat_map(|test| {
        let backends = backends.iter();
        backends.filter_map(|backend| report.result(*backend, test))
    });
    let mut counts = Counts::default();
    results.for_each(|result| counts.add(&result.outcome));
    html! {
        details open[counts.violated > 0] {
            summary { (group.title) span.tally { (tally(&counts)) } }
            div.inside {
                table.tests {
                    thead {
                        tr {
                            th { "test" }
                            @for backend in backends { th { (backend.name()) } }
                        }
                    }
                    tbody {
                        @for test in &group.tests {
                            tr {
                                td {
                                    code { (test) }
                                    @if differs(report, backends, test) {
                                        " " span.badge.observed { "differs" }
                                    }
                                }
                                @for backend in backends {
                                    (cell(*backend, report.result(*backend, test)))
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// The counts that are not zero.
fn tally(counts: &Counts) -> Markup {
    let parts = [
        (counts.violated, "violated", "violated"),
        (counts.holds, "holds", "hold"),
        (counts.observed, "observed", "observed"),
        (counts.not_run, "not-run", "not run"),
    ];
    let shown: Vec<_> = parts.into_iter().filter(|(count, ..)| *count > 0).collect();
    html! {
        @for (place, (count, class, name)) in shown.iter().enumerate() {
            @if place > 0 { ", " }
            span.(class) { (count) " " (name) }
        }
    }
}

/// Returns whether backends that ran a test saw different things. A test that one cannot run says
/// nothing about the others.
fn differs(report: &Report<'_>, backends: &[Backend], test: &str) -> bool {
    let mut ran = backends
        .iter()
        .filter_map(|backend| report.result(*backend, test))
        .filter(|result| !matches!(result.outcome, Outcome::NotRun(_)))
        .map(|result| match result.outcome {
            Outcome::Violated { .. } => "violated".to_owned(),
            // Latencies always differ.
            Outcome::Observed(_) if test == "measurements" => "observed".to_owned(),
            other => text::outcome(&other),
        });
    let Some(first) = ran.next() else {
        return false;
    };
    ran.any(|other| other != first)
}

fn cell(backend: Backend, result: Option<&TestResult<'_>>) -> Markup {
    let Some(result) = result else {
        return html! { td.not-run data-of=(backend.name()) { "no result" } };
    };
    let TestResult {
        name,
        initiators,
        fallbacks,
        resignals,
        disturbances,
        ..
    } = result;
    html! {
        td data-of=(backend.name()) title=(format!("{initiators} initiators")) {
            @match &result.outcome {
                Outcome::Observed(seen) => {
                    span.observed { "observed" }
                    (observation(name, seen))
                }
                other => span.(text::class(other)) { (text::outcome(other)) },
            }
            @if *fallbacks > 0 { ", " (fallbacks) " fallbacks" }
            @if *resignals > 0 { ", " (resignals) " signals sent again" }
            @if !disturbances.is_none() { ", disturbed by " (disturbances) }
        }
    }
}
