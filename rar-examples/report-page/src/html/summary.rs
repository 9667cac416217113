//! What is to be read first: verdicts, problems, events.

use super::Broken;
use crate::report::{Report, Verdict};
use crate::text;
use maud::{Markup, html};
use rar_report::{EventKind, Outcome};
use std::collections::BTreeMap;

/// Reports that cannot be read.
pub(super) fn broken(broken: &[Broken]) -> Markup {
    html! {
        @for Broken { id, sources, problem } in broken {
            p.problem { "Report " code { (format!("{id:08X}")) } " (" (sources.join(", ")) "): " (problem) }
        }
    }
}

/// The table of many reports, by machine and microcode; nothing for one.
pub(super) fn fleet(kinds: &BTreeMap<(String, String), Vec<&Report<'_>>>) -> Markup {
    if kinds.values().map(Vec::len).sum::<usize>() < 2 {
        return html! {};
    }
    html! {
        h2 { "Machines" }
        table {
            thead { tr { th { "machine" } th { "microcode" } th { "report" } th { "verdict" } th { "tests" } th { "violated" } th { "found in" } } }
            tbody {
                @for ((name, microcode), reports) in kinds {
                    @for (row, report) in reports.iter().enumerate() {
                        tr {
                            @if row == 0 {
                                td rowspan=(reports.len()) { (name) }
                                td.value rowspan=(reports.len()) { (microcode) }
                            }
                            td { a href={ "#report-" (report.id()) } { (report.id()) } }
                            td class=(class(report.verdict())) { (report.verdict()) }
                            td { (counts(report)) }
                            td { (violated(report).join(", ")) }
                            td { (report.sources.join(", ")) }
                        }
                    }
                }
            }
        }
    }
}

/// The beginning of one report.
pub(super) fn one(report: &Report<'_>) -> Markup {
    html! {
        p.verdict class=(class(report.verdict())) { "Verdict: " (report.verdict()) }
        (counts(report))
        @let violated = violated(report);
        @if !violated.is_empty() {
            p.violated { "Violated: " (violated.join(", ")) }
        }
        @if let Some(end) = report.end {
            p { "End of the run: " (text::end(end.reason)) "." }
        }
        @for problem in &report.problems {
            p.problem { (problem) }
        }
        @if !report.events.is_empty() {
            ul {
                @for event in &report.events {
                    li {
                        strong { (text::event(event.kind)) }
                        @if let Some(cpu) = event.cpu {
                            @if event.kind == EventKind::CpuMissing { ", APIC id " } @else { ", CPU " }
                            (cpu)
                        }
                        @if let Some(backend) = event.backend { ", backend " (backend.name()) }
                        @if !event.test.is_empty() { ", test " code { (event.test) } }
                        @if !event.text.is_empty() { ": " (event.text) }
                    }
                }
            }
        }
    }
}

/// The counts of each backend, one line each.
fn counts(report: &Report<'_>) -> Markup {
    html! {
        @for (backend, counts) in report.counts() {
            div { strong { (backend.name()) } ": " (counts) }
        }
    }
}

/// The tests that were violated, each with its backend.
fn violated(report: &Report<'_>) -> Vec<String> {
    report
        .results
        .iter()
        .filter(|result| matches!(result.outcome, Outcome::Violated { .. }))
        .map(|result| format!("{} ({})", result.name, result.backend.name()))
        .collect()
}

const fn class(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Violated => "violated",
        Verdict::Holds => "holds",
        Verdict::Incomplete | Verdict::NothingRan => "observed",
    }
}
