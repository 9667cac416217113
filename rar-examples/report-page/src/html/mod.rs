//! The pages: one file each, no script, nothing loaded from elsewhere.

mod comparison;
mod document;
mod latency;
mod machine;
mod observation;
mod questions;
mod results;
mod summary;

pub use comparison::comparison;
pub(crate) use machine::facts as machine_facts;

use std::collections::BTreeMap;

use maud::{Markup, html};

use crate::assemble::Broken;
use crate::report::Report;
use document::document;

/// Returns the page of one or more reports: those of the same machine and microcode together.
#[must_use]
pub fn page(reports: &[Report<'_>], broken: &[Broken]) -> String {
    let mut kinds: BTreeMap<_, Vec<&Report<'_>>> = BTreeMap::new();
    for report in reports {
        kinds.entry(report.kind()).or_default().push(report);
    }
    let title = match reports {
        [one] => format!("RAR validation report {}", one.id()),
        _ => format!("RAR validation reports of {} runs", reports.len()),
    };
    document(
        &title,
        &html! {
            h1 { (title) }
            (summary::broken(broken))
            (summary::fleet(&kinds))
            @for report in kinds.values().flatten() {
                (whole(report, reports.len() > 1))
            }
        },
    )
}

/// Everything of one report; folded away if there are others.
fn whole(report: &Report<'_>, folded: bool) -> Markup {
    let id = report.id();
    let content = html! {
        (summary::one(report))
        nav {
            @for (place, title) in [
                ("questions", "Open questions"),
                ("tests", "Tests"),
                ("latency", "Latency"),
                ("machine", "Machine"),
            ] {
                @if place != "latency" || !report.measurements.is_empty() {
                    a href={ "#" (place) "-" (id) } { (title) }
                }
            }
        }
        h2 id={ "questions-" (id) } { "Answers to the open questions" }
        (questions::section(report))
        h2 id={ "tests-" (id) } { "Tests" }
        (results::section(report))
        @if !report.measurements.is_empty() {
            h2 id={ "latency-" (id) } { "Latency" }
            (latency::section(report))
        }
        h2 id={ "machine-" (id) } { "Machine" }
        (machine::table(report))
        h3 { "Registers of RAR, as they were before the run" }
        (machine::registers(report))
    };
    html! {
        @if folded {
            details.report id={ "report-" (id) } {
                summary {
                    (id) ": " (report.kind().0) " "
                    span.badge.(summary::class(report.verdict())) { (report.verdict()) }
                }
                div.inside { (content) }
            }
        } @else {
            (content)
        }
    }
}
