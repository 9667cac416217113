//! What differs between two reports.

use maud::{Markup, html};

use super::document::document;
use super::observation::observation;
use crate::compare::{Change, Comparison, Latency};
use crate::report::Report;

/// The columns of numbers.
const NUMBERS: [&str; 5] = [
    "p50 before",
    "p50 after",
    "p99 before",
    "p99 after",
    "p50 after/before",
];

/// A median that changed by more than this part is marked.
const NOTABLE: f64 = 0.1;

/// Returns the page that compares two reports.
#[must_use]
pub fn comparison(before: &Report<'_>, after: &Report<'_>, comparison: &Comparison) -> String {
    let title = format!("RAR reports {} and {}", before.id(), after.id());
    document(
        &title,
        &html! {
            h1 { (title) }
            div.scroll { table {
                thead {
                    tr {
                        th {}
                        @for name in ["machine", "microcode", "verdict", "found in"] {
                            th { (name) }
                        }
                    }
                }
                tbody {
                    @for (which, report) in [("before", before), ("after", after)] {
                        @let (name, microcode) = report.kind();
                        tr {
                            th { (which) }
                            td { (name) }
                            td.value { (microcode) }
                            td { (report.verdict()) }
                            td { (report.sources.join(", ")) }
                        }
                    }
                }
            } }
            @for report in [before, after] {
                @for problem in &report.problems { p.problem { (report.id()) ": " (problem) } }
            }
            h2 { "Outcomes" }
            p { (comparison.same_outcomes) " outcomes are equal." }
            (changes(&comparison.outcomes, outcome))
            h2 { "Machine and registers" }
            (changes(&comparison.machine, |_, value| html! { code { (value) } }))
            h2 { "Latency" }
            (latencies(comparison))
        },
    )
}

/// An outcome; an observation is a list of findings.
fn outcome(what: &str, outcome: &str) -> Markup {
    let test = what.rsplit(' ').next().unwrap_or(what);
    html! {
        @match outcome.strip_prefix("observed: ") {
            Some(seen) => { span.observed { "observed" } (observation(test, seen)) },
            None => (outcome),
        }
    }
}

/// The changes, each with both values as `show` writes them.
fn changes(changes: &[Change], show: fn(&str, &str) -> Markup) -> Markup {
    let value = |change: &Change, value: &Option<String>| match value {
        Some(value) => show(&change.what, value),
        None => html! { "absent" },
    };
    html! {
        @if changes.is_empty() {
            p { "Nothing differs." }
        } @else {
            div.scroll { table.tests {
                thead { tr { th { "what" } th { "before" } th { "after" } } }
                tbody {
                    @for change in changes {
                        tr {
                            td { (change.what) }
                            td data-of="before" { (value(change, &change.before)) }
                            td data-of="after" { (value(change, &change.after)) }
                        }
                    }
                }
            } }
        }
    }
}

fn latencies(comparison: &Comparison) -> Markup {
    html! {
        @if comparison.unmatched > 0 {
            p { (comparison.unmatched) " measurements are in one report only." }
        }
        @if !comparison.latencies.is_empty() {
            div.scroll { table {
                thead {
                    tr {
                        th { "measurement" }
                        th { "unit" }
                        @for name in NUMBERS { th.number { (name) } }
                    }
                }
                tbody { @for latency in &comparison.latencies { (row(latency)) } }
            } }
        }
    }
}

fn row(latency: &Latency) -> Markup {
    let ratio = match latency.ratio {
        Some(ratio) => format!("{ratio:.2}"),
        None => "none".to_owned(),
    };
    let class = match latency.ratio {
        Some(ratio) if ratio > 1.0 + NOTABLE => "violated",
        Some(ratio) if ratio < 1.0 - NOTABLE => "holds",
        _ => "same",
    };
    html! {
        tr {
            td { (latency.what) }
            td { (latency.unit) }
            @for number in [latency.p50.0, latency.p50.1, latency.p99.0, latency.p99.1] {
                td.number { (format!("{number:.0}")) }
            }
            td.number.(class) { (ratio) }
        }
    }
}
